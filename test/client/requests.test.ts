import { describe, expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { msgpack } from "../../src/msgpack/client-codec.ts";
import { closeCodes } from "../../src/protocol/errors.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { bundleClient, runScript } from "../support/client-bundle.ts";
import { ManualClientClock } from "../support/manual-client-clock.ts";
import { quickClock } from "../support/quick-clock.ts";
import {
  helloReply,
  type ScriptedBroker,
  type ScriptedConnection,
  scriptedBroker,
} from "../support/scripted-broker.ts";

/** Answers of a handler that are given when the test says so. */
function heldAnswers() {
  const held: { readonly data: unknown; readonly answer: (value: unknown) => void }[] = [];
  let came = Promise.withResolvers<void>();
  return {
    held,
    handler: (data: unknown) => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      held.push({ data, answer: resolve });
      came.resolve();
      came = Promise.withResolvers();
      return promise;
    },
    async until(count: number): Promise<void> {
      while (held.length < count) await came.promise;
    },
  };
}

/** A client that serves `m` at a scripted broker. */
async function serving(broker: ScriptedBroker, handler: (data: unknown) => unknown, lingerMs = 0) {
  const client = new Client(broker.pipe, { clock: quickClock, lingerMs });
  const starting = client.serve("m", handler);
  const connection = await broker.greeted();
  await took(connection, { action: "serve", method: "m" });
  return { client, connection, service: await starting };
}

/** The next connection, told that its session goes on. */
async function resumed(broker: ScriptedBroker): Promise<ScriptedConnection> {
  const connection = await broker.accepted();
  const hello = await connection.next();
  expect(hello).toMatchObject({ session: { id: "s1" } });
  connection.answer(hello, { ...helloReply, session: { ...helloReply.session, resumed: true } });
  return connection;
}

/** Answers the next command, which is to be `wanted`. */
async function took(connection: ScriptedConnection, wanted: object, fields: object = {}): Promise<void> {
  const command = await connection.next();
  expect(command).toMatchObject(wanted);
  connection.answer(command, fields);
}

const pushOf = (request: number, data: unknown): object => ({
  push: "request",
  request,
  method: "m",
  data,
  from: "s9",
});

describe("Client.serve() and Client.request()", () => {
  test("carry JSON and bytes there and back, many at a time, each to who asked", async () => {
    await using broker = await testBroker();
    using responder = new Client(broker.pipe);
    using asker = new Client(broker.pipe);
    const service = await responder.serve<number[]>("sum", async (numbers) => numbers.reduce((a, b) => a + b, 0));
    await responder.serve("echo", (data, { from }) => ({ data, from }));
    expect(service.method).toBe("sum");
    const sums = await Promise.all(Array.from({ length: 50 }, (_, n) => asker.request("sum", [n, 1])));
    expect(sums).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    const bytes = Uint8Array.of(1, 2, 3);
    const echoed = await asker.request<{ data: unknown; from: string }>("echo", { bytes });
    expect(echoed.data).toEqual({ bytes });
    expect(echoed.from).toMatch(/^s\d+$/);
    expect(await asker.request<{ data: unknown }>("echo")).toMatchObject({ data: null });
    await service.stop();
    await service.stop();
    await expect(asker.request("sum", [1])).rejects.toMatchObject({ code: "no_responder", retryable: true });
  });

  test.each<[what: string, answer: () => unknown, text: string]>([
    ["what is thrown", () => Promise.reject(new Error("no such account")), "no such account"],
    ["what is no error", () => Promise.reject("a word"), "a word"],
    ["a value that cannot be sent", () => 1n, "wanted JSON or a Uint8Array"],
    ["a value that is too large", () => "x".repeat(300_000), "value"],
    ["a value over a frame", () => "x".repeat(2_000_000), "limit is 1048576"],
  ])("tell who asked of %s", async (_what, answer, text) => {
    await using broker = await testBroker();
    using responder = new Client(broker.pipe, { label: "the responder" });
    using asker = new Client(broker.pipe);
    await responder.serve("m", answer);
    const failing = asker.request("m");
    await expect(failing).rejects.toMatchObject({ code: "responder_failed" });
    await expect(failing).rejects.toThrow(text);
    await expect(failing).rejects.toThrow("the responder failed");
  });

  test("wait for somebody with waitMs, and are given up by a signal", async () => {
    await using broker = await testBroker();
    using responder = new Client(broker.pipe);
    using asker = new Client(broker.pipe);
    const early = asker.request("m", "early", { waitMs: 5000 });
    const { held, handler, until } = heldAnswers();
    await asker.ping();
    await responder.serve("m", handler);
    await until(1);
    held[0]?.answer("late");
    expect(await early).toBe("late");
    const controller = new AbortController();
    const given = asker.request("m", 1, { signal: controller.signal });
    await until(2);
    controller.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    while ((await asker.stats()).waits > 0);
    await expect(asker.request("nobody", 1, { waitMs: 1 })).rejects.toMatchObject({ code: "timeout" });
  });

  test.each([
    ["MessagePack asks JSON", { codec: msgpack }, {}],
    ["JSON asks MessagePack", {}, { codec: msgpack }],
  ])("speak any codec: %s", async (_what, asking, answering) => {
    await using broker = await testBroker();
    using responder = new Client(broker.pipe, answering);
    using asker = new Client(broker.pipe, asking);
    const data = { bytes: Uint8Array.of(0, 255), list: [1, "é", null], $binary: "no bytes" };
    await responder.serve("echo", (given) => given);
    expect(await asker.request("echo", data)).toEqual(data);
    const told = Promise.withResolvers<unknown>();
    await responder.onEvent("e", told.resolve);
    const [own] = (await asker.ps()).filter(({ serves }) => serves !== undefined);
    expect(await asker.send({ session: own?.session ?? "" }, "e", data)).toBe(1);
    expect(await told.promise).toEqual(data);
  });

  test("serve a method once a client", async () => {
    await using broker = await testBroker({ limits: { methodsPerSessionMax: 1 } });
    using client = new Client(broker.pipe);
    await client.serve("a", () => 1);
    await expect(client.serve("a", () => 2)).rejects.toMatchObject({ code: "bad_command" });
    await expect(client.serve("b", () => 2)).rejects.toMatchObject({ code: "too_many_names" });
    expect(await client.request("a")).toBe(1);
  });

  test("have no time limit of their own: the answer may take longer than timeoutMs", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock, timeoutMs: 5000 });
    const ping = client.ping();
    const connection = await broker.greeted();
    await took(connection, { action: "ping" }, { pong: 0 });
    await ping;
    const asking = client.request("m", 1);
    const command = await connection.next();
    expect(command).toEqual({ id: expect.any(Number), action: "request", method: "m", data: 1 });
    clock.advance(60_000);
    connection.answer(command, { data: "at last" });
    expect(await asking).toBe("at last");
  });
});

describe("a served method", () => {
  test("is served again on the next connection, also when the session is another", async () => {
    await using broker = await scriptedBroker();
    const { client, connection, service } = await serving(broker, (data) => data);
    connection.say(pushOf(1, "first"));
    await took(connection, { action: "respond", request: 1, data: "first" }, { responded: true });
    connection.cut();
    const next = await broker.greeted();
    await took(next, { action: "serve", method: "m" });
    next.say(pushOf(2, "second"));
    await took(next, { action: "respond", request: 2, data: "second" }, { responded: true });
    const stopping = service.stop();
    const command = await next.next();
    // What was asked before the broker knew is answered.
    next.say(pushOf(3, "third"));
    next.answer(command);
    await took(next, { action: "respond", request: 3, data: "third" }, { responded: true });
    await stopping;
    client.close();
  });

  test("answers a request once, though it is pushed again when the session goes on", async () => {
    await using broker = await scriptedBroker();
    const { held, handler, until } = heldAnswers();
    const { client, connection } = await serving(broker, handler, 60_000);
    connection.say(pushOf(1, "once"));
    await until(1);
    connection.cut();
    const next = await resumed(broker);
    next.say(pushOf(1, "once"));
    next.say(pushOf(2, "other"));
    await took(next, { action: "serve", method: "m" });
    await until(2);
    expect(held.map(({ data }) => data)).toEqual(["once", "other"]);
    held[0]?.answer("done");
    // The answer is lost with its connection, and said again.
    expect(await next.next()).toMatchObject({ action: "respond", request: 1, data: "done" });
    next.cut();
    const last = await resumed(broker);
    last.say(pushOf(1, "once"));
    const said = [await last.next(), await last.next()];
    expect(said.map(({ action }) => action).sort()).toEqual(["respond", "serve"]);
    expect(said).toContainEqual(expect.objectContaining({ action: "respond", request: 1, data: "done" }));
    for (const command of said) last.answer(command, { responded: true });
    held[1]?.answer("done too");
    await took(last, { action: "respond", request: 2, data: "done too" }, { responded: true });
    expect(held).toHaveLength(2);
    client.close();
  });

  test("is over when the client is kicked: it stays away, and says so", async () => {
    await using broker = await testBroker();
    using responder = new Client(broker.pipe);
    using other = new Client(broker.pipe);
    const lost = Promise.withResolvers<Error>();
    const deaf = Promise.withResolvers<Error>();
    await responder.serve("who", (_data, { from }) => from, { onLost: lost.resolve });
    await responder.onEvent("e", () => {}, { onLost: deaf.resolve });
    const [one] = (await other.ps()).filter(({ serves }) => serves?.includes("who"));
    using raw = await lineClient(broker.pipe);
    expect(await raw.ask({ action: "kick", session: one?.session })).toEqual({ ok: true, kicked: true });
    expect(await lost.promise).toMatchObject({ code: "unavailable", details: { closeCode: closeCodes.kicked } });
    expect(await deaf.promise).toMatchObject({ code: "unavailable" });
    expect(responder.state).toBe("closed");
    await expect(responder.ping()).rejects.toThrow("kicked");
    expect((await other.ps()).map(({ session }) => session)).not.toContain(one?.session);
  });
});

describe("Client.send() and Client.onEvent()", () => {
  // Reading changed what the next one read: bytes came of what looked like bytes, and one listener's changes were another's.
  test("tell each listener of an event the same", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const told: unknown[] = [];
    for (let listener = 0; listener < 3; listener++) await client.onEvent("e", (data) => told.push(data));
    const [one] = await client.ps();
    const data = { looksLikeBytes: { $$binary: { $binary: "AQ==" } }, bytes: Uint8Array.of(1) };
    await client.send({ session: one?.session ?? "" }, "e", data);
    await client.ping();
    expect(told).toEqual([data, data, data]);
  });

  test("reach the session that is meant, its listeners of that event, until they are stopped", async () => {
    await using broker = await testBroker();
    using listener = new Client(broker.pipe);
    using sender = new Client(broker.pipe);
    const told: unknown[] = [];
    const heard = Promise.withResolvers<void>();
    const stop = await listener.onEvent("greeting", (data) => told.push(data));
    await listener.onEvent("greeting", (data, { from }) => told.push([data, from]));
    await listener.onEvent("end", () => heard.resolve());
    await listener.serve("id", () => null);
    const session = (await sender.ps()).find(({ serves }) => serves !== undefined)?.session ?? "";
    expect(await sender.send({ session }, "greeting", { bytes: Uint8Array.of(1) })).toBe(1);
    expect(await sender.send({ session }, "other", 1)).toBe(1);
    await listener.ping();
    stop();
    expect(await sender.send({ session }, "greeting")).toBe(1);
    expect(await sender.send({ session }, "end")).toBe(1);
    await heard.promise;
    expect(told).toEqual([
      { bytes: Uint8Array.of(1) },
      [{ bytes: Uint8Array.of(1) }, expect.stringMatching(/^s\d+$/)],
      [null, expect.stringMatching(/^s\d+$/)],
    ]);
    expect(await sender.send({ session: "s99" }, "greeting")).toBe(0);
    expect(await sender.send({ user: "ada" }, "greeting")).toBe(0);
  });

  test("come back for listeners alone after a lost connection", async () => {
    await using broker = await scriptedBroker();
    const client = new Client(broker.pipe, { clock: quickClock });
    const told = Promise.withResolvers<unknown>();
    const listening = client.onEvent("e", told.resolve);
    const connection = await broker.greeted();
    await took(connection, { action: "ping" }, { pong: 0 });
    await listening;
    connection.cut();
    const next = await broker.greeted();
    await took(next, { action: "ping" }, { pong: 0 });
    next.say({ push: "event", event: "e", data: "again", from: "s2" });
    expect(await told.promise).toBe("again");
    client.close();
  });
});

describe.each(["node", "bun"])("a served method on %s", (runtime) => {
  const command = runtime === "bun" ? process.execPath : runtime;
  const script = (options: string, rest: string): string => `
      const client = new Client();
      const service = await client.serve("double", async (n) => 2 * n, ${options});
      const stop = await client.onEvent("stop", async () => { stop(); await service.stop(); console.log("stopped"); }, ${options});
      ${rest}`;

  test("keeps the process alive until it is stopped", async () => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const running = runScript([command, await bundle.script(script("{}", ""))], broker.pipe);
    using asker = new Client(broker.pipe);
    expect(await asker.request<number>("double", 21, { waitMs: 10_000 })).toBe(42);
    const [session = ""] = (await asker.ps()).flatMap((one) => (one.serves === undefined ? [] : [one.session]));
    expect(await asker.send({ session }, "other")).toBe(1);
    // The listener comes behind the service: the first of these may be too early for it.
    while ((await asker.send({ session }, "stop")) > 0);
    expect(await running).toEqual({ stdout: "stopped\n", stderr: "", code: 0 });
  });

  test("lets the process end when told to", async () => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const path = await bundle.script(script("{ unref: true }", 'console.log("end");'));
    expect(await runScript([command, path], broker.pipe)).toEqual({ stdout: "end\n", stderr: "", code: 0 });
  });
});
