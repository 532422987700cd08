import { describe, expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { msgpack } from "../../src/msgpack/client-codec.ts";
import { testBroker } from "../support/broker.ts";
import { bundleClient, runScript } from "../support/client-bundle.ts";
import { ManualClientClock } from "../support/manual-client-clock.ts";
import { Scene } from "../support/resume-scene.ts";
import { type ScriptedConnection, scriptedBroker } from "../support/scripted-broker.ts";
import { until } from "../support/until.ts";
import { startWorker } from "../support/worker.ts";

const accounts = [
  { value: { user: "ada" }, tags: ["admin", "eu"] },
  { value: { user: "bob" }, tags: ["eu"] },
];

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ resolvedTo: value }),
    (error: unknown) => error,
  );

/** Resolves once so many wait for `name`. */
const waiting = (client: Client, name: string, count = 1): Promise<void> =>
  until(async () => (await client.why(name)).waitersCount === count);

describe("Client.withItem()", () => {
  test("runs its work with an item of the pool, and gives it back", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "checkout.spec.ts" });
    expect(await client.pool("accounts").define(accounts)).toBe(2);
    const result = await client.withItem("accounts", { match: ["admin"] }, async ({ value, items, fence }) => {
      const { holders, free } = await client.pool("accounts").show();
      expect({ holders, free }).toMatchObject({ holders: [{ label: "checkout.spec.ts", item: 0, fence }], free: 1 });
      expect(items).toEqual([{ pool: "accounts", slot: 0, value: { user: "ada" } }]);
      return value;
    });
    expect(result).toEqual({ user: "ada" });
    expect((await client.why("accounts")).holdersCount).toBe(0);
  });

  test("gives it back when the work throws, and throws that", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await client.pool("accounts").define(accounts);
    const failure = new TypeError("the page is down");
    const failing = client.withItem("accounts", () => {
      throw failure;
    });
    expect(await failureOf(failing)).toBe(failure);
    expect((await client.why("accounts")).free).toBe(2);
  });

  test("takes several at once or none of them", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await client.pool("accounts").define(accounts);
    const wants = [{ pool: "database", size: 1 }, { pool: "accounts", match: ["admin"] }, "accounts"] as const;
    const lock = await client.lock("database");
    const all = client.acquire(wants);
    await waiting(client, "database");
    // All of them wait together: nothing is held meanwhile.
    expect(await client.withItem("accounts", { waitMs: 0 }, () => "free").catch(String)).not.toBe("free");
    expect((await client.why("accounts")).holdersCount).toBe(0);
    await lock.release();
    expect((await all).items.map(({ pool, slot }) => [pool, slot])).toEqual([
      ["database", 0],
      ["accounts", 0],
      ["accounts", 1],
    ]);
  });

  test.each([
    ["JSON", undefined],
    ["MessagePack", msgpack],
  ])("hands on any value, bytes too (%s)", async (_name, codec) => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { codec });
    using other = new Client(broker.pipe);
    const value = { key: Uint8Array.of(0, 255), list: [null, "é€😀"] };
    await other.pool("keys").define([{ value }]);
    expect(await client.withItem("keys", (grant) => grant.value)).toEqual(value);
    await expect(client.pool("keys").add([{ value: undefined }])).rejects.toMatchObject({ code: "bad_command" });
  });
});

describe("Client.withLock() and withSeat()", () => {
  test("refuse at once what has no function to run, and do not wait for what is held", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const held = await client.semaphore("browsers", 1);
    // As it is called where no types say that something is missing.
    const withSeat: (...given: readonly unknown[]) => Promise<unknown> = client.withSeat.bind(client) as never;
    const message = "Cannot acquire: wanted a function, got";
    expect(await failureOf(withSeat("browsers", 1, { waitMs: 60_000 }))).toMatchObject({
      message: `${message} object`,
    });
    expect(await failureOf(withSeat("browsers", () => "no seats"))).toMatchObject({ message: `${message} undefined` });
    await held.release();
  });

  test("one at a time, in the order they came; those who share, together", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const order: string[] = [];
    let inside = 0;
    const enter = (name: string, alone: boolean) => async (): Promise<void> => {
      inside++;
      order.push(name);
      await client.ping();
      if (alone) expect(inside).toBe(1);
      inside--;
    };
    await Promise.all([
      client.withLock("database", enter("a", true)),
      client.withLock("database", { mode: "shared" }, enter("b", false)),
      client.withLock("database", { mode: "shared" }, enter("c", false)),
      client.withLock("database", enter("d", true)),
    ]);
    expect(order).toEqual(["a", "b", "c", "d"]);
    expect(await failureOf(client.why("database"))).toMatchObject({ code: "not_found" });
  });

  test("at most so many seats are taken, each with its number", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    let most = 0;
    const taken = new Set<number>();
    const work = async ({ value }: { value: number }): Promise<void> => {
      expect(taken.has(value)).toBe(false);
      taken.add(value);
      most = Math.max(most, taken.size);
      await client.ping();
      taken.delete(value);
    };
    await Promise.all(Array.from({ length: 20 }, () => client.withSeat("browsers", 3, work)));
    expect(most).toBe(3);
    const size = failureOf(client.withSeat("browsers", 3, () => client.semaphore("browsers", 4, { waitMs: 0 })));
    expect(await size).toMatchObject({ code: "size_mismatch" });
  });
});

describe("Client.acquire()", () => {
  test("says whom it waited for in vain, and refuses at once with waitMs 0", async () => {
    await using broker = await testBroker();
    using holder = new Client(broker.pipe, { label: "playwright:3 checkout.spec.ts" });
    using client = new Client(broker.pipe);
    await using _turn = await holder.lock("database");
    const timedOut = await failureOf(client.lock("database", { waitMs: 10 }));
    expect(timedOut).toMatchObject({ code: "timeout", retryable: true });
    expect(String(timedOut)).toMatch(/"database" held by playwright:3 checkout\.spec\.ts for \d+ ms/);
    expect(await failureOf(client.lock("database", { waitMs: 0 }))).toMatchObject({ code: "pool_exhausted" });
    const unknown = failureOf(client.acquire("nothing", { waitMs: 0 }));
    expect(await unknown).toMatchObject({ code: "unknown_pool" });
  });

  test("waits as long as it takes unless told, and a signal ends the wait", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { timeoutMs: 50 });
    const first = await client.lock("database");
    const { signal, abort } = abortable();
    const given = failureOf(client.lock("database", { signal }));
    const second = client.lock("database");
    await waiting(client, "database", 2);
    abort("enough");
    expect(await given).toBe("enough");
    expect(await first.release()).toBe(true);
    expect((await second).fence).toBeGreaterThan(first.fence);
  });

  test("an owner that would wait for itself is refused, with the circle in words", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "a.spec.ts" });
    await using _a = await client.lock("a", { owner: "one" });
    await using _b = await client.lock("b", { owner: "two" });
    const waitingOne = client.lock("b", { owner: "one", waitMs: 5000 });
    await waiting(client, "b");
    const refused = await failureOf(client.lock("a", { owner: "two" }));
    expect(refused).toMatchObject({ code: "deadlock" });
    expect(String(refused)).toContain('"a" held by a.spec.ts (owner "one")');
    expect(String(refused)).toContain('"b" held by a.spec.ts (owner "two")');
    await _b.release();
    await (await waitingOne).release();
  });

  test("the next in line has it as soon as its holder is killed", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await using worker = startWorker(broker.pipe);
    const held = await worker.ask({ id: 1, action: "acquire", wants: [{ pool: "database", size: 1 }] });
    expect(held).toMatchObject({ ok: true });
    const next = client.lock("database");
    await waiting(client, "database");
    process.kill(worker.pid, "SIGKILL");
    expect((await next).value).toBe(0);
  });

  test("prefers the item it had last, when told to", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await client.pool("accounts").define(accounts);
    const other = await client.acquire("accounts");
    await (await client.acquire("accounts", { prefer: "last" })).release();
    await other.release();
    expect(await client.withItem("accounts", { prefer: "last" }, ({ items }) => items[0]?.slot)).toBe(1);
    expect(await client.withItem("accounts", ({ items }) => items[0]?.slot)).toBe(0);
    expect(await client.withItem("accounts", { count: 2 }, ({ items }) => items.length)).toBe(2);
  });
});

function abortable(): { signal: AbortSignal; abort: (reason: unknown) => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}

describe("PoolHandle.quarantine()", () => {
  test("takes one item out, whoever has it, until it is added again", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "admin" });
    const pool = client.pool("accounts");
    await pool.define(accounts);
    const held = await client.acquire("accounts");
    await pool.quarantine(0, "its password has expired");
    expect(await held.release()).toBe(true);
    expect(await pool.show()).toMatchObject({ free: 1, quarantined: [{ item: 0, label: "admin" }] });
    await expect(pool.quarantine(2, "broken")).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("Grant.quarantine()", () => {
  test("keeps an item out until it is added again, and says why and who", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "login.spec.ts" });
    const pool = client.pool("accounts");
    await pool.define(accounts);
    const grant = await client.acquire("accounts", { match: ["admin"] });
    await grant.quarantine("the password has expired");
    expect(await grant.release()).toBe(true);
    await expect(grant.quarantine("again")).rejects.toMatchObject({ code: "not_owner" });
    const shown = await pool.show();
    expect(shown).toMatchObject({ free: 1, quarantined: [{ item: 0, label: "login.spec.ts" }] });
    const refused = await failureOf(client.acquire("accounts", { match: ["admin"], waitMs: 0 }));
    expect(String(refused)).toContain("item 0 is quarantined: the password has expired");
    await pool.add([accounts[0]!]);
    expect(await client.withItem("accounts", { match: ["admin"] }, ({ value }) => value)).toEqual({ user: "ada" });
    expect(await pool.remove([1])).toBe(1);
    expect(await pool.remove()).toBe(0);
  });

  test("is refused for a lock, which is held as before", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const lock = await client.lock("database");
    await expect(lock.quarantine("broken")).rejects.toMatchObject({ code: "bad_command" });
    expect((await client.why("database")).holdersCount).toBe(1);
    expect([await lock.release(), await lock.release()]).toEqual([true, true]);
    expect((await client.ps())[0]?.holds).toEqual([]);
  });
});

describe("Grant.lost", () => {
  test("aborts when the connection is cut and the session ends with it; release has nothing left to do", async () => {
    await using scene = await Scene.open({ lingerMs: 0 });
    const grant = await scene.client.lock("database");
    expect(grant.lost.aborted).toBe(false);
    await scene.cut();
    expect(grant.lost.reason).toMatchObject({ code: "unavailable", message: expect.stringContaining('"database"') });
    expect(await grant.release()).toBe(false);
    await expect(grant.renew(1000)).rejects.toMatchObject({ code: "not_owner" });
    expect(await scene.client.withLock("database", () => "anew")).toBe("anew");
    expect(scene.lost).toMatchObject([{ kind: "grant", fence: grant.fence }]);
  });

  test("stays quiet when the session goes on; the handle is as good as before", async () => {
    await using scene = await Scene.open();
    const grant = await scene.client.lock("database", { ttl: 60_000 });
    await scene.cut();
    await scene.client.ping();
    expect(await scene.holds()).toEqual([`grant ${grant.id}`]);
    expect(await grant.renew(90_000)).toBeGreaterThan(Date.now() + 60_000);
    expect(grant.lost.aborted).toBe(false);
    expect(await grant.release()).toBe(true);
    expect(await scene.holds()).toEqual([]);
  });

  test("a release that is cut off is said again in the session that goes on, and holds back nothing", async () => {
    await using scene = await Scene.open();
    const grant = await scene.client.lock("database");
    const released = grant.release();
    scene.flaky.current.end();
    expect(await released).toBe(true);
    expect(grant.lost.aborted).toBe(false);
    expect(await scene.holds()).toEqual([]);
  });

  test("aborts when its client is closed, and not when it is released", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const [released, held] = [await client.lock("a"), await client.lock("b")];
    await released.release();
    client.close();
    expect([released.lost.aborted, held.lost.aborted]).toEqual([false, true]);
  });
});

describe("a time to live", () => {
  /** A client in manual time that was granted `database` for 3 s. */
  async function granted(): Promise<{
    stack: AsyncDisposableStack;
    clock: ManualClientClock;
    grant: Awaited<ReturnType<Client["lock"]>>;
    connection: ScriptedConnection;
  }> {
    const stack = new AsyncDisposableStack();
    const broker = stack.use(await scriptedBroker());
    const clock = new ManualClientClock();
    const client = stack.use(new Client(broker.pipe, { clock, timeoutMs: 60_000 }));
    const acquired = client.lock("database", { ttl: 3000 });
    const connection = await broker.greeted();
    const command = await connection.next();
    expect(command).toMatchObject({ action: "acquire", ttl: 3000, waitMs: -1 });
    const items = [{ pool: "database", slot: 0, value: 0 }];
    connection.answer(command, { grant: { id: "7", fence: 7, items, expiresAtMs: 1_000_003_000 } });
    return { stack, clock, grant: await acquired, connection };
  }

  test("is renewed at each third of it, until the release", async () => {
    const { stack, clock, grant, connection } = await granted();
    await using _ = stack;
    for (const expiresAtMs of [1_000_004_000, 1_000_005_000]) {
      clock.advance(999);
      expect(connection.waiting).toBe(0);
      clock.advance(1);
      const renewal = await connection.next();
      expect(renewal).toMatchObject({ action: "renew", grant: "7", ttl: 3000 });
      connection.answer(renewal, { expiresAtMs });
      await until(() => grant.expiresAtMs === expiresAtMs);
    }
    const released = grant.release();
    const release = await connection.next();
    expect(release).toMatchObject({ action: "release", grant: "7" });
    clock.advance(10_000);
    connection.answer(release, { released: true });
    expect(await released).toBe(true);
    expect([connection.waiting, grant.lost.aborted]).toEqual([0, false]);
  });

  test("ends unrenewed: lost aborts when it is over, not before", async () => {
    const { stack, clock, grant, connection } = await granted();
    await using _ = stack;
    const before = clock.alarmsCount;
    clock.advance(1000);
    connection.refuse(await connection.next(), { error: "internal", message: "try again" });
    await until(() => clock.alarmsCount === before);
    clock.advance(1999);
    expect(await connection.next()).toMatchObject({ action: "renew" });
    expect(grant.lost.aborted).toBe(false);
    clock.advance(1);
    expect(grant.lost.reason).toMatchObject({ code: "expired", message: expect.stringContaining("3000 ms") });
    expect(await grant.release()).toBe(false);
  });

  test("over for the broker, it is over for us", async () => {
    const { stack, clock, grant, connection } = await granted();
    await using _ = stack;
    clock.advance(1000);
    connection.refuse(await connection.next(), { error: "not_owner", message: "it has expired" });
    await until(() => grant.lost.aborted);
    expect(await grant.release()).toBe(false);
  });

  test("in real time: outlives its ttl while it is renewed, and a second guard ends a holder that hangs", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const renewed = await client.lock("renewed", { ttl: 150 });
    const stopped = new Client(broker.pipe, { clock: new ManualClientClock() });
    await stopped.lock("stopped", { ttl: 150 });
    // The one whose time stands still does not renew: its lock moves on.
    expect((await client.lock("stopped", { waitMs: 5000 })).value).toBe(0);
    expect(await renewed.release()).toBe(true);
    stopped.close();
  });
});

test.each(["node", "bun"])("a process on %s ends by itself while it holds and renews", async (runtime) => {
  await using broker = await testBroker();
  using bundle = await bundleClient();
  const script = await bundle.script(`
    const client = new Client();
    const grant = await client.lock("database", { ttl: 600 });
    await client.withLock("other", async (lock) => console.log(typeof grant[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")], lock.value));`);
  const command = runtime === "bun" ? process.execPath : runtime;
  expect(await runScript([command, script], broker.pipe)).toEqual({ stdout: "function 0\n", stderr: "", code: 0 });
  using client = new Client(broker.pipe);
  expect((await client.lock("database", { waitMs: 5000 })).value).toBe(0);
});
