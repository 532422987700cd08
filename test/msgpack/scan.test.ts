import { describe, expect, test } from "bun:test";
import { scanMessagePack } from "../../src/msgpack/scan.ts";
import { refusal } from "../support/refusal.ts";

/** Bytes as a row of hexadecimal digits; blanks are for the eye. */
const hex = (digits: string): Uint8Array => Uint8Array.fromHex(digits.replaceAll(" ", ""));
/** A map of one pair, "v" and what `value` says. */
const holding = (value: Uint8Array): Uint8Array => Buffer.concat([hex("81a176"), value]);
const repeated = (digits: string, times: number): string => digits.repeat(times);
const why = (frame: Uint8Array): string => {
  const error = refusal(() => scanMessagePack(frame));
  expect(error.code).toBe("invalid_json");
  return error.message.replace("Cannot read frame: as MessagePack ", "");
};

const truncated = "a length is larger than the bytes left";
const overcounted = "a count is larger than the bytes left";
const extension = "it holds an extension type or an unused marker";

/** Every marker the specification has for what a message may hold, each with the smallest and a larger value. */
const goodValues: readonly (readonly [what: string, digits: string])[] = [
  ["positive fixint 0", "00"],
  ["positive fixint 127", "7f"],
  ["fixmap of none", "80"],
  ["fixmap of two", "82 a161 01 a162 02"],
  ["fixmap of fifteen", `8f ${Array.from({ length: 15 }, (_, index) => `a16${index.toString(16)} c0`).join("")}`],
  ["fixarray of none", "90"],
  ["fixarray of fifteen", `9f ${repeated("c3", 15)}`],
  ["fixstr of none", "a0"],
  ["fixstr of 31 bytes", `bf ${repeated("61", 31)}`],
  ["nil", "c0"],
  ["false", "c2"],
  ["true", "c3"],
  ["bin 8 of none", "c400"],
  ["bin 8 of any bytes", "c404 00ff80c1"],
  ["bin 16", "c50003 c1c1c1"],
  ["bin 32", "c600000002 c7d4"],
  ["float 32", "ca 3fc00000"],
  ["float 64", "cb 3ff8000000000000"],
  ["float 64, the largest", "cb 7fefffffffffffff"],
  ["uint 8", "cc ff"],
  ["uint 16", "cd ffff"],
  ["uint 32", "ce ffffffff"],
  ["uint 64", "cf 0000000100000000"],
  ["int 8", "d0 80"],
  ["int 16", "d1 8000"],
  ["int 32", "d2 80000000"],
  ["int 64", "d3 ffffffffffffffff"],
  ["str 8", "d902 c3a9"],
  ["str 16", "da0003 e282ac"],
  ["str 32", "db00000004 f09f9880"],
  ["array 16", "dc0002 c0 c0"],
  ["array 32", "dd00000001 90"],
  ["map 16", "de0001 a161 c0"],
  ["map 32", "df00000001 d90161 80"],
  ["negative fixint -1", "ff"],
  ["negative fixint -32", "e0"],
];

describe("scanMessagePack()", () => {
  test.each(goodValues)("takes %s, and refuses it cut short at any byte or followed by one", (_what, digits) => {
    const whole = holding(hex(digits));
    expect(scanMessagePack(whole)).toBeUndefined();
    for (let end = 3; end < whole.length; end++) {
      expect(why(whole.subarray(0, end))).toMatch(/^a (length|count) is larger than the bytes left$/);
    }
    expect(why(Uint8Array.of(...whole, 0xc0))).toBe("1 bytes follow the map");
  });

  test("reads nothing of the bytes around its frame", () => {
    const around = Uint8Array.of(0xc1, 0x81, 0xa1, 0x76, 0xa2, 0x61, 0x62, 0xc1);
    expect(scanMessagePack(around.subarray(1, 7))).toBeUndefined();
    expect(why(around.subarray(1, 6))).toBe(truncated);
  });

  test.each([
    ["nothing", ""],
    ["nil", "c0"],
    ["a number", "01"],
    ["text", "a161"],
    ["an array", "90"],
    ["an array 32", "dd00000000"],
    ["an extension", "d40100"],
    ["the unused marker", "c1"],
  ])("refuses %s where a map is wanted", (_what, digits) => {
    expect(why(hex(digits))).toBe("it is no map");
  });

  test.each([
    ["the unused marker", "c1"],
    ["ext 8", "c7 01 05 00"],
    ["ext 16", "c8 0001 05 00"],
    ["ext 32", "c9 00000001 05 00"],
    ["fixext 1", "d4 05 00"],
    ["fixext 2", "d5 05 0000"],
    ["fixext 4, a timestamp", "d6 ff 00000000"],
    ["fixext 8, a timestamp", "d7 ff 0000000000000000"],
    ["fixext 16", `d8 05 ${repeated("00", 16)}`],
  ])("refuses %s at once, whatever follows", (_what, digits) => {
    const whole = hex(digits);
    for (let end = 1; end <= whole.length; end++) expect(why(holding(whole.subarray(0, end)))).toBe(extension);
  });

  test.each([
    ["bin 8 of one more", "c403 0000", truncated],
    ["bin 16 of 65,535", "c5ffff 00", truncated],
    ["bin 32 of 4 GiB", "c6ffffffff 00", truncated],
    ["fixstr of one more", "a3 6161", truncated],
    ["str 32 of 4 GiB", "dbffffffff 61", truncated],
    ["fixarray of one more", "92 c0", overcounted],
    ["array 32 of 2^32-1", "ddffffffff c0", overcounted],
    ["fixmap of one more", "82 a161 c0", overcounted],
    ["a map of as many pairs as bytes", "83 a161 c0", overcounted],
    ["map 32 of 2^31, twice which is 2^32", "df80000000 a161 c0", overcounted],
    ["map 32 of 2^32-1", "dfffffffff a161 c0", overcounted],
  ])("refuses %s", (_what, digits, wanted) => {
    expect(why(holding(hex(digits)))).toBe(wanted);
  });

  test.each([
    ["2^53-1 as uint 64", "cf 001fffffffffffff", true],
    ["2^53 as uint 64", "cf 0020000000000000", false],
    ["2^53+1 as uint 64", "cf 0020000000000001", false],
    ["2^63 as uint 64", "cf 8000000000000000", false],
    ["2^64-1 as uint 64", "cf ffffffffffffffff", false],
    ["2^53-1 as int 64", "d3 001fffffffffffff", true],
    ["2^53 as int 64", "d3 0020000000000000", false],
    ["2^63-1 as int 64", "d3 7fffffffffffffff", false],
    ["-(2^53-1) as int 64", "d3 ffe0000000000001", true],
    ["-2^53 as int 64", "d3 ffe0000000000000", false],
    ["-2^53-1 as int 64", "d3 ffdfffffffffffff", false],
    ["-2^63 as int 64", "d3 8000000000000000", false],
    ["2^53 as float 64", "cb 4340000000000000", true],
    ["NaN as float 32", "ca 7fc00000", false],
    ["a signalling NaN as float 32", "ca ff800001", false],
    ["Infinity as float 32", "ca 7f800000", false],
    ["-Infinity as float 32", "ca ff800000", false],
    ["NaN as float 64", "cb 7ff8000000000000", false],
    ["NaN with another payload as float 64", "cb fff0000000000001", false],
    ["Infinity as float 64", "cb 7ff0000000000000", false],
    ["-Infinity as float 64", "cb fff0000000000000", false],
  ])("judges the number %s", (_what, digits, isTaken) => {
    const frame = holding(hex(digits));
    if (isTaken) expect(scanMessagePack(frame)).toBeUndefined();
    else expect(why(frame)).toMatch(/^it holds (NaN or an infinity|an integer beyond 2\^53-1)$/);
  });

  const badUtf8: readonly (readonly [what: string, digits: string])[] = [
    ["a lone continuation byte", "80"],
    ["0xff", "ff"],
    ["0xfe", "fe"],
    ["0xf5", "f5808080"],
    ["0xc0, an overlong NUL", "c080"],
    ["0xc1, an overlong del", "c1bf"],
    ["an overlong three-byte slash", "e080af"],
    ["the largest overlong of three", "e09fbf"],
    ["an overlong four-byte slash", "f08080af"],
    ["the largest overlong of four", "f08fbfbf"],
    ["five bytes", "f888808080"],
    ["the first surrogate", "eda080"],
    ["the last surrogate", "edbfbf"],
    ["a pair of surrogates", "eda0bdedb880"],
    ["U+110000", "f4908080"],
    ["a two-byte character cut short", "c3"],
    ["a three-byte character cut short", "e282"],
    ["a four-byte character cut short", "f09f98"],
    ["a two-byte character with a plain letter", "c341"],
    ["a three-byte character with a plain letter second", "e241ac"],
    ["a three-byte character with a plain letter last", "e28241"],
    ["a four-byte character with a plain letter third", "f09f4180"],
    ["a four-byte character with a lead last", "f09f98c3"],
  ];

  test.each(badUtf8)("refuses text with %s, in the middle, at its end and in a key", (_what, digits) => {
    const bad = hex(digits);
    const frames = [
      holding(Uint8Array.of(0xd9, bad.length + 2, 0x61, ...bad, 0x61)),
      holding(Uint8Array.of(0xa0 + bad.length, ...bad)),
      // Followed by what would complete it, were the text's end not minded.
      Uint8Array.of(0x82, 0xa1, 0x76, 0xa0 + bad.length, ...bad, 0xa1, 0x80, 0xc0),
      Uint8Array.of(0x81, 0xa0 + bad.length, ...bad, 0xc0),
    ];
    for (const frame of frames) expect(why(frame)).toBe("it holds text that is no UTF-8");
  });

  test.each([
    ["U+0080", "c280"],
    ["U+07FF", "dfbf"],
    ["U+0800", "e0a080"],
    ["U+D7FF", "ed9fbf"],
    ["U+E000", "ee8080"],
    ["a byte order mark", "efbbbf"],
    ["U+FFFF", "efbfbf"],
    ["U+10000", "f0908080"],
    ["U+10FFFF", "f48fbfbf"],
    ["NUL", "00"],
  ])("takes text with %s", (_what, digits) => {
    const good = hex(digits);
    expect(scanMessagePack(holding(Uint8Array.of(0xa0 + good.length, ...good)))).toBeUndefined();
  });

  test("agrees with a fatal TextDecoder on every text of three bytes that are edges of UTF-8", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const edges = hex("00417f808f909fa0bfc0c1c2dfe0e1ecedeeeff0f1f3f4f5ff");
    const isUtf8 = (text: Uint8Array): boolean => {
      try {
        decoder.decode(text);
        return true;
      } catch {
        return false;
      }
    };
    const isTaken = (text: Uint8Array): boolean => {
      try {
        scanMessagePack(holding(Uint8Array.of(0xa0 + text.length, ...text)));
        return true;
      } catch {
        return false;
      }
    };
    for (const first of edges) {
      for (const second of edges) {
        for (const third of edges) {
          const text = Uint8Array.of(first, second, third, 0x80);
          for (const length of [1, 2, 3, 4]) {
            const cut = text.subarray(0, length);
            if (isTaken(cut) !== isUtf8(cut)) throw new Error(`no agreement on ${cut.toHex()}`);
          }
        }
      }
    }
  });

  test.each([
    ["nil", "81 c0 c0"],
    ["a number", "81 01 c0"],
    ["a negative number", "81 ff c0"],
    ["bytes", "81 c40161 c0"],
    ["a map", "81 80 c0"],
    ["an array", "81 90 c0"],
    ["true, as the second of its keys", "82 a161 c0 c3 c0"],
    ["a number, after a nested map was closed", "82 a161 81 a162 c0 01 c0"],
    ["a number, in a nested map", "81 a176 91 81 01 c0"],
    ["a float, in a map that follows an array", "82 a161 92 a162 01 ca00000000 c0"],
  ])("refuses a key that is %s", (_what, digits) => {
    expect(why(hex(digits))).toBe("a map has a key that is no text");
  });

  test.each([
    ["arrays", "91", "90"],
    ["arrays 32", "dd00000001", "90"],
    ["maps", "81a161", "80"],
    ["maps 16", "de0001a161", "80"],
  ])("takes %s 64 deep and refuses them 65 deep, however wide", (_what, opener, innermost) => {
    const nested = (depth: number): Uint8Array => holding(hex(opener.repeat(depth - 2) + innermost));
    expect(scanMessagePack(nested(64))).toBeUndefined();
    expect(why(nested(65))).toBe("nesting is over 64");
    expect(scanMessagePack(holding(hex(`dc0100 ${repeated("91c0", 256)}`)))).toBeUndefined();
  });

  test("counts what follows a deep thing to the right map again", () => {
    const deep = `${repeated("91", 63)}c0`;
    expect(scanMessagePack(hex(`82 a161 ${deep} a162 ${deep}`))).toBeUndefined();
    expect(why(hex(`82 a161 ${deep} 05 ${deep}`))).toBe("a map has a key that is no text");
  });

  test.each([
    ["15 KB of nested arrays that claim 2^32-1", hex(repeated("ddffffffff", 3000)), overcounted],
    ["15 KB of nested maps that claim 2^32-1", hex(repeated("dfffffffffa161", 2150)), overcounted],
    ["1 MiB of nested arrays that claim 2^32-1", new Uint8Array(2 ** 20).fill(0xdd), overcounted],
    ["1 MiB of arrays of one", new Uint8Array(2 ** 20).fill(0x91), "nesting is over 64"],
    ["1 MiB of arrays of fifteen", new Uint8Array(2 ** 20).fill(0x9f), "nesting is over 64"],
    ["1 MiB that claims as many items as fit, in each of many", bombOfFittingCounts(2 ** 20), "nesting is over 64"],
  ])("refuses %s in under 50 ms without growing", (_what, bomb, wanted) => {
    const frame = holding(bomb);
    Bun.gc(true);
    const bytesBefore = process.memoryUsage().rss;
    const startMs = performance.now();
    for (let round = 0; round < 10; round++) expect(why(frame)).toBe(wanted);
    expect((performance.now() - startMs) / 10).toBeLessThan(50);
    expect(process.memoryUsage().rss - bytesBefore).toBeLessThan(8 * 2 ** 20);
  });

  test("is right after a scan that failed anywhere", () => {
    const good = hex("82 a161 92 81 a162 c0 c3 a163 80");
    const bad = [
      repeated("91", 70),
      "81 a161 81 a161 81",
      "82 a161 c0",
      "81 a161 81 01 c0",
      "83 a161 c0 a162 92 c0 c1",
      `81 ${repeated("a16181", 64)}`,
    ];
    for (const digits of bad) {
      const frame = digits.startsWith("91") ? holding(hex(digits)) : hex(digits);
      why(frame);
      expect(scanMessagePack(good)).toBeUndefined();
      expect(why(hex("82 a161 92 81 a162 c0 c3 05 80"))).toBe("a map has a key that is no text");
    }
  });
});

/** Arrays in arrays, each of which claims exactly as many items as there are bytes behind it. */
function bombOfFittingCounts(length: number): Uint8Array {
  const bomb = new Uint8Array(length).fill(0xc0);
  const view = new DataView(bomb.buffer);
  for (let at = 0; at + 5 <= length; at += 5) {
    view.setUint8(at, 0xdd);
    view.setUint32(at + 1, length - at - 5);
  }
  return bomb;
}
