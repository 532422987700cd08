import { describe, expect, test } from "bun:test";
import { decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { fromMessagePack, msgpackCodec } from "../../src/msgpack/codec.ts";
import { Encoded } from "../../src/protocol/commands.ts";
import { DetectingDecoder } from "../../src/protocol/detecting-decoder.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import type { Message } from "../support/msgpack-client.ts";
import { announceSeed, Random, testSeed } from "../support/random.ts";
import { refusal } from "../support/refusal.ts";

const hex = (digits: string): Uint8Array => Uint8Array.fromHex(digits.replaceAll(" ", ""));
/** The body of a frame the codec wrote: what stands behind its length. */
const bodyOf = (frame: string | Uint8Array): Uint8Array => {
  if (typeof frame === "string") throw new Error("MessagePack frames are bytes");
  expect(new DataView(frame.buffer, frame.byteOffset).getUint32(0)).toBe(frame.length - 4);
  return frame.subarray(4);
};
const written = (message: object): unknown => decode(bodyOf(msgpackCodec.encode(message)));
const read = (value: unknown): unknown => msgpackCodec.decode(encode({ v: value })).v;

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, false, 0, -1, 127, 128, -32, -33, 65_535, 65_536, 2 ** 32, 2 ** 53 - 1, 1 - 2 ** 53),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.string({ unit: "grapheme" }),
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.string({ minLength: 190, maxLength: 300 }).map((text) => `\ufeff${text}`),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(
      fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("id", "key", "0", "toString", "Ã©", "é")),
      tie("value"),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
}));
const wellFormed = value.filter((given) => !/\\u[dD]|__proto__/.test(JSON.stringify(given)));
const message = fc.dictionary(fc.stringMatching(/^[a-z.]{1,20}$/), wellFormed, { maxKeys: 20, noNullPrototype: true });

describe("msgpackCodec.decode()", () => {
  test.each([
    ["twice in a row", "82 a161 01 a161 02"],
    ["twice with another between", "83 a161 01 a162 02 a161 01"],
    ["twice in two lengths of text", "82 a161 01 d90161 02"],
    ["twice, in a map in an array", "81 a176 91 82 a161 c0 a161 c0"],
    ["twice, in the second of two nested maps", "82 a161 81 a163 c0 a162 82 a163 c0 a163 c0"],
    ["twice and empty", "82 a0 c0 a0 c0"],
    ["twice and longer than a remembered one", `82 ${`b1${"61".repeat(17)} c0`.repeat(2)}`],
  ])("refuses a key that stands %s", (_what, digits) => {
    const error = refusal(() => msgpackCodec.decode(hex(digits)));
    expect([error.code, error.message]).toEqual([
      "invalid_json",
      "Cannot read frame: as MessagePack it has a map in which a key stands twice",
    ]);
  });

  test.each([
    ["a key of the message", "81 a95f5f70726f746f5f5f 80"],
    ["a key in a nested map", "81 a176 81 a95f5f70726f746f5f5f 81 a161 c3"],
    ["a key with another length of text", "81 d9095f5f70726f746f5f5f c0"],
  ])("refuses __proto__ as %s, each time", (_what, digits) => {
    for (let round = 0; round < 2; round++) {
      const error = refusal(() => msgpackCodec.decode(hex(digits)));
      expect([error.code, error.message]).toEqual([
        "invalid_json",
        "Cannot read frame: as MessagePack it has a map with the key __proto__",
      ]);
    }
    expect(Object.hasOwn(Object.prototype, "a")).toBe(false);
  });

  test("takes the names of what every object inherits as keys, and an own toString does not stand twice", () => {
    const frame = encode({ toString: 1, constructor: 2, hasOwnProperty: 3, valueOf: 4 });
    expect(Object.entries(msgpackCodec.decode(frame))).toEqual([
      ["toString", 1],
      ["constructor", 2],
      ["hasOwnProperty", 3],
      ["valueOf", 4],
    ]);
  });

  test("takes __proto__ where it is no key", () => {
    expect(read("__proto__")).toBe("__proto__");
  });

  test.each([
    ["2^53-1 as uint 64", "cf 001fffffffffffff", 2 ** 53 - 1],
    ["-(2^53-1) as int 64", "d3 ffe0000000000001", 1 - 2 ** 53],
    ["-1 as int 64", "d3 ffffffffffffffff", -1],
    ["-2^32 as int 64", "d3 ffffffff00000000", -(2 ** 32)],
    ["2^32 as int 64", "d3 0000000100000000", 2 ** 32],
    ["-128 as int 8", "d0 80", -128],
    ["127 as int 8", "d0 7f", 127],
    ["-32768 as int 16", "d1 8000", -32_768],
    ["-2^31 as int 32", "d2 80000000", -(2 ** 31)],
    ["2^31-1 as int 32", "d2 7fffffff", 2 ** 31 - 1],
    ["255 as uint 8", "cc ff", 255],
    ["65535 as uint 16", "cd ffff", 65_535],
    ["2^32-1 as uint 32", "ce ffffffff", 2 ** 32 - 1],
    ["-1 as negative fixint", "ff", -1],
    ["-32 as negative fixint", "e0", -32],
    ["1.5 as float 32", "ca 3fc00000", 1.5],
    ["2^53 as float 64", "cb 4340000000000000", 2 ** 53],
    ["a byte order mark in front of long text", `d9cb efbbbf ${"61".repeat(200)}`, `\ufeff${"a".repeat(200)}`],
    ["a byte order mark alone", "a3 efbbbf", "\ufeff"],
    ["the last character there is", "a4 f48fbfbf", "\u{10ffff}"],
    ["nothing in 32 bits", "db00000000", ""],
    ["an array 32 of one", "dd00000001 c2", [false]],
    ["a map 32 of one", "df00000001 a161 c3", { a: true }],
  ])("reads %s", (_what, digits, wanted) => {
    expect(msgpackCodec.decode(hex(`81 a176 ${digits}`)).v).toEqual(wanted);
  });

  test("reads bytes into memory of their own: the frame's may be used again", () => {
    const frame = encode({ v: Uint8Array.of(1, 2, 3), w: [Uint8Array.of(4)] });
    const message = msgpackCodec.decode(frame);
    frame.fill(9);
    expect(message).toEqual({ v: Uint8Array.of(1, 2, 3), w: [Uint8Array.of(4)] });
  });

  test("does not take a key of other bytes for one it has read before", () => {
    // "Ã©" has as many characters as "é" has bytes, and the same numbers in them.
    for (const key of ["Ã©", "é", "ab", "a\0b", "acb", "Ã©", "é"]) {
      expect(Object.keys(msgpackCodec.decode(encode({ [key]: 1 })))).toEqual([key]);
    }
  });

  test("reads what the package's own decoder reads, for any message", () => {
    announceSeed("msgpackCodec");
    const property = fc.property(message, (given) => {
      const frame = encode(given);
      const ours = msgpackCodec.decode(frame);
      // The package's decoder takes a byte order mark off text of over 200 bytes, so the message itself is the measure.
      expect(ours).toEqual(given);
      if (!JSON.stringify(given).includes("\ufeff")) expect(ours).toEqual(decode(frame) as Message);
    });
    fc.assert(property, { seed: testSeed, numRuns: 400 });
  });

  const refusesOrReads = (frame: Uint8Array): void => {
    const startMs = performance.now();
    try {
      msgpackCodec.decode(frame);
    } catch (error) {
      if (!(error instanceof EphemeralError) || error.code !== "invalid_json") throw error;
      expect(error.message).toStartWith("Cannot read frame: as MessagePack ");
    }
    expect(performance.now() - startMs).toBeLessThan(1000);
  };

  test("throws invalid_json or reads, and nothing else, for any bytes", () => {
    const random = new Random();
    for (let round = 0; round < 5000; round++) {
      const frame = random.bytes(random.integer(200));
      if (frame.length > 0 && random.integer(4) > 0) frame[0] = 0x80 + random.integer(16);
      refusesOrReads(frame);
    }
  });

  test("throws invalid_json or reads what can be written again, for any good frame with a few bytes changed", () => {
    const random = new Random();
    let readFrames = 0;
    const samples = fc.sample(message, { seed: testSeed, numRuns: 100 }).map((given) => encode(given));
    for (const sample of samples) {
      for (let round = 0; round < 30; round++) {
        const frame = sample.slice(0, random.integer(8) === 0 ? random.integer(sample.length + 1) : sample.length);
        for (let change = random.integer(4); change >= 0 && frame.length > 0; change--) {
          frame[random.integer(frame.length)] = random.integer(256);
        }
        refusesOrReads(frame);
        try {
          const body = bodyOf(msgpackCodec.encode(msgpackCodec.decode(frame)));
          readFrames++;
          // Bytes, not values: minus zero is written as zero.
          expect(bodyOf(msgpackCodec.encode(msgpackCodec.decode(body)))).toEqual(body);
        } catch (error) {
          if (!(error instanceof EphemeralError)) throw error;
        }
      }
    }
    expect(readFrames).toBeGreaterThan(0);
  });

  test.each([
    ["nil", 0xc0],
    ["empty maps", 0x80],
    ["empty arrays", 0x90],
    ["empty text", 0xa0],
  ])("reads a frame of 1 MiB full of %s in under a second", (_what, marker) => {
    const frame = new Uint8Array(2 ** 20).fill(marker);
    frame.set(hex("81 a176 dd000ffff8"));
    // Of our own: on a busy machine it may be a second of everybody's.
    const before = process.cpuUsage();
    expect((msgpackCodec.decode(frame).v as unknown[]).length).toBe(0xffff8);
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(1000);
  });
});

describe("msgpackCodec.encode() and encodeReply()", () => {
  test("write a message that comes back as it was, for any members", () => {
    const property = fc.property(message, (given) => {
      const body = bodyOf(msgpackCodec.encode(given));
      expect(msgpackCodec.decode(body)).toEqual(given);
      expect(body).toEqual(encode(given));
    });
    fc.assert(property, { seed: testSeed, numRuns: 300 });
  });

  test.each([0, 1, 15, 16, 17, 300])("write a message of %d members", (size) => {
    const given = Object.fromEntries(Array.from({ length: size }, (_, index) => [`m${index}`, index]));
    expect(written(given)).toEqual(given);
  });

  test("leave out what is undefined, also within", () => {
    expect(written({ a: undefined, b: { c: undefined, d: 1 } })).toEqual({ b: { d: 1 } });
    expect(decode(bodyOf(msgpackCodec.encodeReply(undefined, { a: undefined })))).toEqual({ ok: true });
  });

  test("write id and ok first", () => {
    const body = bodyOf(msgpackCodec.encodeReply(0, { version: 3 }));
    expect(Object.entries(decode(body) as Message)).toEqual([
      ["id", 0],
      ["ok", true],
      ["version", 3],
    ]);
  });

  test.each([
    ["bytes", '{"$binary":"AID/"}', Uint8Array.of(0, 128, 255)],
    ["what looks like bytes", '{"$$binary":"AID/"}', { $binary: "AID/" }],
    ["bytes deep inside", '[{"a":{"$binary":""}}]', [{ a: new Uint8Array(0) }]],
    ["text", '"\\u00e9"', "é"],
    ["a whole surrogate pair", '"\\ud83d\\ude00"', "😀"],
    ["half a surrogate pair", '"a\\ud83d"', "a\ufffd"],
    ["half a surrogate pair in long text", `"\\udc00${"a".repeat(60)}"`, `\ufffd${"a".repeat(60)}`],
    ["half a surrogate pair in a key", '{"\\ud800":["\\ud800"]}', { "\ufffd": ["\ufffd"] }],
    ["__proto__ as text", '"__proto__"', "__proto__"],
    ["minus zero", "-0.0", 0],
    ["an integer too large to be exact", "1e300", 1e300],
    ["null", "null", null],
  ])("write %s kept as JSON text so that our own decoder takes it", (_what, kept, wanted) => {
    const body = bodyOf(msgpackCodec.encode({ value: new Encoded(kept) }));
    expect(msgpackCodec.decode(body).value).toEqual(wanted);
    expect((decode(body) as Message).value).toEqual(wanted);
  });

  test("write half a surrogate pair in the broker's own words as U+FFFD", () => {
    expect(written({ message: "no \ud800", list: [["\udfff", 1]] })).toEqual({
      message: "no \ufffd",
      list: [["\ufffd", 1]],
    });
  });

  test.each([
    ["the key __proto__", '{"a":[{"__proto__":1}]}'],
    ["the key __proto__, written with an escape", '{"\\u005f_proto__":{}}'],
    ["two keys that differ in half a surrogate pair only", '{"\\ud800":1,"\\ud801":2}'],
  ])("refuse a value with %s, which no peer could read", (_what, kept) => {
    const error = refusal(() => msgpackCodec.encode({ value: new Encoded(kept) }));
    expect(error.code).toBe("bad_command");
    expect(error.message).toStartWith("Cannot write value: as MessagePack it would have a map with ");
  });

  test.each([0, 1, 15, 16, 300])(
    "write the encoded values of %d records, and leave out what is undefined there too",
    (count) => {
      const kept = [new Encoded('{"$binary":"AQ=="}'), new Encoded(encode({ b: 2 }))];
      const jobs = Array.from({ length: count }, (_, index) => ({
        id: `j${index}`,
        data: kept[index % 2],
        gone: undefined,
      }));
      const { ok, jobs: read } = msgpackCodec.decode(
        bodyOf(msgpackCodec.encodeReply(undefined, { jobs: new Encoded(jobs) })),
      );
      const values = [Uint8Array.of(1), { b: 2 }];
      expect({ ok, read }).toEqual({ ok: true, read: jobs.map(({ id }, index) => ({ id, data: values[index % 2] })) });
    },
  );

  test("write a value kept as MessagePack as the bytes it is", () => {
    const kept = encode({ a: Uint8Array.of(1) });
    const body = bodyOf(msgpackCodec.encode({ value: new Encoded(kept) }));
    expect(body).toEqual(Buffer.concat([hex("81 a5"), Buffer.from("value"), kept]));
  });
});

describe("msgpackCodec.keep() and fromMessagePack()", () => {
  test("give any value back, numbers as JSON text", () => {
    const property = fc.property(wellFormed, (given) => {
      const kept = msgpackCodec.keep(given);
      if (typeof given === "number") expect(kept).toBe(JSON.stringify(given));
      else if (typeof kept === "string") throw new Error("only numbers are kept as text");
      else expect(fromMessagePack(kept)).toEqual(given);
    });
    fc.assert(property, { seed: testSeed, numRuns: 300 });
  });
});

describe("DetectingDecoder.push() with MessagePack", () => {
  const readAll = (chunks: readonly Uint8Array[]): Message[] => {
    const decoder = new DetectingDecoder(2 ** 20);
    const messages: Message[] = [];
    for (const chunk of chunks) decoder.push(chunk, (frame) => void messages.push(msgpackCodec.decode(frame)));
    expect(decoder.framing).toBe("prefixed");
    return messages;
  };

  test("hands the codec the same messages for every split of random frames at one byte, and byte by byte", () => {
    const given = fc.sample(message, { seed: testSeed, numRuns: 8 });
    const stream = Buffer.concat(given.map((one) => Buffer.from(msgpackCodec.encode(one) as Uint8Array)));
    const whole = readAll([stream]);
    expect(whole).toEqual(given);
    for (let at = 1; at < stream.length; at++) {
      if (!Bun.deepEquals(readAll([stream.subarray(0, at), stream.subarray(at)]), given, true)) {
        throw new Error(`other messages for a split at ${at} of ${stream.length}`);
      }
    }
    expect(readAll(Array.from(stream, (byte) => Uint8Array.of(byte)))).toEqual(given);
  });

  test("hands the codec the same messages for random splits at many bytes", () => {
    const random = new Random();
    const given = fc.sample(message, { seed: testSeed + 1, numRuns: 20 });
    const stream = Buffer.concat(given.map((one) => Buffer.from(msgpackCodec.encode(one) as Uint8Array)));
    for (let round = 0; round < 100; round++) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += chunks.at(-1)?.length ?? 0) {
        chunks.push(stream.subarray(at, at + 1 + random.integer(1 + random.integer(300))));
      }
      if (!Bun.deepEquals(readAll(chunks), given, true)) throw new Error(`other messages in round ${round}`);
    }
  });
});
