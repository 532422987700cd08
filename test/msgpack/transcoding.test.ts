import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { fromJsonValue, jsonText } from "../../src/protocol/json-values.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { msgpackClient, prefixed } from "../support/msgpack-client.ts";
import { announceSeed, testSeed } from "../support/random.ts";

/** A broker with a client of either kind, and a way to give a key its value as JSON text, escapes and all. */
async function bothClients() {
  const broker = await testBroker({ requireTtl: false });
  const json = await lineClient(broker.pipe);
  const packed = await msgpackClient(broker.pipe);
  const setText = async (key: string, text: string): Promise<void> => {
    json.write(`{"action":"set","key":${JSON.stringify(key)},"value":${text}}\n`);
    expect((await json.next()).ok).toBe(true);
  };
  const setPacked = async (key: string, value: unknown): Promise<void> => {
    expect((await packed.ask({ action: "set", key, value })).ok).toBe(true);
  };
  return {
    json,
    packed,
    setText,
    setPacked,
    async [Symbol.asyncDispose]() {
      json[Symbol.dispose]();
      packed[Symbol.dispose]();
      await broker[Symbol.asyncDispose]();
    },
  };
}

const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, "", 2 ** 53 - 1, 1 - 2 ** 53, 1e300, 0.1),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.string({ unit: "grapheme" }),
    fc.uint8Array({ maxLength: 100 }),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(
      fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("$binary", "$$binary", "$$$binary", "binary")),
      tie("value"),
      { maxKeys: 3, noNullPrototype: true },
    ),
  ),
}));
const value = anyValue.filter((given) => !JSON.stringify(given).includes("__proto__"));

describe("a value", () => {
  test.each([
    ["bytes", Uint8Array.of(0, 128, 255), '{"$binary":"AID/"}'],
    ["no bytes", new Uint8Array(0), '{"$binary":""}'],
    ["bytes in a list", [Uint8Array.of(1)], '[{"$binary":"AQ=="}]'],
    ["what looks like bytes", { $binary: "AID/" }, '{"$$binary":"AID/"}'],
    ["what looks like escaped bytes", { $$binary: "AID/" }, '{"$$$binary":"AID/"}'],
    ["bytes in what looks like bytes", { $binary: Uint8Array.of(1) }, '{"$$binary":{"$binary":"AQ=="}}'],
    [
      "look-alikes in each other",
      { $binary: { $$binary: { $binary: 1 } } },
      '{"$$binary":{"$$$binary":{"$$binary":1}}}',
    ],
    ["$binary beside another key", { $binary: "AQ==", a: 1 }, '{"$binary":"AQ==","a":1}'],
    ["an integer", 7, "7"],
    ["the largest integer", 2 ** 53 - 1, "9007199254740991"],
    ["the smallest integer", 1 - 2 ** 53, "-9007199254740991"],
    ["a number beyond the integers", 2 ** 60, "1152921504606847000"],
    ["the smallest number", 5e-324, "5e-324"],
    ["numbers in a list", [0.1, -1.5, 1e21, 4294967296, -129], "[0.1,-1.5,1e+21,4294967296,-129]"],
    ["null", null, "null"],
    ["false", false, "false"],
    ["no text", "", '""'],
    ["text of every length of UTF-8", "a é € 😀 \0 \u2028", '"a é € 😀 \\u0000 \u2028"'],
    ["a list of nothing", [], "[]"],
    ["an object of nothing", { a: {} }, '{"a":{}}'],
  ])("that is %s is the same set in one codec and read in the other", async (_what, given, text) => {
    await using clients = await bothClients();
    await clients.setPacked("packed", given);
    await clients.setText("text", text);
    expect((await clients.json.ask({ action: "get", key: "packed" })).value).toEqual(JSON.parse(text));
    expect((await clients.packed.ask({ action: "get", key: "packed" })).value).toEqual(given);
    expect((await clients.packed.ask({ action: "get", key: "text" })).value).toEqual(given);
    expect((await clients.json.ask({ action: "get", key: "text" })).value).toEqual(JSON.parse(text));
  });

  test("of any shape is the same set in one codec and read in the other", async () => {
    announceSeed("transcoding");
    await using clients = await bothClients();
    const property = fc.asyncProperty(value, async (given) => {
      await clients.setPacked("packed", given);
      await clients.setText("text", jsonText(given));
      expect(fromJsonValue((await clients.json.ask({ action: "get", key: "packed" })).value)).toEqual(given);
      expect((await clients.packed.ask({ action: "get", key: "text" })).value).toEqual(given);
    });
    await fc.assert(property, { seed: testSeed, numRuns: 200 });
  });

  // The package's decoder takes the mark off text of over 200 bytes, and did so to every value that came as MessagePack.
  test("keeps a byte order mark, short or long", async () => {
    await using clients = await bothClients();
    for (const length of [0, 100, 300]) {
      const given = `\ufeff${"x".repeat(length)}`;
      await clients.setPacked("packed", given);
      expect((await clients.json.ask({ action: "get", key: "packed" })).value).toBe(given);
    }
  });

  test("64 deep passes from either codec to the other", async () => {
    await using clients = await bothClients();
    const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)]);
    await clients.setPacked("packed", deep(63));
    await clients.setText("text", JSON.stringify(deep(63)));
    expect((await clients.json.ask({ action: "get", key: "packed" })).value).toEqual(deep(63));
    expect((await clients.packed.ask({ action: "get", key: "text" })).value).toEqual(deep(63));
    expect((await clients.packed.ask({ action: "set", key: "over", value: deep(64) })).error).toBe("invalid_json");
  });

  // A view of the connection's buffer was kept: bytes that waited behind another command became those of a later frame.
  test("that is bytes stays itself while its command waits for its turn and later frames come in pieces", async () => {
    await using clients = await bothClients();
    const given = new Uint8Array(100).fill(7);
    clients.packed.say({ action: "get", key: "awaited", waitMs: -1 });
    const set = prefixed(encode({ action: "set", key: "bytes", value: given }));
    const ping = prefixed(encode({ id: 1, action: "ping", padding: new Uint8Array(300).fill(9) }));
    // The answer to a command of another client shows that the broker's loop has turned: the piece before has been read.
    for (const piece of [
      set.subarray(0, 40),
      Buffer.concat([set.subarray(40), ping.subarray(0, 250)]),
      ping.subarray(250),
    ]) {
      clients.packed.write(piece);
      for (let turn = 0; turn < 3; turn++) await clients.json.ask({ action: "ping" });
    }
    expect(await clients.packed.next()).toMatchObject({ id: 1, ok: true });
    await clients.setText("awaited", "1");
    expect(await clients.packed.next()).toMatchObject({ ok: true, value: 1 });
    expect(await clients.packed.next()).toMatchObject({ ok: true });
    expect((await clients.packed.ask({ action: "get", key: "bytes" })).value).toEqual(given);
  });

  // The reply could be read by no decoder, so whoever read the key lost the connection.
  test("that MessagePack cannot carry is refused to its reader, whose connection goes on", async () => {
    await using clients = await bothClients();
    await clients.setText("proto", '{"__proto__":1}');
    expect(await clients.packed.ask({ id: 1, action: "get", key: "proto" })).toMatchObject({
      id: 1,
      error: "bad_command",
    });
    for (let id = 2; id < 8; id++) {
      expect(await clients.packed.ask({ id, action: "get", key: "proto" })).toMatchObject({ id, ok: false });
    }
    clients.packed.say({ id: 9, action: "get", key: "later", waitMs: -1 });
    expect((await clients.packed.ask({ id: 10, action: "ping" })).id).toBe(10);
    await clients.setText("later", '{"__proto__":1}');
    expect(await clients.packed.next()).toMatchObject({ id: 9, error: "bad_command" });
    expect((await clients.packed.ask({ id: 11, action: "ping" })).ok).toBe(true);
    expect((await clients.json.ask({ action: "get", key: "proto" })).ok).toBe(true);
  });

  // Half a surrogate pair was written as three bytes that are no UTF-8, which our own decoder refuses.
  test("and an error's text with half a surrogate pair reach a MessagePack reader as UTF-8", async () => {
    await using clients = await bothClients();
    await clients.setText("half", '"\\ud83d!"');
    expect((await clients.packed.ask({ action: "get", key: "half" })).value).toBe("\ufffd!");
    const { fence } = await clients.json.ask({ action: "once", key: "token" });
    clients.packed.say({ action: "once", key: "token", waitMs: -1 });
    await clients.packed.ask({ id: 1, action: "ping" });
    clients.json.write(`{"action":"once.reject","key":"token","fence":${fence},"reason":"no \\udc00"}\n`);
    const { error, message } = await clients.packed.next();
    expect([error, message]).toEqual(["producer_failed", expect.stringContaining("no \ufffd")]);
  });
});

describe("a MessagePack connection", () => {
  test.each([
    ["a bomb", "81 a176 ddffffffff ddffffffff"],
    ["an empty frame", ""],
    ["an extension", "81 a176 d40500"],
    ["a key that stands twice", "82 a161 c0 a161 c0"],
  ])("answers %s with invalid_json, goes on, and is closed at the third in a row", async (_what, digits) => {
    await using broker = await testBroker();
    using client = await msgpackClient(broker.pipe);
    const bad = prefixed(Uint8Array.fromHex(digits.replaceAll(" ", "")));
    const refused = async (): Promise<void> => {
      client.write(bad);
      expect(await client.next()).toMatchObject({ ok: false, error: "invalid_json" });
    };
    await refused();
    await refused();
    expect((await client.ask({ id: 1, action: "ping" })).ok).toBe(true);
    for (let frame = 0; frame < 3; frame++) await refused();
    expect(client.next()).rejects.toThrow("the broker closed the connection");
  });
});
