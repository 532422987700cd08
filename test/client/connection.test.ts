import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Client } from "../../src/client/client.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { ManualClientClock } from "../support/manual-client-clock.ts";
import { quickClock } from "../support/quick-clock.ts";
import { helloReply, scriptedBroker } from "../support/scripted-broker.ts";

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ resolvedTo: value }),
    (error: unknown) => error,
  );

const unknownOutcome = { code: "unavailable", retryable: true, details: { outcome: "unknown" } };

describe("Client, on its connection", () => {
  test("dials nothing before the first command, then says hello and the command in one go", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe, { label: "worker 1" });
    expect(client.state).toBe("disconnected");
    const value = client.get("k");
    const connection = await broker.accepted();
    const hello = await connection.next();
    expect(hello).toMatchObject({
      id: 1,
      action: "hello",
      protocol: 1,
      client: { name: "ephemerald" },
      label: "worker 1",
    });
    const get = await connection.next();
    expect(get).toEqual({ id: 2, action: "get", key: "k" });
    connection.answer(hello, helloReply);
    connection.answer(get, { value: 7, version: 1 });
    expect(await value).toBe(7);
    expect(client.state).toBe("connected");
  });

  test("says the commands of one turn in one write, in order", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const sets = Array.from({ length: 5 }, (_, index) => client.set(`k${index}`, index));
    const connection = await broker.greeted();
    for (let index = 0; index < 5; index++) {
      const set = await connection.next();
      expect(set).toMatchObject({ action: "set", key: `k${index}`, value: index, ttl: 1_800_000 });
      connection.answer(set, { version: 10 + index });
    }
    expect(await Promise.all(sets)).toEqual([10, 11, 12, 13, 14]);
  });

  test("gives each caller its own answer when replies come in another order", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const values = ["a", "b", "c"].map((key) => client.get(key));
    const connection = await broker.greeted();
    const gets = [await connection.next(), await connection.next(), await connection.next()];
    for (const get of gets.reverse()) connection.answer(get, { value: `value of ${get.key}`, version: 1 });
    expect(await Promise.all(values)).toEqual(["value of a", "value of b", "value of c"]);
  });

  test("reads a reply cut at any byte", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const greeting = client.ping();
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { pong: 0 });
    await greeting;
    const text = 'é€😀\n"';
    const length = Buffer.byteLength(JSON.stringify({ id: 10, ok: true, value: text, version: 1 })) + 1;
    for (let cut = 1; cut < length; cut++) {
      const value = client.get("k");
      const bytes = Buffer.from(
        `${JSON.stringify({ id: (await connection.next()).id, ok: true, value: text, version: 1 })}\n`,
      );
      connection.write(bytes.subarray(0, cut));
      // A turn of the event loop lets the first half leave on its own.
      await new Promise((resolve) => setImmediate(resolve));
      connection.write(bytes.subarray(cut));
      expect(await value).toBe(text);
    }
  });

  test("writes the value as it was at the call", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const value = { count: 1 };
    const set = client.set("k", value);
    value.count = 2;
    const connection = await broker.greeted();
    const command = await connection.next();
    expect(command.value).toEqual({ count: 1 });
    connection.answer(command, { version: 1 });
    await set;
  });

  test("holds back what is more than the broker takes at once", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const first = client.ping();
    const connection = await broker.accepted();
    connection.answer(await connection.next(), {
      ...helloReply,
      limits: { ...helloReply.limits, commandsInFlightMax: 16 },
    });
    connection.answer(await connection.next(), { pong: 0 });
    await first;
    const gets = Array.from({ length: 40 }, (_, index) => client.get(`k${index}`));
    const seen: unknown[] = [];
    for (let answered = 0; answered < 40; answered++) {
      const get = await connection.next();
      seen.push(get.key);
      // Two of the sixteen are kept for cancel.
      expect(connection.waiting).toBeLessThan(14);
      connection.answer(get, { value: get.key, version: 1 });
    }
    expect(await Promise.all(gets)).toEqual(seen);
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => `k${index}`));
  });

  test("refuses a command larger than a frame and stays connected", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const ping = client.ping();
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { pong: 0 });
    await ping;
    const tooLarge = client.set("k", "€".repeat(400_000));
    expect(await reasonOf(tooLarge)).toMatchObject({ code: "too_large", message: expect.stringContaining("1048576") });
    const fits = client.set("k", "x".repeat(1_000_000));
    connection.answer(await connection.next(), { version: 2 });
    expect(await fits).toBe(2);
  });

  test("breaks off with a peer that speaks no JSON", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const set = reasonOf(client.set("k", 1));
    const connection = await broker.accepted();
    await connection.next();
    await connection.next();
    connection.write("HTTP/1.1 400 Bad Request\r\n");
    expect(await set).toMatchObject(unknownOutcome);
    await connection.closed;
  });
});

describe("Client, when the connection is cut", () => {
  test("sends reads again and fails the rest as of unknown outcome", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const reads = [client.get("a"), client.list(), client.stats(), client.ps(), client.metrics()];
    const writes = [client.set("b", 1), client.del("c"), client.lease("d", "w"), client.release("w")];
    const outcomes = Promise.all(writes.map(reasonOf));
    const connection = await broker.greeted();
    for (let count = 0; count < reads.length + writes.length; count++) await connection.next();
    connection.cut();
    for (const error of await outcomes) expect(error).toMatchObject(unknownOutcome);
    clock.advance(await clock.reconnectPlanned());

    const again = await broker.greeted();
    const actions: unknown[] = [];
    for (const fields of [{ value: 1 }, { items: {} }, { stats: {} }, { sessions: [] }, { metrics: "m" }]) {
      const command = await again.next();
      actions.push(command.action);
      again.answer(command, fields);
    }
    expect(actions).toEqual(["get", "list", "stats", "ps", "metrics"]);
    expect(await Promise.all(reads)).toEqual([1, {}, {}, [], "m"]);
    expect(again.waiting).toBe(0);
  });

  test("sends what was never written, whatever it is", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const ping = client.ping();
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { pong: 0 });
    await ping;
    connection.say({ push: "closing", code: 3001, reason: "shutdown", retryAfterMs: 300 });
    // The push and this answer come in one order: once the answer is read, so is the push.
    const get = client.get("fence");
    connection.answer(await connection.next(), { value: 1, version: 1 });
    await get;
    const set = client.set("k", 1);
    connection.cut();
    expect(await clock.reconnectPlanned()).toBe(300);
    clock.advance(300);
    const again = await broker.greeted();
    const command = await again.next();
    expect(command).toMatchObject({ action: "set", key: "k" });
    again.answer(command, { version: 4 });
    expect(await set).toBe(4);
  });

  test("a cut after the reply is nobody's business, and the next command dials again", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    for (let round = 0; round < 3; round++) {
      const set = client.set("k", round);
      const connection = await broker.greeted();
      connection.answer(await connection.next(), { version: round + 1 });
      expect(await set).toBe(round + 1);
      connection.cut();
      await until(() => client.state === "disconnected");
      expect(clock.reconnectsInMs).toEqual([]);
    }
  });

  test("half a reply is no reply", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe, { clock: new ManualClientClock() });
    const set = reasonOf(client.set("k", 1));
    const connection = await broker.greeted();
    const command = await connection.next();
    connection.write(`{"id":${command.id},"ok":true,"version":1}`);
    connection.cut();
    expect(await set).toMatchObject(unknownOutcome);
  });

  test("sends what it sends again before what came later", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const [first, fence] = [client.get("first"), client.get("fence")];
    const connection = await broker.greeted();
    await connection.next();
    connection.say({ push: "closing", code: 3001, reason: "shutdown" });
    connection.answer(await connection.next(), { value: 1, version: 1 });
    await fence;
    // The broker is leaving, so this one is held back while the first is on the wire.
    const later = client.get("later");
    connection.cut();
    clock.advance(await clock.reconnectPlanned());
    const again = await broker.greeted();
    for (const key of ["first", "later"]) {
      const command = await again.next();
      expect(command.key).toBe(key);
      again.answer(command, { value: key, version: 1 });
    }
    expect(await Promise.all([first, later])).toEqual(["first", "later"]);
  });

  test("a wait that is sent again asks for what is left of it", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const [bounded, endless] = [client.get("a", { waitMs: 10_000 }), client.get("b", { waitMs: -1 })];
    const connection = await broker.greeted();
    expect(await connection.next()).toMatchObject({ key: "a", waitMs: 10_000 });
    expect(await connection.next()).toMatchObject({ key: "b", waitMs: -1 });
    await until(() => client.state === "connected");
    clock.advance(6000);
    connection.cut();
    clock.advance(await clock.reconnectPlanned());
    const again = await broker.greeted();
    for (const waitMs of [3950, -1]) {
      const command = await again.next();
      expect(command.waitMs).toBe(waitMs);
      again.answer(command, { value: command.key, version: 1 });
    }
    expect(await Promise.all([bounded, endless])).toEqual(["a", "b"]);
  });

  test("stays away longer with each failure, and begins again after ten healthy seconds", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock({ random: 0.5 });
    using client = new Client(broker.pipe, { clock, timeoutMs: 600_000 });
    const value = client.get("k");
    for (const delayMs of [75, 100, 150, 250, 450]) {
      const connection = await broker.greeted();
      await connection.next();
      connection.cut();
      expect(await clock.reconnectPlanned()).toBe(delayMs);
      clock.advance(delayMs);
    }
    const connection = await broker.greeted();
    await until(() => client.state === "connected");
    clock.advance(10_000);
    connection.cut();
    expect(await clock.reconnectPlanned()).toBe(75);
    clock.advance(75);
    const last = await broker.greeted();
    last.answer(await last.next(), { value: "done", version: 1 });
    expect(await value).toBe("done");
  });
});

test("an answer without a number: a frame of ours was spoilt, and the connection is made anew", async () => {
  await using broker = await scriptedBroker();
  using client = new Client(broker.pipe, { clock: quickClock });
  const value = client.get("k");
  const connection = await broker.greeted();
  await connection.next();
  connection.say({ ok: false, error: "invalid_json", message: "Cannot read frame" });
  const next = await broker.greeted();
  next.answer(await next.next(), { value: "again", version: 1 });
  expect(await value).toBe("again");
});

describe("Client, told to go", () => {
  test.each([
    [3500, "auth_failed"],
    [3503, "unavailable"],
    [3504, "too_many_connections"],
    [3507, "forbidden"],
  ])("closing %d fails everything and stays away", async (code, errorCode) => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const outcomes = Promise.all([reasonOf(client.get("k")), reasonOf(client.set("k", 1))]);
    const connection = await broker.greeted();
    await connection.next();
    connection.say({ push: "closing", code, reason: "because" });
    const [get, set] = await outcomes;
    expect(get).toMatchObject({
      code: errorCode,
      details: { closeCode: code },
      message: expect.stringContaining("because"),
    });
    expect(set).toMatchObject({ code: errorCode, details: { closeCode: code, outcome: "unknown" } });
    expect(await reasonOf(client.ping())).toMatchObject({ code: errorCode });
    await connection.closed;
    expect({ state: client.state, dialled: broker.waiting, planned: clock.reconnectsInMs }).toEqual({
      state: "closed",
      dialled: 0,
      planned: [],
    });
  });

  test("hello refused for good refuses everything with its reason", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const get = reasonOf(client.get("k"));
    const connection = await broker.accepted();
    connection.refuse(await connection.next(), { error: "bad_command", message: "protocol 1 is too old" });
    expect(await get).toMatchObject({ code: "bad_command", message: "Cannot get: protocol 1 is too old" });
    expect(client.state).toBe("closed");
  });

  test("hello refused for now is tried again after the broker's delay", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const get = client.get("k");
    const connection = await broker.accepted();
    connection.refuse(await connection.next(), { error: "draining", message: "going down", retryAfterMs: 1234 });
    expect(await clock.reconnectPlanned()).toBe(1234);
    clock.advance(1234);
    const again = await broker.greeted();
    again.answer(await again.next(), { value: 5, version: 1 });
    expect(await get).toBe(5);
  });

  test("nothing counts that stands behind a refused hello", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const get = client.get("k");
    const connection = await broker.accepted();
    const [hello, command] = [await connection.next(), await connection.next()];
    const refusal = { id: hello.id, ok: false, error: "draining", message: "going down" };
    const forged = { id: command.id, ok: true, value: "forged", version: 1 };
    connection.write(`${JSON.stringify(refusal)}\n${JSON.stringify(forged)}\n`);
    clock.advance(await clock.reconnectPlanned());
    const again = await broker.greeted();
    again.answer(await again.next(), { value: "true", version: 1 });
    expect(await get).toBe("true");
  });

  test("close() lets a large command leave whole", async () => {
    await using broker = await scriptedBroker();
    const client = new Client(broker.pipe);
    const ping = client.ping();
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { pong: 0 });
    await ping;
    const outcome = reasonOf(client.set("k", "x".repeat(1_000_000)));
    client.close();
    expect(await outcome).toMatchObject({ code: "cancelled" });
    const { value } = await connection.next();
    expect(value).toHaveLength(1_000_000);
    await connection.closed;
  });

  test("close() fails what has no answer, sends what was said in its turn, and is final", async () => {
    await using broker = await scriptedBroker();
    const client = new Client(broker.pipe);
    const ping = client.ping();
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { pong: 0 });
    await ping;
    const outcomes = Promise.all([reasonOf(client.release("w")), reasonOf(client.get("k"))]);
    client.close();
    client.close();
    expect(await outcomes).toMatchObject([
      { code: "cancelled", details: { outcome: "unknown" } },
      { code: "cancelled" },
    ]);
    expect(await connection.next()).toMatchObject({ action: "release", workerId: "w" });
    await connection.closed;
    expect(await reasonOf(client.ping())).toMatchObject({ code: "cancelled", retryable: false });
    expect(broker.waiting).toBe(0);
  });
});

describe("Client, with a secret", () => {
  test("says nothing but the challenge to a broker that cannot prove itself", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe, { secret: "canary" });
    const set = reasonOf(client.set("k", "canary value"));
    const connection = await broker.accepted();
    const challenge = await connection.next();
    expect(challenge).toEqual({ id: 1, action: "challenge" });
    connection.answer(challenge, { nonce: "00".repeat(16) });
    const hello = await connection.next();
    expect(hello).toMatchObject({ action: "hello", auth: { nonce: expect.stringMatching(/^[0-9a-f]{32}$/) } });
    expect(JSON.stringify(hello)).not.toContain("canary");
    connection.answer(hello, { ...helloReply, auth: { proof: "00".repeat(32) } });
    expect(await set).toMatchObject({ code: "auth_failed", message: expect.stringContaining("its proof is wrong") });
    await connection.closed;
    expect({ said: connection.waiting, state: client.state }).toEqual({ said: 0, state: "closed" });
  });
});

describe("Client, in time", () => {
  test("a command without an answer fails after timeoutMs, a late answer disturbs nobody", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock, timeoutMs: 100 });
    const outcomes = Promise.all([reasonOf(client.get("k")), reasonOf(client.del("k"))]);
    const connection = await broker.greeted();
    const [get, del] = [await connection.next(), await connection.next()];
    await until(() => client.state === "connected");
    clock.advance(99);
    expect(client.state).toBe("connected");
    clock.advance(1);
    expect(await outcomes).toMatchObject([{ code: "timeout" }, { code: "timeout", details: { outcome: "unknown" } }]);
    expect((await outcomes)[0]).not.toHaveProperty("details");
    connection.answer(get, { value: "late", version: 1 });
    connection.answer(del, { deleted: true });
    const next = client.get("k");
    connection.answer(await connection.next(), { value: "in time", version: 1 });
    expect(await next).toBe("in time");
  });

  test("timeoutMs leaves a waiting command alone", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock, timeoutMs: 100 });
    const value = client.get("k", { waitMs: -1 });
    const connection = await broker.greeted();
    const get = await connection.next();
    await until(() => client.state === "connected");
    clock.advance(100_000);
    connection.answer(get, { value: "at last", version: 1 });
    expect(await value).toBe("at last");
  });

  test("a waiting command that lacks room may wait for it", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock, timeoutMs: 100 });
    const ping = client.ping();
    const connection = await broker.accepted();
    const limits = { ...helloReply.limits, commandsInFlightMax: 4 };
    connection.answer(await connection.next(), { ...helloReply, limits });
    connection.answer(await connection.next(), { pong: 0 });
    await ping;
    const waits = Array.from({ length: 6 }, (_, index) => client.get(`k${index}`, { waitMs: -1 }));
    const instant = reasonOf(client.get("now"));
    clock.advance(1000);
    expect(await instant).toMatchObject({ code: "timeout" });
    for (let index = 0; index < 6; index++) connection.answer(await connection.next(), { value: index, version: 1 });
    expect(await Promise.all(waits)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("a lease granted after its caller timed out is released", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock, timeoutMs: 100 });
    const lease = reasonOf(client.lease("accounts", "w1"));
    const connection = await broker.greeted();
    const command = await connection.next();
    await until(() => client.state === "connected");
    clock.advance(100);
    expect(await lease).toMatchObject({ code: "timeout" });
    connection.answer(command, { value: 0, fence: 9 });
    expect(await connection.next()).toMatchObject({ action: "release", key: "accounts", workerId: "w1" });
  });

  test("a broker that accepts and never greets is unavailable, and dialled anew", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock, timeoutMs: 100, secret: "s" });
    const get = reasonOf(client.get("k"));
    const connection = await broker.accepted();
    await connection.next();
    clock.advance(100);
    expect(await get).toMatchObject({ code: "unavailable", message: expect.stringContaining("it does not answer") });
    await connection.closed;
  });

  test("waits for a broker that starts later, even for one that waits", async () => {
    using directory = temporaryDirectory();
    const pipe = join(directory.path, "sock");
    using client = new Client(pipe, { timeoutMs: 20_000 });
    const [set, get] = [client.set("k", 1), client.get("k", { waitMs: -1 })];
    await until(() => client.state === "reconnecting");
    await using broker = await scriptedBroker(pipe);
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { version: 1 });
    connection.answer(await connection.next(), { value: 1, version: 1 });
    expect(await Promise.all([set, get])).toEqual([1, 1]);
  });

  test("gives up on a broker that never starts, with path, reason and remedy", async () => {
    using directory = temporaryDirectory();
    const pipe = join(directory.path, "sock");
    const clock = new ManualClientClock();
    using client = new Client(pipe, { clock, timeoutMs: 1000 });
    const outcomes = Promise.all([reasonOf(client.set("k", 1)), reasonOf(client.get("k", { waitMs: -1 }))]);
    await clock.reconnectPlanned();
    clock.advance(1000);
    for (const error of await outcomes) {
      expect(error).toMatchObject({ code: "unavailable", retryable: true });
      const { message } = error as Error;
      for (const part of [pipe, "within 1000 ms", "ENOENT", "ephemeral start -- <command>"])
        expect(message).toContain(part);
    }
    // Nobody waits any more, so nobody dials.
    await until(() => client.state === "disconnected");
    expect(clock.reconnectsInMs).toEqual([]);
  });
});

describe("Client, with a signal", () => {
  test("one that was aborted before sends nothing", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const get = client.get("k", { waitMs: -1, signal: AbortSignal.abort("no more") });
    expect(await reasonOf(get)).toBe("no more");
    expect(client.state).toBe("disconnected");
  });

  test("one that aborts before the command is written takes it out", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe, { secret: undefined });
    const controller = new AbortController();
    const [given, kept] = [client.get("given up", { waitMs: -1, signal: controller.signal }), client.get("kept")];
    controller.abort(new Error("enough"));
    expect(await reasonOf(given)).toMatchObject({ message: "enough" });
    const connection = await broker.greeted();
    const command = await connection.next();
    expect(command.key).toBe("kept");
    connection.answer(command, { value: 1, version: 1 });
    expect(await kept).toBe(1);
  });

  test("one that aborts the last call while there is no broker stops the dialling", async () => {
    using directory = temporaryDirectory();
    const clock = new ManualClientClock();
    using client = new Client(join(directory.path, "sock"), { clock });
    const controller = new AbortController();
    const get = reasonOf(client.get("k", { waitMs: -1, signal: controller.signal }));
    await clock.reconnectPlanned();
    controller.abort("enough");
    expect(await get).toBe("enough");
    expect({ state: client.state, planned: clock.reconnectsInMs }).toEqual({ state: "disconnected", planned: [] });
  });

  test("one that aborts between two connections says nothing on the second", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock });
    const controller = new AbortController();
    const given = reasonOf(client.get("given up", { waitMs: -1, signal: controller.signal }));
    const kept = client.get("kept");
    const connection = await broker.greeted();
    await connection.next();
    await connection.next();
    connection.cut();
    clock.advance(await clock.reconnectPlanned());
    controller.abort("enough");
    expect(await given).toBe("enough");
    const again = await broker.accepted();
    const hello = await again.next();
    expect(hello.action).toBe("hello");
    again.answer(hello, helloReply);
    const command = await again.next();
    expect(command.key).toBe("kept");
    again.answer(command, { value: 1, version: 1 });
    expect(await kept).toBe(1);
  });

  test("one that aborts a wait rejects at once and sends cancel", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const controller = new AbortController();
    const get = client.get("k", { waitMs: -1, signal: controller.signal });
    const connection = await broker.greeted();
    const command = await connection.next();
    controller.abort();
    expect(await reasonOf(get)).toMatchObject({ name: "AbortError" });
    const cancel = await connection.next();
    expect(cancel).toMatchObject({ action: "cancel", target: command.id as number });
    connection.refuse(command, { error: "cancelled", message: "cancelled" });
    connection.answer(cancel, { cancelled: true });
    const ping = client.ping();
    connection.answer(await connection.next(), { pong: 0 });
    expect(await ping).toBeNumber();
  });

  test.each(["before", "after"])(
    "a lease whose grant won the race is given back, granted %s the cancel reply",
    async (order) => {
      await using broker = await scriptedBroker();
      using client = new Client(broker.pipe);
      const controller = new AbortController();
      const lease = client.lease("accounts", "w1", null, { size: 1, waitMs: -1, signal: controller.signal });
      const connection = await broker.greeted();
      const command = await connection.next();
      controller.abort("gone");
      expect(await reasonOf(lease)).toBe("gone");
      const cancel = await connection.next();
      if (order === "before") connection.answer(command, { value: 0, fence: 5 });
      connection.answer(cancel, { cancelled: false });
      if (order === "after") connection.answer(command, { value: 0, fence: 5 });
      const release = await connection.next();
      expect(release).toMatchObject({ action: "release", key: "accounts", workerId: "w1" });
      connection.answer(release, { released: true });
    },
  );

  test("is let go of with the answer", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const controller = new AbortController();
    const get = client.get("k", { waitMs: -1, signal: controller.signal });
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { value: 1, version: 1 });
    await get;
    controller.abort();
    const ping = client.ping();
    const next = await connection.next();
    expect(next.action).toBe("ping");
    connection.answer(next, { pong: 0 });
    await ping;
  });
});

/** Resolves once `condition` holds; looks at every turn of the event loop. */
async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`never came true: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
