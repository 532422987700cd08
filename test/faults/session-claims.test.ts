import { describe, expect, test } from "bun:test";
import { Client, type LostHold } from "../../src/client/client.ts";
import { Connection } from "../../src/client/connection/connection.ts";
import { PipeTransport } from "../../src/client/transports/pipe-transport.ts";
import type { GrantReply } from "../../src/protocol/pools.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { flakySocket } from "../support/flaky-socket.ts";
import { quickClock } from "../support/quick-clock.ts";
import { Scene, settled } from "../support/resume-scene.ts";
import { until } from "../support/until.ts";

interface Claim {
  readonly id: string;
  readonly secret: string;
}

interface Greeting {
  readonly session: Claim & { readonly resumed: boolean };
  readonly holds: readonly object[];
}

async function greet(client: LineClient, session?: Claim): Promise<Greeting> {
  // A good reply to hello has both; a refusal fails the first expectation.
  return (await client.ask({ action: "hello", protocol: 1, lingerMs: 20_000, session })) as unknown as Greeting;
}

test("sessions that linger are bounded as connections are: the one that has longest ends", async () => {
  await using broker = await testBroker({ limits: { connectionsMax: 3 } });
  const claims: Claim[] = [];
  for (let visitor = 0; visitor < 5; visitor++) {
    using client = await lineClient(broker.pipe);
    claims.push((await greet(client)).session);
  }
  using observer = await lineClient(broker.pipe);
  const sessions = async (): Promise<readonly unknown[]> =>
    ((await observer.ask({ action: "ps" })).sessions as { session: string }[]).map(({ session }) => session);
  await until(async () => (await sessions()).length === 4);
  expect((await sessions()).slice(0, 3)).toEqual(claims.slice(2).map(({ id }) => id));
  using client = await lineClient(broker.pipe);
  expect((await greet(client, claims[2])).session.resumed).toBe(true);
});

describe("a claim to a session", () => {
  test.each<[string, (claim: Claim) => Claim]>([
    ["a wrong secret", ({ id }) => ({ id, secret: "0".repeat(32) })],
    ["half of it", ({ id, secret }) => ({ id, secret: secret.slice(0, 16) })],
    ["more than it", ({ id, secret }) => ({ id, secret: `${secret}0` })],
    ["no secret", ({ id }) => ({ id, secret: "" })],
    ["another session's id", ({ id, secret }) => ({ id: `${id}0`, secret })],
    ["the id for a secret", ({ id }) => ({ id, secret: id })],
  ])("with %s begins a new session and leaves the other as it is", async (_what, forge) => {
    await using broker = await testBroker();
    using owner = await lineClient(broker.pipe);
    const { session } = await greet(owner);
    await owner.ask({ action: "lease", key: "accounts", workerId: "w", size: 1, scope: "session" });
    using thief = await lineClient(broker.pipe);
    const stolen = await greet(thief, forge(session));
    expect(stolen).toMatchObject({ session: { resumed: false }, holds: [] });
    expect(stolen.session.id).not.toBe(session.id);
    expect(await thief.ask({ action: "release", workerId: "w" })).toMatchObject({ error: "not_owner" });
    expect(await owner.ask({ action: "release", workerId: "w" })).toMatchObject({ released: true });
  });

  test("with the secret before is good until the client has gone on, however often a reply is lost", async () => {
    await using broker = await testBroker();
    using first = await lineClient(broker.pipe);
    const { session } = await greet(first);
    await first.ask({ action: "lease", key: "accounts", workerId: "w", scope: "session" });
    // Each time as if the reply had not come: the client knows only the first secret.
    for (let lost = 0; lost < 3; lost++) {
      using again = await lineClient(broker.pipe);
      expect(await greet(again, session)).toMatchObject({ session: { id: session.id, resumed: true } });
    }
    using last = await lineClient(broker.pipe);
    const { session: known } = await greet(last, session);
    expect(await last.ask({ action: "ping" })).toMatchObject({ ok: true });
    using late = await lineClient(broker.pipe);
    expect(await greet(late, session)).toMatchObject({ session: { resumed: false }, holds: [] });
    using right = await lineClient(broker.pipe);
    const resumed = await greet(right, known);
    expect(resumed).toMatchObject({ session: { id: session.id, resumed: true }, holds: [{ kind: "lease" }] });
  });

  test("with a secret that was told and never used is refused once an older one was used again", async () => {
    await using broker = await testBroker();
    using first = await lineClient(broker.pipe);
    const { session } = await greet(first);
    using second = await lineClient(broker.pipe);
    const { session: unused } = await greet(second, session);
    using third = await lineClient(broker.pipe);
    await greet(third, session);
    using late = await lineClient(broker.pipe);
    expect(await greet(late, unused)).toMatchObject({ session: { resumed: false } });
  });

  test("that was made at another broker is worth nothing", async () => {
    await using here = await testBroker();
    await using there = await testBroker();
    using owner = await lineClient(there.pipe);
    using local = await lineClient(here.pipe);
    const [{ session }, { session: own }] = [await greet(owner), await greet(local)];
    expect(session.id).toBe(own.id);
    using thief = await lineClient(here.pipe);
    expect(await greet(thief, session)).toMatchObject({ session: { resumed: false } });
    expect(await local.ask({ action: "ping" })).toMatchObject({ ok: true });
  });

  test("never shows its secret to anybody else", async () => {
    await using broker = await testBroker();
    using owner = await lineClient(broker.pipe);
    const { session } = await greet(owner);
    using other = await lineClient(broker.pipe);
    for (const action of ["ps", "stats", "metrics", "health"]) {
      expect(JSON.stringify(await other.ask({ action }))).not.toContain(session.secret);
    }
  });
});

describe("a client that cannot go on", () => {
  test("is told to stay away when its session is taken over, and what it has lost", async () => {
    await using scene = await Scene.open();
    await scene.client.lease("accounts", "w");
    const waiting = settled(scene.client.get("k", { waitMs: -1 }));
    const [, id = "", secret = ""] = /"session":{"id":"(\w+)","secret":"(\w+)"/.exec(scene.flaky.current.heard) ?? [];
    using thief = await lineClient(scene.flaky.target);
    expect(await greet(thief, { id, secret })).toMatchObject({
      session: { resumed: true },
      holds: [{ id: "accounts" }],
    });
    expect(await waiting).toBe("unavailable undefined");
    const refusal = await scene.client.ping().catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: "unavailable", message: expect.stringContaining("taken over") });
    expect([scene.client.state, scene.flaky.count]).toEqual(["closed", 1]);
    expect(scene.lost).toMatchObject([{ kind: "lease", key: "accounts", workerId: "w" }]);
    expect(await thief.ask({ action: "release", workerId: "w" })).toMatchObject({ released: true });
  });

  test("is told what it has lost when it stayed away longer than its session lingers", async () => {
    await using scene = await Scene.open({ lingerMs: 60, clock: undefined });
    await scene.client.lease("accounts", "w", null, { size: 1 });
    const next = scene.watcher.lease("accounts", "other", null, { size: 1, waitMs: 10_000 });
    scene.flaky.isDown = true;
    scene.flaky.current.end();
    expect(await next).toBe(0);
    await until(() => scene.lost.length > 0);
    expect(scene.lost).toEqual([{ kind: "lease", key: "accounts", workerId: "w", fence: expect.any(Number) }]);
    scene.flaky.isDown = false;
    // It goes on with a new session.
    expect(await settled(scene.client.lease("accounts", "w", null, { size: 1 }))).toBe("pool_exhausted undefined");
    expect([await scene.holds(), scene.lost.length]).toEqual([[], 1]);
  });

  test("is told what it has lost when the broker is another one", async () => {
    await using scene = await Scene.open();
    await using next = await testBroker();
    await scene.client.lease("accounts", "w", 60_000);
    await scene.client.lease("browsers", "w", null, { scope: "ttl" });
    await scene.client.lease("seats", "given back");
    await scene.client.release("given back", "seats");
    const turn = scene.client.once("token", async () => {
      scene.flaky.target = next.pipe;
      scene.flaky.current.end();
      await until(() => scene.lost.length > 0);
      return "made once";
    });
    expect(await turn).toBe("made once");
    expect(scene.lost.map(({ kind, key, workerId }) => [kind, key, workerId])).toEqual([
      ["lease", "accounts", "w"],
      ["once", "token", undefined],
    ]);
    using other = new Client(next.pipe);
    expect(await other.get("token")).toBe("made once");
  });

  test("is told of keys that ended with its session, but not of those it has deleted or set for good", async () => {
    await using scene = await Scene.open({ lingerMs: 0 });
    const version = await scene.client.set("url", "here", { scope: "session" });
    await scene.client.set("deleted", 1, { scope: "session" });
    await scene.client.set("kept", 1, { scope: "session" });
    await scene.client.set("plain", 1);
    await scene.client.del("deleted");
    await scene.client.set("kept", 2, 60_000);
    scene.flaky.current.end();
    await until(() => scene.lost.length > 0);
    expect(scene.lost).toEqual([{ kind: "key", key: "url", fence: version }]);
    await until(async () => (await settled(scene.watcher.get("url"))) === "not_found undefined");
    expect(await scene.watcher.get("kept")).toBe(2);
  });

  test("that was asked not to linger is told at once, without calling again", async () => {
    await using scene = await Scene.open({ lingerMs: 0 });
    await scene.client.lease("accounts", "w", null, { size: 1 });
    scene.flaky.current.end();
    expect(await scene.watcher.lease("accounts", "other", null, { size: 1, waitMs: 10_000 })).toBe(0);
    await until(() => scene.lost.length > 0);
    expect(scene.lost).toMatchObject([{ kind: "lease", key: "accounts", workerId: "w" }]);
    expect([scene.client.state, scene.flaky.count]).toEqual(["disconnected", 1]);
  });

  test("is told of the locks it had, but not of those it has given back", async () => {
    await using scene = await Scene.open({ lingerMs: 0 });
    const [kept, released] = [await scene.client.lock("kept"), await scene.client.lock("released")];
    expect(await released.release()).toBe(true);
    scene.flaky.current.end();
    await until(() => scene.lost.length > 0);
    expect(scene.lost).toEqual([{ kind: "grant", key: kept.id, fence: kept.fence }]);
    expect([kept.lost.aborted, released.lost.aborted]).toEqual([true, false]);
  });

  test("is not told of what had run out before", async () => {
    await using scene = await Scene.open({ lingerMs: 0 });
    await scene.client.lease("accounts", "short", 20);
    await scene.client.lease("accounts", "long", 60_000);
    await until(async () => (await scene.holds()).length === 1);
    scene.flaky.current.end();
    await until(() => scene.lost.length > 0);
    expect(scene.lost).toMatchObject([{ workerId: "long" }]);
  });

  test("what it may have done before fails as unknown in the new session", async () => {
    await using scene = await Scene.open();
    await using next = await testBroker();
    scene.flaky.current.arm({ direction: "toClient", afterBytes: 0 });
    scene.flaky.target = next.pipe;
    const outcomes = [
      scene.client.lease("accounts", "w"),
      scene.client.release("w"),
      scene.client.set("k", 1),
      scene.client.get("k", { waitMs: 5 }),
    ].map(settled);
    expect(await Promise.all(outcomes)).toEqual([
      "unavailable unknown",
      "unavailable unknown",
      "unavailable unknown",
      "timeout undefined",
    ]);
    expect(scene.lost).toEqual([]);
  });
});

describe("a client that goes on", () => {
  test("comes back by itself, though it asks for nothing", async () => {
    await using scene = await Scene.open({ lingerMs: 5000 });
    await scene.client.lease("accounts", "w");
    const { count } = scene.flaky;
    scene.flaky.current.end();
    await until(() => scene.flaky.count > count && scene.client.state === "connected");
    expect([await scene.holds(), scene.lost]).toEqual([["lease accounts w"], []]);
  });

  test("still has its keys, whoever has set them meanwhile", async () => {
    await using scene = await Scene.open();
    await scene.client.set("url", "here", { scope: "session" });
    await scene.cut();
    await scene.watcher.set("url", "there", { scope: "session" });
    await until(() => scene.client.state === "connected");
    expect([await scene.client.get<unknown>("url"), scene.lost]).toEqual(["there", []]);
  });

  test("goes on though the reply to hello is cut again and again", async () => {
    await using scene = await Scene.open();
    await scene.client.lease("accounts", "w");
    const { count } = scene.flaky;
    scene.flaky.weather = (connection) =>
      connection < count + 4 ? { cut: { direction: "toClient", afterBytes: 40 * (connection - count) } } : {};
    await scene.cut();
    await until(() => scene.client.state === "connected");
    expect([scene.flaky.count, await scene.holds(), scene.lost]).toEqual([count + 5, ["lease accounts w"], []]);
  });

  test("takes its session from a connection that the broker still believes in", async () => {
    await using scene = await Scene.open();
    await scene.client.lease("accounts", "w");
    const before = scene.flaky.current;
    before.end(true);
    await before.closed;
    expect(before.unheard).toContain('"push":"closing","code":3503');
    await until(() => scene.client.state === "connected");
    expect([await scene.holds(), scene.lost]).toEqual([["lease accounts w"], []]);
  });

  test("says nothing but hello before its session is confirmed", async () => {
    await using scene = await Scene.open();
    const { count } = scene.flaky;
    scene.flaky.weather = () => ({ cut: { direction: "toClient", afterBytes: 0 } });
    await scene.cut();
    const set = scene.client.set("k", 1);
    await until(() => scene.flaky.count > count + 2);
    expect(await settled(scene.watcher.get("k"))).toBe("not_found undefined");
    scene.flaky.weather = () => ({});
    await set;
    expect(await scene.watcher.get("k")).toBe(1);
  });

  test("lets everything go at once when it is closed", async () => {
    await using scene = await Scene.open();
    await scene.client.lease("accounts", "w", null, { size: 1 });
    const next = scene.watcher.lease("accounts", "other", null, { size: 1, waitMs: 10_000 });
    scene.client.close();
    expect(await next).toBe(0);
    expect([await scene.sessions(), scene.lost]).toEqual([[], []]);
  });

  test("keeps a lease whose renewal was given up, and gives back one that nobody has", async () => {
    await using scene = await Scene.open();
    await scene.client.lease("accounts", "kept", null, { size: 2 });
    const controller = new AbortController();
    scene.flaky.isDown = true;
    scene.flaky.current.arm({ direction: "toClient", afterBytes: 0 });
    const given = ["kept", "new"].map((worker) =>
      settled(scene.client.lease("accounts", worker, null, { size: 2, signal: controller.signal })),
    );
    await until(() => scene.client.state !== "connected");
    controller.abort("enough");
    await Promise.all(given);
    scene.flaky.isDown = false;
    await until(() => scene.client.state === "connected");
    await until(async () => (await scene.holds()).join() === "lease accounts kept");
  });
});

describe("what was granted while its reply was cut", () => {
  /** The reply to the next command is cut, and there is no way back for now. */
  function cutNextReply(scene: Scene): void {
    scene.flaky.isDown = true;
    scene.flaky.current.arm({ direction: "toClient", afterBytes: 0 });
  }

  async function comeBack(scene: Scene): Promise<void> {
    scene.flaky.isDown = false;
    await until(() => scene.client.state === "connected");
  }

  test("stays with a caller that still wants it, though others wait for it", async () => {
    await using scene = await Scene.open();
    cutNextReply(scene);
    const lease = scene.client.lease("accounts", "w", null, { size: 1 });
    await until(() => scene.client.state !== "connected");
    const next = settled(scene.watcher.lease("accounts", "other", null, { size: 1, waitMs: 10_000 }));
    await until(async () => (await scene.watcher.stats()).waits === 1);
    await comeBack(scene);
    expect([await lease, await scene.holds()]).toEqual([0, ["lease accounts w"]]);
    expect(await scene.client.release("w")).toBe(true);
    expect(await next).toBe(0);
  });

  test("is given back before anything else is asked for", async () => {
    await using scene = await Scene.open();
    const controller = new AbortController();
    cutNextReply(scene);
    const given = settled(scene.client.lease("accounts", "w", null, { size: 1, signal: controller.signal }));
    await until(() => scene.client.state !== "connected");
    controller.abort("enough");
    await given;
    // Does not wait: it finds the number free, or not.
    const other = settled(scene.client.lease("accounts", "other", null, { size: 1 }));
    await comeBack(scene);
    expect([await other, await scene.holds()]).toEqual([0, ["lease accounts other"]]);
  });

  test("and asked for again meanwhile is held", async () => {
    await using scene = await Scene.open();
    const controller = new AbortController();
    cutNextReply(scene);
    const given = settled(scene.client.lease("accounts", "w", null, { size: 1, signal: controller.signal }));
    await until(() => scene.client.state !== "connected");
    controller.abort("enough");
    await given;
    const again = settled(scene.client.lease("accounts", "w", null, { size: 1 }));
    await comeBack(scene);
    expect([await again, await scene.holds()]).toEqual([0, ["lease accounts w"]]);
  });

  test("is items of a pool: they are given back, and the next who waits has them", async () => {
    await using broker = await testBroker();
    await using flaky = await flakySocket(broker.pipe);
    const make = (pipe: string): Connection => {
      const parts = { endpoint: pipe, dial: () => new PipeTransport(pipe), clock: quickClock, timeoutMs: 5000 };
      return new Connection({ ...parts, secret: undefined, label: undefined, lingerMs: 20_000 });
    };
    const [cut, steady] = [make(flaky.pipe), make(broker.pipe)];
    const wants = [{ pool: "browsers", count: 1, match: [], mode: "exclusive", size: 1 }] as const;
    const acquire = (connection: Connection, waitMs: number, signal?: AbortSignal): Promise<GrantReply> =>
      connection.call<"acquire", GrantReply>({
        command: { action: "acquire", wants },
        // In a reply the grant is plain.
        read: (reply) => reply.grant as GrantReply,
        waitMs,
        signal,
      });
    const held = await acquire(cut, 0);
    await cut.call({ command: { action: "release", grant: held.id }, read: () => undefined });
    const controller = new AbortController();
    flaky.isDown = true;
    flaky.current.arm({ direction: "toClient", afterBytes: 0 });
    const given = acquire(cut, 0, controller.signal).catch((error: unknown) => error);
    await until(() => cut.state !== "connected");
    controller.abort("enough");
    await given;
    flaky.isDown = false;
    const next = await acquire(steady, 5000);
    expect(next.items).toMatchObject([{ pool: "browsers", slot: 0 }]);
    cut.close();
    steady.close();
  });

  test("is a turn: who waits leads, and nobody fails", async () => {
    await using scene = await Scene.open();
    const controller = new AbortController();
    cutNextReply(scene);
    const given = settled(scene.client.once("token", () => "never", { signal: controller.signal }));
    await until(() => scene.client.state !== "connected");
    controller.abort("enough");
    await given;
    const next = settled(scene.watcher.once("token", () => "made"));
    await until(async () => (await scene.watcher.stats()).waits === 1);
    await comeBack(scene);
    expect(await next).toBe("made");
  });

  test("is a turn: it answers a caller of the same client that waits for it", async () => {
    await using scene = await Scene.open();
    const controller = new AbortController();
    cutNextReply(scene);
    const given = settled(scene.client.once("token", () => "never", { signal: controller.signal }));
    await until(() => scene.client.state !== "connected");
    controller.abort("enough");
    await given;
    const next = settled(scene.watcher.once("token", () => "the other's"));
    await until(async () => (await scene.watcher.stats()).waits === 1);
    const own = settled(scene.client.once("token", () => "our own"));
    await comeBack(scene);
    expect(await Promise.all([own, next])).toEqual(["our own", "our own"]);
  });
});

test("a lease is released to those who wait when its renewal is given up only if nobody held it before", async () => {
  await using broker = await testBroker();
  const lost: LostHold[] = [];
  using client = new Client(broker.pipe, { clock: quickClock, onLost: (holds) => void lost.push(...holds) });
  await client.lease("accounts", "w", null, { size: 1 });
  const controller = new AbortController();
  // Renewed at once by the broker, and given up in the turn it was asked in.
  const renewal = settled(client.lease("accounts", "w", null, { size: 1, waitMs: -1, signal: controller.signal }));
  controller.abort("enough");
  await renewal;
  await client.ping();
  expect((await client.ps())[0]?.holds).toMatchObject([{ kind: "lease", id: "accounts" }]);
});
