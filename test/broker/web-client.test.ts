/** What careless, slow, mute and hostile WebSocket clients get, and that the broker is there for the others meanwhile. */
import { describe, expect, test } from "bun:test";
import { decodeMulti, encode } from "@msgpack/msgpack";
import { DeadlineLine } from "../../src/broker/web/deadline-line.ts";
import { FailedAddresses } from "../../src/broker/web/failed-addresses.ts";
import { MapDecoder } from "../../src/msgpack/map-decoder.ts";
import { closeCodes } from "../../src/protocol/errors.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { SlowPeer } from "../support/slow-peer.ts";
import { until } from "../support/until.ts";
import { clientFrame, greetedClient, opcodes, webSocketClient } from "../support/web-socket.ts";

const ping = JSON.stringify({ action: "ping" });
const msgpack = { "Sec-WebSocket-Protocol": "ephemeral.v1.msgpack" };

describe("what cannot be read", () => {
  const open = { port: 0, insecureNoAuth: true, limits: { frameBytesMax: 4096, valueBytesMax: 2048 } };
  const hello = { action: "hello", protocol: 1 };

  test.each([
    ["no JSON", "{", "invalid_json"],
    ["an array", "[]", "invalid_json"],
    ["too deep", "[".repeat(100), "invalid_json"],
    ["no action", "{}", "unknown_action"],
  ])("%s is refused, and what comes behind it is not", async (_what, text, error) => {
    await using broker = await testBroker(open);
    using client = await webSocketClient(broker.url);
    await client.ask(hello);
    client.send(`${text}\n${ping}`);
    expect([await client.next(), await client.next()]).toMatchObject([{ error }, { ok: true }]);
  });

  test("three times in a row closes, before hello and after it", async () => {
    await using broker = await testBroker(open);
    for (const isGreeted of [false, true]) {
      using client = await webSocketClient(broker.url);
      if (isGreeted) await client.ask(hello);
      client.send("{\n{\n{");
      expect(await client.closed).toMatchObject({ code: closeCodes.badRequest });
    }
  });

  test.each([
    ["a text frame of one object", (bytes: number) => ping.padEnd(bytes)],
    ["a text frame, whose other object is small,", (bytes: number) => `${ping}\n${ping.padEnd(bytes)}`],
  ])("%s past frameBytesMax is too_large, and closes with 3501", async (_what, text) => {
    await using broker = await testBroker(open);
    using client = await webSocketClient(broker.url);
    await client.ask(hello);
    client.send(ping.padEnd(4096));
    expect(await client.next()).toMatchObject({ ok: true });
    client.send(text(4097));
    await client.closed;
    const answers = [await client.next(), await client.next()];
    expect(answers.find(({ ok }) => ok === false)).toMatchObject({ error: "too_large" });
    expect(await client.closed).toMatchObject({ code: closeCodes.badRequest });
  });

  test.each([
    ["binary on a JSON connection", {}, clientFrame(opcodes.binary, encode({ action: "ping" })), closeCodes.badRequest],
    ["text on a MessagePack connection", msgpack, clientFrame(opcodes.text, Buffer.from(ping)), closeCodes.badRequest],
    ["a message of more than any has", {}, clientFrame(opcodes.text, Buffer.alloc(1_060_000, 0x20)), 1009],
    ["text that is no UTF-8", {}, clientFrame(opcodes.text, Buffer.of(0xff, 0xfe)), 1007],
    ["a frame without its mask", {}, Buffer.of(0x81, 0x01, 0x20), undefined],
    ["an unknown opcode", {}, clientFrame(3, Buffer.from("x")), undefined],
    ["reserved bits", {}, Buffer.concat([Buffer.of(0xf1), clientFrame(1, Buffer.from("x")).subarray(1)]), undefined],
    ["a continuation of nothing", {}, clientFrame(0, Buffer.from("x")), undefined],
    ["no frames at all", {}, Buffer.from("GET / HTTP/1.1\r\n\r\n"), undefined],
  ])("%s closes", async (_what, headers, bytes, code) => {
    await using broker = await testBroker(open);
    using client = await webSocketClient(broker.url, headers);
    client.write(bytes);
    const closed = await client.closed;
    // What breaks the protocol below us the runtime closes as it sees fit.
    if (code !== undefined) expect(closed.code).toBe(code);
    using survivor = await webSocketClient(broker.url);
    expect(await survivor.ask(hello)).toMatchObject({ ok: true });
  });

  test("as MessagePack is refused to the end of its message; the next one is read", async () => {
    await using broker = await testBroker(open);
    using client = await webSocketClient(broker.url, msgpack);
    client.send(encode(hello));
    await client.next();
    const map = encode({ id: 1, action: "ping" });
    client.send(Buffer.concat([map, Buffer.of(0xc1), map]));
    client.send(map);
    const answers: unknown[] = [];
    while (answers.length < 3) answers.push(...decodeMulti((await client.next()).bytes as Uint8Array));
    expect(answers).toMatchObject([{ id: 1, ok: true }, { error: "invalid_json" }, { id: 1, ok: true }]);
  });
});

describe("MapDecoder.push()", () => {
  const maps = [encode({ a: 1 }), encode({}), encode({ list: [1, { deep: new Uint8Array(300) }] })];
  const message = Buffer.concat(maps);
  const framesOf = (bytes: Uint8Array, frameBytesMax = 1000): Buffer[] => {
    const frames: Buffer[] = [];
    new MapDecoder(frameBytesMax).push(bytes, (frame) => void frames.push(Buffer.from(frame)));
    return frames;
  };

  test("cuts a message into its maps, and what is none off whole", () => {
    expect(framesOf(message)).toEqual(maps.map((map) => Buffer.from(map)));
    expect(framesOf(Buffer.concat([message, Buffer.of(0x92, 1, 2, 0x80)])).at(-1)).toEqual(Buffer.of(0x92, 1, 2, 0x80));
    const cut = message.subarray(0, message.length - 1);
    expect(framesOf(cut).map(({ length }) => length)).toEqual([maps[0]?.length ?? 0, 1, (maps[2]?.length ?? 0) - 1]);
  });

  test("stops where it is told to, and says how far it came", () => {
    expect(new MapDecoder(1000).push(message, () => false)).toBe(maps[0]?.length ?? 0);
  });

  test("refuses a map past the bound", () => {
    expect(() => framesOf(message, 299)).toThrow("it has over 299 bytes, the limit");
  });
});

describe("a slow reader", () => {
  const value = "é".repeat(100_000);

  test.each([
    ["text", {}],
    ["binary", msgpack],
  ])("gets everything, whole and in order, in %s frames", async (kind, headers) => {
    await using broker = await testBroker({ port: 0, insecureNoAuth: true });
    using client = await webSocketClient(broker.url, headers);
    const say = (command: object): void => client.send(kind === "text" ? JSON.stringify(command) : encode(command));
    const read = async (): Promise<unknown[]> => {
      const message = await client.next();
      return kind === "text" ? [message] : [...decodeMulti(message.bytes as Uint8Array)];
    };
    say({ action: "hello", protocol: 1 });
    await read();
    say({ action: "set", key: "large", value, ttl: 60_000 });
    await read();
    client.pause();
    for (let id = 1; id <= 40; id++) say({ id, action: "get", key: "large" });
    using line = await lineClient(broker.pipe);
    await until(async () => {
      const { metrics } = await line.ask({ action: "metrics" });
      return Number(/operations_total\{action="get",result="success"[^}]*\} (\d+)/.exec(String(metrics))?.[1]) >= 10;
    });
    client.resume();
    const answers: unknown[] = [];
    while (answers.length < 40) answers.push(...(await read()));
    const ids = Array.from({ length: 40 }, (_, index) => index + 1);
    expect(answers.map((answer) => (answer as { id: number }).id)).toEqual(ids);
    expect(answers.every((answer) => (answer as { value: string }).value === value)).toBe(true);
    expect(kind === "text" ? client.binaries : client.texts).toBe(0);
  });

  test("of replies is closed with 3008 after stallMs", async () => {
    const log = recordedLog("info");
    await using broker = await testBroker({ port: 0, log, limits: { stallMs: 50 } });
    using client = await greetedClient(broker);
    await client.ask({ action: "set", key: "large", value, ttl: 60_000 });
    client.pause();
    for (let id = 1; id <= 100; id++) client.say({ id, action: "get", key: "large" });
    await until(() => log.of("connection closed").length === 1);
    expect(log.of("connection closed")[0]).toMatchObject({ code: closeCodes.slow });
  });

  /** One who was pinged just before so many replies lie unread that nothing it says is read, its answer to the ping included. */
  async function pausedClient() {
    const clock = new ManualClock();
    const log = recordedLog("info");
    const broker = await testBroker({ port: 0, log }, { clock });
    const client = await greetedClient(broker);
    await client.ask({ action: "set", key: "large", value, ttl: 600_000 });
    clock.advance(defaultLimits.pingIntervalMs);
    expect(await client.next()).toEqual({ push: "ping" });
    client.pause();
    for (let id = 1; id <= 100; id++) client.say({ id, action: "get", key: "large" });
    client.say({ action: "pong" });
    using line = await lineClient(broker.pipe);
    const counts: unknown[] = [];
    await until(async () => {
      const { metrics } = await line.ask({ action: "metrics" });
      counts.push(/operations_total\{action="get",result="success"[^}]*\} (\d+)/.exec(String(metrics))?.[1]);
      return Number(counts.at(-1)) > 20 && counts.at(-1) === counts.at(-4);
    });
    expect(Number(counts.at(-1))).toBeLessThan(100);
    const closings = (): readonly unknown[] => log.of("connection closed").filter(({ code }) => code !== undefined);
    return {
      clock,
      client,
      closings,
      async [Symbol.asyncDispose]() {
        client[Symbol.dispose]();
        await broker[Symbol.asyncDispose]();
      },
    };
  }

  // It was closed with 3012, for an answer that we had stopped to read.
  test("of replies is not blamed for a pong that we do not read meanwhile: it is closed with 3008", async () => {
    await using paused = await pausedClient();
    paused.clock.advance(defaultLimits.pongTimeoutMs);
    expect(paused.closings()).toEqual([]);
    paused.clock.advance(defaultLimits.stallMs - defaultLimits.pongTimeoutMs);
    expect(paused.closings()).toMatchObject([{ code: closeCodes.slow }]);
  });

  test("of replies that reads on in time has answered the ping, and goes on", async () => {
    await using paused = await pausedClient();
    const { client, clock } = paused;
    clock.advance(defaultLimits.pongTimeoutMs);
    client.resume();
    for (let id = 1; id <= 100; id++) expect(await client.next()).toMatchObject({ id, ok: true });
    expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
    clock.advance(defaultLimits.pingIntervalMs - 1);
    expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
    clock.advance(1);
    expect(await client.next()).toEqual({ push: "ping" });
    clock.advance(defaultLimits.pongTimeoutMs);
    expect(paused.closings()).toMatchObject([{ code: closeCodes.noPong }]);
  });

  test("of pushes is closed with 3008, and the others get them all", async () => {
    await using broker = await testBroker({ port: 0 });
    using slow = await greetedClient(broker);
    using quick = await greetedClient(broker);
    using line = await lineClient(broker.pipe);
    for (const client of [slow, quick]) await client.ask({ action: "subscribe", channel: "c" });
    slow.pause();
    const data = "x".repeat(200_000);
    for (let offset = 1; offset <= 80; offset++) {
      expect(await line.ask({ action: "publish", channel: "c", data })).toMatchObject({ offset });
      expect(await quick.next()).toMatchObject({ push: "message", offset });
    }
    slow.resume();
    expect(await slow.closed).toMatchObject({ code: closeCodes.slow });
  });
});

test("a flood of frames keeps nobody else waiting for long, and is answered to its end", async () => {
  await using broker = await testBroker({ port: 0 });
  using flooder = await greetedClient(broker);
  using other = await greetedClient(broker);
  const pings = 20_000;
  const frame = clientFrame(opcodes.text, Buffer.from(`${ping}\n`.repeat(10)));
  for (let sent = 0; sent < pings; sent += 10) flooder.write(frame);
  const startedAtMs = performance.now();
  expect(await other.ask({ action: "ping" })).toMatchObject({ ok: true });
  expect(performance.now() - startedAtMs).toBeLessThan(1000);
  for (let answered = 0; answered < pings; answered++) await flooder.next();
});

describe("a ping", () => {
  interface Reading {
    readonly bytesPerMs: number;
    readonly answers?: boolean;
    readonly diesAtMs?: number;
  }
  test.each<[string, Reading, number | undefined]>([
    ["answered as soon as it is heard, on a link of 100 KB a second", { bytesPerMs: 100, answers: true }, undefined],
    ["answered as soon as it is heard, on a link of 20 KB a second", { bytesPerMs: 20, answers: true }, undefined],
    ["of one who reads all at once and never answers", { bytesPerMs: 1e9 }, 33],
    ["of one who reads nothing", { bytesPerMs: 0 }, 33],
    ["of one who never answers, on a link of 100 KB a second", { bytesPerMs: 100 }, 36],
    ["of one who dies, which its kernel hides for 2 s", { bytesPerMs: 100, diesAtMs: 27_000 }, 41],
  ])("%s, while more is pushed than is read", (_what, { bytesPerMs, answers = false, diesAtMs = Infinity }, cutAtS) => {
    const peer = new SlowPeer({ answers });
    for (let atMs = 0; atMs < 600_000 && peer.cutAtMs === undefined; atMs += 100) {
      while (peer.outbox.bytesAtMost < defaultLimits.outboxBytesMax) peer.outbox.enqueue(Buffer.alloc(10_000));
      peer.outbox.flush();
      peer.take(atMs < diesAtMs ? bytesPerMs * 100 : 0);
      peer.clock.advance(100);
    }
    expect(peer.cutAtMs && Math.ceil(peer.cutAtMs / 1000)).toBe(cutAtS);
    expect(peer.pongs > 10).toBe(answers);
  });
});

describe("DeadlineLine", () => {
  test("is due in the order of setting, counts a deadline set anew from then, and keeps one alarm", () => {
    const clock = new ManualClock();
    const due: string[] = [];
    const line = new DeadlineLine<string>({ clock, afterMs: 100, due: (member) => void due.push(member) });
    line.set("a");
    clock.advance(50);
    for (const member of ["b", "c", "d"]) line.set(member);
    line.set("a");
    line.delete("c");
    expect(clock.alarmsPending).toBe(1);
    clock.advance(99);
    expect(due).toEqual([]);
    clock.advance(1);
    expect([due, line.has("b"), clock.alarmsPending]).toEqual([["b", "d", "a"], false, 0]);
  });

  test("sets again who is set while it is due, and forgets all when it is cleared", () => {
    const clock = new ManualClock();
    let rings = 0;
    const line = new DeadlineLine<string>({
      clock,
      afterMs: 10,
      due: (member) => {
        if (++rings < 3) line.set(member);
      },
    });
    line.set("again");
    clock.advance(1000);
    expect(rings).toBe(3);
    line.set("never");
    line.clear();
    clock.advance(1000);
    expect([rings, clock.alarmsPending]).toEqual([3, 0]);
  });
});

describe("FailedAddresses", () => {
  test("refuses an address for the rest of its minute, and no other", () => {
    const clock = new ManualClock();
    const failed = new FailedAddresses({ clock, failuresMax: 2 });
    const refusedForMs = (address: string) => failed.refusal(address)?.retryAfterMs;
    failed.add("a");
    clock.advance(20_000);
    expect(refusedForMs("a")).toBeUndefined();
    failed.add("a");
    expect([refusedForMs("a"), refusedForMs("b")]).toEqual([40_000, undefined]);
    clock.advance(40_000);
    expect(refusedForMs("a")).toBeUndefined();
    failed.add("a");
    expect(refusedForMs("a")).toBeUndefined();
  });

  test("remembers no more than 10,000", () => {
    const failed = new FailedAddresses({ clock: new ManualClock(), failuresMax: 1 });
    const refusedForMs = (address: string) => failed.refusal(address)?.retryAfterMs;
    for (let address = 0; address <= 10_000; address++) failed.add(String(address));
    expect([refusedForMs("0"), refusedForMs("1")]).toEqual([undefined, 60_000]);
  });
});
