import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Encoded } from "../../src/protocol/commands.ts";
import { decodeJson, jsonCodec } from "../../src/protocol/json.ts";
import { fromJsonValue, jsonText } from "../../src/protocol/json-values.ts";
import { announceSeed, testSeed } from "../support/random.ts";
import { refusal } from "../support/refusal.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `{"v":` and `depth - 1` arrays inside: `depth` deep in all. */
const nested = (depth: number): string => `{"v":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
const inString = (...raw: number[]): Uint8Array => Uint8Array.of(...bytes('{"a":"'), ...raw, ...bytes('"}'));

const codec = jsonCodec(() => expect.unreachable());

describe("decodeJson()", () => {
  test.each([
    ["a lone continuation byte", inString(0x80)],
    ["0xff", inString(0xff)],
    ["an overlong slash in two bytes", inString(0xc0, 0xaf)],
    ["an overlong NUL in three bytes", inString(0xe0, 0x80, 0x80)],
    ["an overlong slash in four bytes", inString(0xf0, 0x80, 0x80, 0xaf)],
    ["a surrogate in UTF-8", inString(0xed, 0xa0, 0x80)],
    ["a surrogate pair in UTF-8", inString(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80)],
    ["a code point over U+10FFFF", inString(0xf4, 0x90, 0x80, 0x80)],
    ["a character cut short", inString(0xe2, 0x82)],
    ["a character cut short at the very end", Uint8Array.of(...bytes('{"a":"'), 0xf0, 0x9f, 0x98)],
    ["a byte order mark", bytes('\ufeff{"a":1}')],
    ["nothing", bytes("")],
    ["a blank", bytes(" ")],
    ["null", bytes("null")],
    ["true", bytes("true")],
    ["an array", bytes("[]")],
    ["an array of objects", bytes("[{}]")],
    ["a string", bytes('"x"')],
    ["a number", bytes("1")],
    ["NaN", bytes("NaN")],
    ["a member that is NaN", bytes('{"a":NaN}')],
    ["a member that is Infinity", bytes('{"a":Infinity}')],
    ["single quotes", bytes("{'a':1}")],
    ["a comma too many", bytes('{"a":1,}')],
    ["a comment", bytes('{"a":1}// b')],
    ["two objects", bytes("{}{}")],
    ["half an object", bytes('{"a":')],
    ["a raw tab in a string", bytes('{"a":"\t"}')],
    ["a bad escape", bytes('{"a":"\\x"}')],
    ["a bracket that is not closed, 10,000 deep", bytes(`{"v":${"[".repeat(10_000)}`)],
    ["65 deep", bytes(nested(65))],
    ["65 deep in objects", bytes(`${'{"a":'.repeat(65)}1${"}".repeat(65)}`)],
    ["65 deep behind brackets in strings", bytes(`{"s":"]]]]","v":${"[".repeat(64)}${"]".repeat(64)}}`)],
    ["65 deep behind an escaped quote", bytes(`{"s":"\\"","v":${"[".repeat(64)}${"]".repeat(64)}}`)],
    ["100,000 deep", bytes(nested(100_000))],
  ])("refuses %s as invalid_json", (_what, frame) => {
    const error = refusal(() => decodeJson(frame));
    expect(error.code).toBe("invalid_json");
    // What came may be somebody's secret: the text says its kind or its size.
    expect(error.message).toMatch(
      /^Cannot read frame: (\d+ bytes are no JSON in UTF-8|wanted an object, got (null|an array of \d|a boolean|a string of 1 characters|an integer)|nesting is over 64)$/,
    );
  });

  test.each([
    ["64 deep", nested(64), undefined],
    ["70 brackets in a string", `{"v":"${"[{".repeat(70)}"}`, "[{".repeat(70)],
    ["70 brackets in a string behind escaped quotes", `{"v":"\\"${"[".repeat(70)}\\\\"}`, `"${"[".repeat(70)}\\`],
    ["70 brackets side by side", `{"v":[${Array(70).fill("[]").join()}]}`, Array(70).fill([])],
    ["70 objects side by side", `{"v":[${Array(70).fill("{}").join()}]}`, Array(70).fill({})],
    ["a member name full of brackets", `{"v":0,"${"[".repeat(70)}":1}`, 0],
    ["escaped brackets and quotes", '{"v":"\\u005b\\u0022"}', '["'],
    ["a lone surrogate as an escape", '{"v":"\\ud800"}', "\ud800"],
    ["blanks around", ' \t{"v":1} ', 1],
    ["a NUL as an escape", '{"v":"\\u0000"}', "\0"],
  ])("reads %s", (_what, text, wanted) => {
    const { v } = decodeJson(bytes(text));
    expect(v).toEqual(wanted ?? JSON.parse(text).v);
  });

  test("reads well-formed text right after it refused a character cut short", () => {
    expect(refusal(() => decodeJson(inString(0xe2, 0x82))).code).toBe("invalid_json");
    expect(decodeJson(inString(0xe2, 0x82, 0xac))).toEqual({ a: "€" });
  });

  test("keeps __proto__ an own member that changes no prototype", () => {
    const message = decodeJson(bytes('{"__proto__":{"action":"ping"},"a":1}'));
    expect(Object.hasOwn(message, "__proto__")).toBe(true);
    expect(message.action).toBeUndefined();
    expect(Object.getPrototypeOf(message)).toBe(Object.prototype);
  });
});

describe("jsonCodec.encode()", () => {
  test("writes one line, leaves out what is undefined and writes encoded values as they stand", () => {
    const message = { ok: true, value: new Encoded('{"b" :1}'), gone: undefined, text: 'é"\n', list: [1, null] };
    expect(codec.encode(message)).toBe('{"ok":true,"value":{"b" :1},"text":"é\\"\\n","list":[1,null]}\n');
  });

  test("writes the encoded values of records, as they stand or transcoded, and leaves out what is undefined there too", () => {
    const packed = new Encoded(Uint8Array.of(7));
    const jobs = [
      { id: "é", data: new Encoded("[1 ]"), attempt: 1 },
      { data: packed, gone: undefined },
    ];
    const line = jsonCodec((kept) => ({ kept: [...kept] })).encode({ jobs: new Encoded(jobs), none: new Encoded([]) });
    expect(line).toBe('{"jobs":[{"id":"é","data":[1 ],"attempt":1},{"data":{"kept":[7]}}],"none":[]}\n');
  });

  test("writes a line that a decoder reads back, for any member values", () => {
    const property = fc.property(
      fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.jsonValue({ maxDepth: 4 })),
      (members) => {
        const line = String(codec.encode(members));
        expect(line.indexOf("\n")).toBe(line.length - 1);
        expect(decodeJson(bytes(line.slice(0, -1)))).toEqual(JSON.parse(JSON.stringify(members)));
      },
    );
    fc.assert(property, { seed: testSeed, numRuns: 200 });
  });
});

describe("jsonText() and fromJsonValue()", () => {
  const roundTrip = (value: unknown): unknown => fromJsonValue(JSON.parse(jsonText(value)));

  test.each([
    ["no bytes", new Uint8Array(0), '{"$binary":""}'],
    ["three bytes", Uint8Array.of(0, 128, 255), '{"$binary":"AID/"}'],
    ["a Buffer", Buffer.from("hé"), '{"$binary":"aMOp"}'],
    ["what looks like bytes", { $binary: "AID/" }, '{"$$binary":"AID/"}'],
    ["what looks like escaped bytes", { $$binary: 1 }, '{"$$$binary":1}'],
    ["bytes in what looks like bytes", { $binary: Uint8Array.of(1) }, '{"$$binary":{"$binary":"AQ=="}}'],
    ["$binary beside another member", { $binary: "AID/", a: 1 }, '{"$binary":"AID/","a":1}'],
    ["binary without a $", { binary: "AID/" }, '{"binary":"AID/"}'],
    ["members that are undefined", { a: undefined, b: 1 }, '{"b":1}'],
    ["$binary beside one that is undefined", { $binary: 1, a: undefined }, '{"$$binary":1}'],
    ["null", null, "null"],
    ["a lone surrogate", "\ud800", '"\\ud800"'],
    ["minus zero", [-0], "[0]"],
    ["an object without prototype", Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    ["a slice of a larger buffer", new Uint8Array([9, 1, 2, 9]).subarray(1, 3), '{"$binary":"AQI="}'],
  ])("write %s as it is specified", (_what, value, wanted) => {
    expect(jsonText(value)).toBe(wanted);
  });

  test("give back bytes of every length around the chunk they are written in", () => {
    for (const length of [0, 1, 2, 3, 8191, 8192, 8193, 100_000]) {
      const value = Uint8Array.from({ length }, (_, index) => index % 251);
      expect(roundTrip(value)).toEqual(value);
    }
  });

  test("keep __proto__ an own member", () => {
    const value = JSON.parse('{"__proto__":{"a":1},"b":{"__proto__":2}}');
    expect(jsonText(value)).toBe('{"__proto__":{"a":1},"b":{"__proto__":2}}');
    const back = roundTrip(value);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(JSON.stringify(back)).toBe(jsonText(value));
  });

  test.each([
    ["undefined", undefined],
    ["undefined in an array", [undefined]],
    ["a hole in an array", new Array(1)],
    ["NaN", Number.NaN],
    ["Infinity", { a: Number.POSITIVE_INFINITY }],
    ["a bigint", 1n],
    ["a symbol", Symbol("secret")],
    ["a function", () => 1],
    ["an object with toJSON", { toJSON: () => 1 }],
    ["a Date", new Date(0)],
    ["a Map", new Map([["secret", 1]])],
    ["a Set in a list", [new Set()]],
    ["a regular expression", /secret/],
    ["an ArrayBuffer", new ArrayBuffer(1)],
    ["a Float64Array", new Float64Array(1)],
    ["a boxed number", Object(1)],
    ["an object of a class", new (class Secret {})()],
    ["an object without constructor below another", Object.create(Object.create(Object.create(null)))],
  ])("refuse %s as bad_command", (_what, value) => {
    const error = refusal(() => jsonText(value));
    expect(error.code).toBe("bad_command");
    expect(error.message).toStartWith("Cannot send value: wanted JSON or a Uint8Array, got ");
    expect(error.message).not.toContain("secret");
  });

  test("refuse cycles and what would be over 64 deep in its frame, and pass what is not", () => {
    const cycle: unknown[] = [];
    cycle.push({ cycle });
    const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)]);
    expect(refusal(() => jsonText(cycle)).code).toBe("bad_command");
    expect(refusal(() => jsonText(deep(64))).code).toBe("bad_command");
    expect(decodeJson(bytes(`{"value":${jsonText(deep(63))}}`))).toEqual({ value: deep(63) });
  });

  // It was refused, and with it whatever it came in.
  test.each(["*", "A", "AAAA=A"])("give back %p as it is where bytes would be base64", (text) => {
    expect(fromJsonValue({ $binary: text })).toEqual({ $binary: text });
    expect(fromJsonValue({ a: [{ $binary: text }] })).toEqual({ a: [{ $binary: text }] });
  });

  test("keep __proto__ an own member where bytes stand in it", () => {
    const value = fromJsonValue(JSON.parse('{"__proto__":{"$binary":"AQ=="},"a":[{"$$binary":1}]}')) as object;
    expect(Object.entries(value)).toEqual([
      ["__proto__", new Uint8Array([1])],
      ["a", [{ $binary: 1 }]],
    ]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  test("give back any value of JSON and bytes", () => {
    announceSeed("jsonText()");
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, true, false),
        fc.string({ unit: "binary" }),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
        fc.uint8Array({ maxLength: 20 }),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(
          fc.oneof(fc.string(), fc.constantFrom("$binary", "$$binary", "__proto__", "binary")),
          tie("value"),
          {
            maxKeys: 3,
          },
        ),
      ),
    }));
    const property = fc.property(value, (given) => {
      const normal = (part: unknown): string =>
        Bun.inspect(part, { depth: 20, sorted: true })
          .replaceAll("-0", "0")
          .replaceAll("[Object: null prototype] ", "");
      expect(normal(roundTrip(given))).toBe(normal(given));
    });
    fc.assert(property, { seed: testSeed, numRuns: 200 });
  }, 20_000);
});
