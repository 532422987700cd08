import { describe, expect, test } from "bun:test";
import { assertLimits, defaultLimits, type Limits } from "../../src/protocol/limits.ts";
import { MiB } from "../../src/protocol/sizes.ts";
import { refusal } from "../support/refusal.ts";

describe("assertLimits()", () => {
  test("passes the defaults", () => {
    expect(() => assertLimits(defaultLimits)).not.toThrow();
  });

  const names = Object.keys(defaultLimits) as (keyof Limits)[];

  test.each(
    names.flatMap((name) => [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY].map((value) => [name, value] as const)),
  )("refuses %s of %p by its name", (name, value) => {
    expect(refusal(() => assertLimits({ ...defaultLimits, [name]: value }))).toMatchObject({
      code: "bad_command",
      message: `Cannot start broker: wanted ${name} over 0 and whole, got ${value}`,
      details: { limits: [name] },
    });
  });

  test.each([
    [
      { valueBytesMax: defaultLimits.frameBytesMax },
      "valueBytesMax below frameBytesMax; valueBytesMax is 1048576, frameBytesMax is 1048576",
    ],
    [{ keyBytesMax: defaultLimits.valueBytesMax }, "keyBytesMax below valueBytesMax"],
    [{ outboxBytesMax: 4 * MiB - 1 }, "outboxBytesMax at least twice historyBytesMax and frameBytesMax together"],
    [{ commandsHeldBytesMax: defaultLimits.frameBytesMax - 1 }, "commandsHeldBytesMax at least frameBytesMax"],
    [{ waitsPerSessionMax: defaultLimits.waitsMax + 1 }, "waitsPerSessionMax at most waitsMax"],
  ])("refuses %p, which contradicts the rest", (changed, text) => {
    const error = refusal(() => assertLimits({ ...defaultLimits, ...changed }));
    expect(error.code).toBe("bad_command");
    expect(error.message).toStartWith(`Cannot start broker: wanted ${text}`);
  });

  test.each([
    [{ valueBytesMax: defaultLimits.frameBytesMax - 1 }],
    [{ outboxBytesMax: 4 * MiB }],
    [{ outboxBytesMax: 3 * MiB, historyBytesMax: MiB / 2 }],
    [{ commandsHeldBytesMax: defaultLimits.frameBytesMax }],
    [{ waitsPerSessionMax: defaultLimits.waitsMax }],
  ])("passes %p, which is just within", (changed) => {
    expect(() => assertLimits({ ...defaultLimits, ...changed })).not.toThrow();
  });
});
