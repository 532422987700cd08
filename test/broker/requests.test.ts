import { describe, expect, test } from "bun:test";
import { brokerConfig } from "../../src/broker/config.ts";
import { assembleBroker } from "../../src/broker/core.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { msgpackClient } from "../support/msgpack-client.ts";
import { rawClient } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

type Answer = Record<string, unknown>;

interface Greeted {
  readonly id: string;
  readonly secret: string;
}

async function hello(client: LineClient, fields: object = {}): Promise<Greeted & { readonly resumed: boolean }> {
  const { session } = await client.ask({ action: "hello", protocol: 1, ...fields });
  return session as Greeted & { resumed: boolean };
}

/** A responder of `method` with a session of its own. */
async function responder(pipe: string, { method = "m", ...fields }: { method?: string; lingerMs?: number } = {}) {
  const client = await lineClient(pipe);
  const session = await hello(client, fields);
  await client.ask({ action: "serve", method });
  return Object.assign(client, { session });
}

const request = (id: number, fields: object = {}): object => ({
  id,
  action: "request",
  method: "m",
  data: id,
  ...fields,
});

/** Says `commands` and sees to it that they were taken. */
async function said(client: LineClient, ...commands: readonly object[]): Promise<void> {
  for (const command of commands) client.say(command);
  expect(await client.ask({ id: 9999, action: "ping" })).toMatchObject({ id: 9999, ok: true });
}

/** What `client` is asked next: its data, and how to answer it. */
async function nextAsked(
  client: LineClient,
): Promise<{ readonly data: unknown; readonly respond: (data: unknown) => void }> {
  const push = await client.next();
  expect(push).toMatchObject({ push: "request", method: "m" });
  return {
    data: push.data,
    respond: (data) => client.say({ id: 1, action: "respond", request: push.request, data }),
  };
}

async function replies(client: LineClient, count: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  while (answers.length < count) answers.push(await client.next());
  return answers;
}

describe("requests", () => {
  test("go to who has the fewest unanswered ones, and in turn where they have the same", async () => {
    await using broker = await testBroker();
    using asker = await lineClient(broker.pipe);
    using a = await responder(broker.pipe);
    using b = await responder(broker.pipe);
    using c = await responder(broker.pipe);
    await said(asker, ...[1, 2, 3, 4, 5, 6].map((id) => request(id)));
    const [fromA, , , fromB] = [await nextAsked(a), await nextAsked(a), await nextAsked(b), await nextAsked(b)];
    expect([fromA.data, fromB.data]).toEqual([1, 5]);
    expect([(await nextAsked(c)).data, (await nextAsked(c)).data]).toEqual([3, 6]);
    fromB.respond("done");
    expect(await asker.next()).toEqual({ id: 5, ok: true, data: "done" });
    // b has one less than the others; then all have two, and c was asked longest ago.
    await said(asker, request(7), request(8));
    expect(await b.next()).toMatchObject({ responded: true });
    expect([(await nextAsked(b)).data, (await nextAsked(a)).data]).toEqual([7, 8]);
  });

  test("go round among those who have nothing to do", async () => {
    await using broker = await testBroker();
    using asker = await lineClient(broker.pipe);
    using a = await responder(broker.pipe);
    using b = await responder(broker.pipe);
    for (const [id, one] of [a, b, a, b].entries()) {
      asker.say(request(id));
      (await nextAsked(one)).respond(id);
      expect(await asker.next()).toEqual({ id, ok: true, data: id });
      expect(await one.next()).toMatchObject({ responded: true });
    }
  });

  test("without a responder wait for one in the order they came, those for another session aside", async () => {
    await using broker = await testBroker();
    using asker = await lineClient(broker.pipe);
    await said(asker, request(1, { waitMs: -1 }), request(2, { waitMs: -1, to: { session: "s99" } }));
    await said(asker, request(3, { waitMs: 60_000 }), request(4, { method: "other", waitMs: -1 }));
    using a = await responder(broker.pipe);
    const [first, second] = [await nextAsked(a), await nextAsked(a)];
    expect([first.data, second.data]).toEqual([1, 3]);
    second.respond("three");
    first.respond("one");
    expect(await replies(asker, 2)).toEqual([
      { id: 3, ok: true, data: "three" },
      { id: 1, ok: true, data: "one" },
    ]);
    const { sessions } = await asker.ask({ action: "ps" });
    const [{ waits }] = sessions as [{ waits: Answer[] }];
    expect(waits.map(({ action, key }) => `${action} ${key}`)).toEqual(["request m", "request other"]);
    expect(await asker.ask({ action: "why", key: "other" })).toMatchObject({ waitersCount: 1 });
  });

  test("are answered only by the session that was asked", async () => {
    await using broker = await testBroker();
    using asker = await lineClient(broker.pipe);
    using a = await responder(broker.pipe);
    using stranger = await responder(broker.pipe);
    await said(asker, request(1));
    const push = await a.next();
    const answer = { action: "respond", request: push.request, data: "forged" };
    expect(await stranger.ask(answer)).toEqual({ ok: true, responded: false });
    expect(await asker.ask({ ...answer, id: 2 })).toEqual({ id: 2, ok: true, responded: false });
    expect(await stranger.ask({ ...answer, data: undefined, failure: "no" })).toEqual({ ok: true, responded: false });
    expect(await a.ask(answer)).toEqual({ ok: true, responded: true });
    expect(await asker.next()).toEqual({ id: 1, ok: true, data: "forged" });
  });

  test.each<[what: string, leave: (asker: LineClient) => Promise<unknown>]>([
    ["is cancelled", (asker) => asker.ask({ id: 2, action: "cancel", target: 1 })],
    ["goes away", async (asker) => asker[Symbol.dispose]()],
    ["has waited long enough", (asker) => asker.next()],
  ])("are forgotten when the one who asked %s: a late answer finds nobody", async (what, leave) => {
    await using broker = await testBroker();
    const asker = await lineClient(broker.pipe);
    using a = await responder(broker.pipe);
    asker.say(request(1, { waitMs: what === "has waited long enough" ? 20 : -1 }));
    const { respond } = await nextAsked(a);
    await leave(asker);
    await until(async () => {
      const { stats } = (await a.ask({ action: "stats" })) as { stats: { waits: number } };
      return stats.waits === 0;
    });
    respond("late");
    expect(await a.next()).toEqual({ id: 1, ok: true, responded: false });
    asker[Symbol.dispose]();
  });

  test("fail when the responder's session ends, and the next are asked of others", async () => {
    await using broker = await testBroker();
    using asker = await lineClient(broker.pipe);
    const a = await responder(broker.pipe);
    using b = await responder(broker.pipe);
    await said(asker, request(1), request(2));
    expect((await nextAsked(a)).data).toBe(1);
    a[Symbol.dispose]();
    expect(await asker.next()).toEqual({
      id: 1,
      ok: false,
      error: "responder_failed",
      message: `Cannot request "m": pid ${process.pid} ended before it answered; what it did is unknown`,
      details: { outcome: "unknown", session: a.session.id },
    });
    await said(asker, request(3));
    expect([(await nextAsked(b)).data, (await nextAsked(b)).data]).toEqual([2, 3]);
    const { metrics } = await asker.ask({ action: "metrics" });
    expect(metrics).toContain("ephemeral_broker_responses_lost_total 1\n");
    expect(metrics).toContain("ephemeral_broker_methods 1\n");
    expect(metrics).toContain("ephemeral_broker_requests_unanswered 2\n");
  });

  test("pass over a session that lingers; resumed, it is asked again what it has not answered, then what waited", async () => {
    await using broker = await testBroker();
    using asker = await lineClient(broker.pipe);
    const cut = await responder(broker.pipe, { lingerMs: 60_000 });
    await said(asker, request(1), request(2));
    const [first, second] = [await cut.next(), await cut.next()];
    expect(await cut.ask({ action: "respond", request: first.request, data: "one" })).toMatchObject({
      responded: true,
    });
    expect(await asker.next()).toEqual({ id: 1, ok: true, data: "one" });
    cut[Symbol.dispose]();
    const states = async (): Promise<readonly unknown[]> => {
      const { sessions } = (await asker.ask({ action: "ps" })) as { sessions: Answer[] };
      return sessions.map(({ state, serves }) => [state, serves]);
    };
    await until(async () => Bun.deepEquals((await states()).at(-1), ["lingering", ["m"]]));
    expect(await asker.ask(request(3))).toMatchObject({
      error: "no_responder",
      message: 'Cannot request "m": nobody who serves it is connected',
    });
    await said(asker, request(4, { waitMs: -1 }));
    using back = await lineClient(broker.pipe);
    expect(await hello(back, { lingerMs: 60_000, session: cut.session })).toMatchObject({ resumed: true });
    expect(await back.next()).toEqual(second);
    expect(await back.next()).toMatchObject({ push: "request", data: 4 });
    expect(await back.ask({ action: "respond", request: second.request, data: "two" })).toMatchObject({
      responded: true,
    });
    expect(await asker.next()).toEqual({ id: 2, ok: true, data: "two" });
  });

  test("are asked of nobody who serves and stops in one breath", async () => {
    await using broker = await testBroker();
    using asker = await lineClient(broker.pipe);
    await said(asker, request(1, { waitMs: -1 }));
    using fickle = await lineClient(broker.pipe);
    const serve = { action: "serve", method: "m" };
    fickle.write([serve, { ...serve, stop: true }].map((command) => `${JSON.stringify(command)}\n`).join(""));
    expect(await replies(fickle, 2)).toEqual([{ ok: true }, { ok: true }]);
    expect(await fickle.ask({ action: "ping" })).toMatchObject({ ok: true });
    using a = await responder(broker.pipe);
    expect((await nextAsked(a)).data).toBe(1);
  });

  test("cross codecs, bytes too; what the other codec cannot carry is told to who asked", async () => {
    await using broker = await testBroker();
    using asker = await lineClient(broker.pipe);
    using packed = await msgpackClient(broker.pipe);
    expect(await packed.ask({ action: "serve", method: "m" })).toMatchObject({ ok: true });
    asker.say(request(1, { data: { $binary: btoa("bytes") } }));
    const push = await packed.next();
    expect(push).toMatchObject({ push: "request", data: Uint8Array.from(Buffer.from("bytes")) });
    packed.say({ action: "respond", request: push.request, data: Uint8Array.of(1, 2) });
    expect(await asker.next()).toEqual({ id: 1, ok: true, data: { $binary: btoa("\x01\x02") } });
    expect(await packed.next()).toMatchObject({ responded: true });
    asker.write('{"id":2,"action":"request","method":"m","data":{"__proto__":1}}\n');
    expect(await asker.next()).toMatchObject({ id: 2, ok: false, error: "bad_command" });
    // And when it is not the command itself that asks.
    expect(await packed.ask({ action: "serve", method: "m", stop: true })).toMatchObject({ ok: true });
    asker.write('{"id":3,"action":"request","method":"m","data":{"__proto__":1},"waitMs":-1}\n');
    await said(asker, request(4, { waitMs: -1 }));
    expect(await packed.ask({ action: "serve", method: "m" })).toMatchObject({ ok: true });
    expect(await asker.next()).toMatchObject({ id: 3, ok: false, error: "bad_command" });
    expect(await packed.next()).toMatchObject({ push: "request", data: 4 });
  });

  test("refuse data and answers over valueBytesMax, and a refused answer can be given again", async () => {
    await using broker = await testBroker({ limits: { valueBytesMax: 1000 } });
    using asker = await lineClient(broker.pipe);
    using a = await responder(broker.pipe);
    expect(await asker.ask(request(1, { data: "x".repeat(999) }))).toMatchObject({ error: "too_large" });
    await said(asker, request(2));
    const push = await a.next();
    const respond = { action: "respond", request: push.request };
    expect(await a.ask({ ...respond, data: "x".repeat(999) })).toMatchObject({ error: "too_large" });
    expect(await a.ask({ ...respond, data: "x".repeat(998) })).toMatchObject({ responded: true });
    expect(await asker.next()).toMatchObject({ id: 2, ok: true });
  });

  test("count as waits of who asks", async () => {
    await using broker = await testBroker({ limits: { waitsMax: 3, waitsPerSessionMax: 2 } });
    using asker = await lineClient(broker.pipe);
    using other = await lineClient(broker.pipe);
    using _a = await responder(broker.pipe);
    await said(asker, request(1), request(2));
    expect(await asker.ask(request(3))).toMatchObject({ error: "too_many_commands" });
    await said(other, request(1));
    expect(await other.ask(request(2))).toMatchObject({ error: "too_many_commands" });
  });
});

describe("a slow reader", () => {
  const limits = {
    frameBytesMax: 80_000,
    valueBytesMax: 70_000,
    historyBytesMax: 10_000,
    outboxBytesMax: 200_000,
    stallMs: 100,
  };
  const data = "x".repeat(60_000);

  test("of events loses its connection, and the others go on", async () => {
    await using broker = await testBroker({ limits });
    using asker = await lineClient(broker.pipe);
    using slow = await rawClient(broker.pipe);
    slow.write(`${JSON.stringify({ action: "hello", protocol: 1 })}\n`);
    const { session } = (await slow.next()) as { session: Greeted };
    slow.pause();
    const to = { session: session.id };
    for (let id = 1; id <= 30; id++) asker.say({ id, action: "send", to, event: "e", data });
    const answers = await replies(asker, 30);
    expect(answers.at(-1)).toMatchObject({ receivers: 0 });
    slow.resume();
    await slow.closed;
    expect(await asker.ask({ id: 1, action: "ping" })).toMatchObject({ ok: true });
  });

  // It counted as reached, for as long as what it had been told before was unread.
  test("that has hung up is told of no event, and nobody believes that it was", async () => {
    const config = brokerConfig({ runRoot: "" });
    const core = assembleBroker({
      config,
      endpoint: "",
      clock: new ManualClock(),
      collect: () => {},
      draining: () => {},
    });
    const said: string[] = [];
    const dial = (write: (data: string | Uint8Array) => number) =>
      core.connections.open(
        { write, pause: () => {}, resume: () => {}, end: () => {} },
        { door: "pipe", pid: undefined },
      );
    const slow = dial(() => 0);
    const asker = dial((data) => said.push(`${data}`) && data.length);
    slow?.receive(Buffer.from('{"action":"ping"}\n'));
    slow?.peerEnded();
    asker?.receive(Buffer.from(`{"action":"send","to":{"session":"${slow?.session.id}"},"event":"e","data":1}\n`));
    await until(() => said.length > 0);
    expect(JSON.parse(said.join(""))).toEqual({ ok: true, receivers: 0 });
    await core.stop();
  });

  test("of requests is asked as much as it may have at once, and the rest in its order as it answers", async () => {
    await using broker = await testBroker({ limits });
    using asker = await lineClient(broker.pipe);
    using slow = await responder(broker.pipe);
    // Large ones were pushed all at once, and cost a responder that was busy reading them its connection.
    await said(asker, ...Array.from({ length: 30 }, (_, index) => request(index + 1, { data })));
    const pushes = [await slow.next(), await slow.next()];
    expect(await slow.ask({ action: "ping" })).toMatchObject({ ok: true });
    for (let id = 1; id <= 30; id++) {
      slow.say({ id, action: "respond", request: pushes[id - 1]?.request, data: id });
      const told = await replies(slow, id <= 28 ? 2 : 1);
      pushes.push(...told.filter(({ push }) => push === "request"));
      expect(await asker.next()).toEqual({ id, ok: true, data: id });
    }
  });

  test("of requests that stops serving has those that it was not asked yet refused", async () => {
    await using broker = await testBroker({ limits });
    using asker = await lineClient(broker.pipe);
    using busy = await responder(broker.pipe);
    await said(asker, ...[1, 2, 3].map((id) => request(id, { data })));
    await busy.ask({ action: "ping" });
    busy.say({ action: "serve", method: "m", stop: true });
    expect(await asker.next()).toMatchObject({
      id: 3,
      error: "no_responder",
      message: expect.stringContaining("nobody serves it"),
    });
    busy[Symbol.dispose]();
    expect((await replies(asker, 2)).map(({ id, error }) => [id, error])).toEqual([
      [1, "responder_failed"],
      [2, "responder_failed"],
    ]);
  });
});

describe("kick", () => {
  test("ends a session that lingers, so that nobody can resume it", async () => {
    await using broker = await testBroker();
    using other = await lineClient(broker.pipe);
    const gone = await responder(broker.pipe, { lingerMs: 60_000 });
    await gone.ask({ action: "lease", key: "k", workerId: "w", scope: "session" });
    gone[Symbol.dispose]();
    const kick = { action: "kick", session: gone.session.id };
    expect(await other.ask(kick)).toEqual({ ok: true, kicked: true });
    expect(await other.ask(kick)).toEqual({ ok: true, kicked: false });
    expect(await other.ask({ action: "stats" })).toMatchObject({ stats: { leases: 0 } });
    using back = await lineClient(broker.pipe);
    expect(await hello(back, { session: gone.session })).toMatchObject({ resumed: false });
  });

  test("closes whoever kicks himself", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const { id } = await hello(client);
    client.say({ id: 1, action: "kick", session: id });
    expect(await client.next()).toEqual({ push: "closing", code: 3503, reason: "kicked" });
    await client.closed;
  });
});
