import { describe, expect, test } from "bun:test";
import {
  assert,
  badField,
  closeCodes,
  EphemeralError,
  finalCodes,
  kindOf,
  mayReconnect,
  retryableCodes,
} from "../../src/protocol/errors.ts";

describe("retryableCodes", () => {
  test("says of exactly the codes that the protocol names that trying again can help", () => {
    expect<string[]>([...retryableCodes].sort()).toEqual(
      [
        "draining",
        "no_responder",
        "pool_exhausted",
        "rate_limited",
        "timeout",
        "too_many_commands",
        "too_many_connections",
        "too_many_names",
        "unavailable",
      ].sort(),
    );
  });

  test("are told apart from the final ones by each error", () => {
    const said = [...retryableCodes, ...finalCodes].map((code) => new EphemeralError(code, "").retryable);
    expect(said).toEqual([...retryableCodes.map(() => true), ...finalCodes.map(() => false)]);
  });
});

describe("finalCodes and retryableCodes", () => {
  test("keep the seed's codes", () => {
    const seed =
      "not_found expired ttl_required invalid_ttl too_large max_items auth_failed invalid_json unknown_action key_and_worker_required worker_required draining";
    const codes: readonly string[] = [...finalCodes, ...retryableCodes];
    expect(seed.split(" ").filter((code) => !codes.includes(code))).toEqual([]);
  });
});

describe("EphemeralError", () => {
  test("takes its retryable from its code and carries what it was given", () => {
    const error = new EphemeralError("rate_limited", "Cannot go on: too fast", {
      retryAfterMs: 5,
      details: { limit: 1 },
    });
    expect(error).toBeInstanceOf(Error);
    expect({ ...error, name: error.name, message: error.message }).toEqual({
      name: "EphemeralError",
      message: "Cannot go on: too fast",
      code: "rate_limited",
      retryable: true,
      retryAfterMs: 5,
      details: { limit: 1 },
    });
    expect(new EphemeralError("exists", "Cannot set key: it is there")).toMatchObject({ retryable: false });
  });
});

describe("badField()", () => {
  test.each([
    [null, "null"],
    [undefined, "nothing"],
    ["hunter2", "a string of 7 characters"],
    [["hunter2"], "an array of 1"],
    [{ hunter2: "hunter2" }, "an object"],
    [Uint8Array.of(1, 2), "2 bytes"],
    [1.5, "a number that is no integer"],
    [Number.NaN, "a number that is no integer"],
    [271828, "an integer"],
    [true, "a boolean"],
  ])("says of %p only its kind: %s", (actual, kind) => {
    const error = badField("key", "text", actual);
    expect(error.code).toBe("bad_command");
    expect(error.message).toBe(`Cannot read field "key": wanted text, got ${kind}`);
    expect(error.details).toEqual({ field: "key" });
    expect(kindOf(actual)).toBe(kind);
  });
});

test("badField() says of an integer that it is out of range only where one was wanted", () => {
  expect(badField("size", "an integer from 1 to 9", 10).message).toEndWith("got an integer out of range");
});

describe("mayReconnect()", () => {
  const comeBack = ["shutdown", "expired", "slow", "insufficientState", "noPong", "tooManyRequests"];

  test.each(Object.entries(closeCodes))("of %s (%i) is its range's rule", (name, code) => {
    expect(mayReconnect(code)).toBe(comeBack.includes(name));
  });

  test.each([
    [1000, true],
    [1006, true],
    [3499, true],
    [3500, false],
    [3999, false],
    [4000, true],
  ])("of %i is %p", (code, may) => {
    expect(mayReconnect(code)).toBe(may);
  });
});

describe("assert()", () => {
  test("throws what should hold, and nothing when it holds", () => {
    expect(() => assert(0, "the count is over zero")).toThrow("Invariant broken: the count is over zero");
    expect(() => assert(1, "the count is over zero")).not.toThrow();
  });
});
