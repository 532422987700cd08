import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { decompressValue, smaller } from "../../src/client/compressed.ts";

const gzipped = (text: string): string => gzipSync(text).toString("base64");

describe("decompressValue()", () => {
  test("reads what the seed's client writes", async () => {
    const value = { list: Array.from({ length: 200 }, (_, index) => `item ${index} é€`) };
    expect(await decompressValue("k", gzipped(JSON.stringify(value)))).toEqual(value);
  });

  test("reads a megabyte of one letter, which inflates a thousandfold", async () => {
    const text = "x".repeat(1024 * 1024 - 2);
    expect(await decompressValue("k", gzipped(JSON.stringify(text)))).toBe(text);
  });

  test("reads bytes inside", async () => {
    const packed = gzipped('{"image":{"$binary":"AQID"}}');
    expect(await decompressValue("k", packed)).toEqual({ image: new Uint8Array([1, 2, 3]) });
  });

  test.each([
    ["a bomb", gzipped("0".repeat(17 * 1024 * 1024))],
    ["over 100 × where that is over a megabyte", gzipped(JSON.stringify("x".repeat(2 * 1024 * 1024)))],
    ["no gzip", Buffer.from("plain").toString("base64")],
    ["half of it", gzipped(JSON.stringify("x".repeat(5000))).slice(0, 20)],
    ["no JSON", gzipped("{")],
    ["no text", 7],
  ])("refuses %s with the key in its message", async (_what, packed) => {
    const error: unknown = await decompressValue("the-key", packed).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: "invalid_json", message: expect.stringContaining("the-key") });
  });
});

describe("smaller()", () => {
  test("gzips from the threshold on", async () => {
    const text = JSON.stringify("x".repeat(2000));
    expect(await smaller(text, text.length + 1)).toBeUndefined();
    expect(await decompressValue("k", (await smaller(text, text.length))?.member)).toBe("x".repeat(2000));
  });

  test("leaves text that would only grow", async () => {
    const noise = Array.from(crypto.getRandomValues(new Uint8Array(1000)), (byte) =>
      String.fromCharCode(40 + (byte % 50)),
    );
    const packedTwice = gzipped(noise.join("")).slice(0, 1000);
    expect(await smaller(packedTwice, 10)).toBeUndefined();
  });
});
