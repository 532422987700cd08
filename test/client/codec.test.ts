import { describe, expect, test } from "bun:test";
import { Client, type ClientCodec } from "../../src/client/client.ts";
import { json } from "../../src/client/json-codec.ts";
import { msgpack } from "../../src/msgpack/client-codec.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { HeardChannel } from "../support/heard-channel.ts";
import { refusal } from "../support/refusal.ts";

const codecs = [
  ["json", json],
  ["msgpack", msgpack],
] as const;
const other = (codec: ClientCodec): ClientCodec => (codec === json ? msgpack : json);

const values: readonly (readonly [string, unknown])[] = [
  ["null", null],
  ["a number", -1.5e300],
  ["the largest integer", Number.MAX_SAFE_INTEGER],
  ["text", "é€😀\n\u0000"],
  ["bytes", Uint8Array.of(0, 255, 10, 13)],
  ["no bytes", new Uint8Array(0)],
  ["bytes in a list in an object", { list: [Uint8Array.of(1), { deep: Uint8Array.of(2) }], n: 1 }],
  ["what looks like bytes in JSON", { $binary: "AAEC" }],
  ["what looks like that escaped", { $$binary: { $binary: [1] } }],
  ["an empty object", {}],
  ["64 levels", Array.from({ length: 62 }).reduce((inner) => [inner], [1])],
];

// The whole recovery was refused, again each time it was asked for, while newer messages went by unheard.
test("A subscription by MessagePack recovers around a message that it cannot read, and says which is lost", async () => {
  await using broker = await testBroker();
  using writer = new Client(broker.pipe);
  using reader = new Client(broker.pipe, { codec: msgpack });
  const { epoch } = await writer.publish("room", 1);
  for (const data of [2, JSON.parse('{"__proto__":3}'), 4, JSON.parse('{"__proto__":5}')])
    await writer.publish("room", data);
  const room = new HeardChannel();
  await reader.subscribe("room", room.handler, { recover: { epoch, offset: 1 }, onEvent: room.onEvent });
  await writer.publish("room", 6);
  expect(await room.until(6)).toEqual(["2", "lost 3-3", "4", "lost 5-5", "recovered 2", "6"]);
});

// Whoever wrote such a message by himself cut every listener's connection, and with it what they held; as an event it ended
// their processes.
test.each(codecs)(
  "A client with the codec %s hears what is written as bytes and is no base64 as it is",
  async (_name, codec) => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { codec, label: "reader" });
    using raw = await lineClient(broker.pipe);
    const bad = { $binary: "*" };
    const room = new HeardChannel();
    await client.subscribe("room", (told) => room.handler({ ...told, data: JSON.stringify(told.data) }), {
      onEvent: room.onEvent,
    });
    const { promise: event, resolve } = Promise.withResolvers<unknown>();
    await client.onEvent("e", resolve);
    const session = (await client.ps()).find(({ label }) => label === "reader")?.session;
    await raw.ask({ action: "publish", channel: "room", data: bad });
    await raw.ask({ action: "publish", channel: "room", data: 2 });
    await raw.ask({ action: "send", to: { session }, event: "e", data: bad });
    await raw.ask({ action: "queue.push", queue: "q", items: [{ data: bad }], closes: true });
    expect(await room.until(2)).toEqual([JSON.stringify(bad), "2"]);
    expect(await event).toEqual(bad);
    expect((await client.history("room", { limit: 10 })).messages.map(({ data }) => data)).toEqual([bad, 2]);
    const jobs: unknown[] = [];
    for await (const { data } of client.queue("q")) jobs.push(data);
    expect(jobs).toEqual([bad]);
  },
);

describe.each(codecs)("Client with the codec %s", (_name, codec) => {
  test.each(values)("stores %s, and a client of the other codec reads the same", async (_what, value) => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { codec });
    using reader = new Client(broker.pipe, { codec: other(codec) });
    await client.set("k", value);
    expect(await Promise.all([client.get("k"), reader.get("k")])).toEqual([value, value]);
  });

  test("speaks every command", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { codec });
    const version = await client.set("k", 1);
    await client.set("__proto__", 2);
    const waiting = client.get("later", { waitMs: 10_000 });
    await client.set("later", Uint8Array.of(3));
    expect(await waiting).toEqual(Uint8Array.of(3));
    const items = await client.list();
    expect([Object.keys(items), items.k?.version]).toEqual([["k", "__proto__", "later"], version]);
    expect(await client.del("k", { version })).toBe(true);
    expect(await client.lease("accounts", "w", 60_000, { size: 1, waitMs: 10 })).toBe(0);
    expect(await client.release("w", "accounts")).toBe(true);
    expect(await client.once("login", () => ({ token: Uint8Array.of(9) }))).toEqual({ token: Uint8Array.of(9) });
    expect(await client.once<unknown>("login", () => expect.unreachable())).toEqual({ token: Uint8Array.of(9) });
    expect(await client.ping()).toBeGreaterThanOrEqual(0);
    expect((await client.stats()).items).toBe(3);
    expect((await client.health()).status).toBe("healthy");
    expect(await client.metrics()).toContain("# TYPE");
    expect(await client.ps()).toHaveLength(1);
  });

  test("gives a wait up", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { codec });
    await client.ping();
    const controller = new AbortController();
    const get = client.get("never", { waitMs: -1, signal: controller.signal }).catch((reason: unknown) => reason);
    controller.abort("enough");
    expect(await get).toBe("enough");
    // Behind the cancel, so it has been done.
    expect((await client.stats()).waits).toBe(0);
  });

  test("proves that it knows the secret", async () => {
    await using broker = await testBroker({ secret: "s3cret" });
    using client = new Client(broker.pipe, { codec, secret: "s3cret" });
    await client.set("k", 1);
    using stranger = new Client(broker.pipe, { codec, secret: "other" });
    expect(await stranger.get("k").catch((error: unknown) => error)).toMatchObject({ code: "auth_failed" });
  });

  test("compresses as the seed does, read by any codec", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { codec, compression: true });
    using reader = new Client(broker.pipe, { codec: other(codec) });
    const value = { text: "x".repeat(5000), bytes: Uint8Array.of(1, 2) };
    await client.set("long", value);
    await client.set("short", Uint8Array.of(1));
    expect(await Promise.all([reader.get("long"), reader.get("short")])).toEqual([value, Uint8Array.of(1)]);
    expect((await client.stats()).memory.approximateStoreBytes).toBeLessThan(2000);
  });

  test("sends what stood there at the call, whatever the caller changes afterwards", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { codec });
    const value = { list: [1], bytes: Uint8Array.of(1) };
    const set = client.set("k", value);
    value.list.push(2);
    value.bytes[0] = 2;
    await set;
    expect(await client.get("k")).toEqual({ list: [1], bytes: Uint8Array.of(1) });
  });

  test("refuses what a frame cannot hold, and one byte less goes through", async () => {
    const limits = { frameBytesMax: 1000, valueBytesMax: 900 };
    await using broker = await testBroker({ limits });
    using client = new Client(broker.pipe, { codec });
    await client.ping();
    await client.set("k", "x".repeat(800));
    const tooLarge = client.set("k", "x".repeat(1000)).catch((error: unknown) => error);
    expect(await tooLarge).toMatchObject({ code: "too_large", message: expect.stringContaining("1000") });
    expect(await client.get("k")).toHaveLength(800);
  });
});

describe("ClientCodec.toMember()", () => {
  class Point {
    readonly x = 1;
  }
  const cycle: unknown[] = [];
  cycle.push(cycle);

  test.each([
    ["a Date", new Date(0)],
    ["a bigint", 1n],
    ["NaN", Number.NaN],
    ["an infinity", Number.POSITIVE_INFINITY],
    ["a function", () => 1],
    ["a symbol", Symbol("s")],
    ["a Map", new Map()],
    ["a Set", new Set()],
    ["undefined", undefined],
    ["a hole in a list", new Array(1)],
    ["another typed array", Uint16Array.of(1)],
    ["an ArrayBuffer", new ArrayBuffer(1)],
    ["an instance of a class", new Point()],
    ["a cycle", cycle],
    ["65 levels", Array.from({ length: 63 }).reduce((inner) => [inner], [1])],
  ])("refuses %s in both codecs in the same words", (_what, value) => {
    for (const wrapped of [value, { v: value }, [value]]) {
      if (wrapped instanceof Object && "v" in wrapped && wrapped.v === undefined) continue;
      const errors = codecs.map(([, codec]) => refusal(() => codec.toMember(wrapped)));
      expect(errors.map((error) => error.code)).toEqual(["bad_command", "bad_command"]);
      expect(errors[0]?.message).toBe(errors[1]?.message as string);
    }
  });

  test.each(codecs)("leaves out members that are undefined, with %s", (_name, codec) => {
    const member = codec.toMember({ a: undefined, b: 1 });
    expect(codec.prepare({ value: member })).toEqual(codec.prepare({ value: codec.toMember({ b: 1 }) }));
  });
});
