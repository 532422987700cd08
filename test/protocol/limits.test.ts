import { describe, expect, test } from "bun:test";
import { assertLimits, defaultLimits, type Limits } from "../../src/protocol/limits.ts";

describe("assertLimits()", () => {
  test("passes the defaults", () => {
    expect(() => assertLimits(defaultLimits)).not.toThrow();
  });

  const names = Object.keys(defaultLimits) as (keyof Limits)[];

  test.each(
    names.flatMap((name) => [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY].map((value) => [name, value] as const)),
  )("refuses %s of %p by its name", (name, value) => {
    expect(() => assertLimits({ ...defaultLimits, [name]: value })).toThrow(
      new RegExp(`\\b${name} is a positive integer`),
    );
  });

  test.each([
    [{ valueBytesMax: defaultLimits.frameBytesMax }, "valueBytesMax is below frameBytesMax"],
    [{ keyBytesMax: defaultLimits.valueBytesMax }, "keyBytesMax is below valueBytesMax"],
    [{ outboxBytesMax: 2 * defaultLimits.frameBytesMax - 1 }, "outboxBytesMax holds at least two frames"],
    [{ waitsPerSessionMax: defaultLimits.waitsMax + 1 }, "waitsPerSessionMax is at most waitsMax"],
  ])("refuses %p, which contradicts the rest", (changed, text) => {
    expect(() => assertLimits({ ...defaultLimits, ...changed })).toThrow(text);
  });

  test.each([
    [{ valueBytesMax: defaultLimits.frameBytesMax - 1 }],
    [{ outboxBytesMax: 2 * defaultLimits.frameBytesMax }],
    [{ waitsPerSessionMax: defaultLimits.waitsMax }],
  ])("passes %p, which is just within", (changed) => {
    expect(() => assertLimits({ ...defaultLimits, ...changed })).not.toThrow();
  });
});
