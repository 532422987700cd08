import { describe, expect, test } from "bun:test";
import { readEnvironment } from "../../src/client/environment.ts";
import { json } from "../../src/client/json-codec.ts";
import { type ClientOptions, clientSettings } from "../../src/client/options.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";

const nothing = {
  pipe: undefined,
  secret: undefined,
  label: undefined,
  timeoutMs: undefined,
  compression: undefined,
  compressionThreshold: undefined,
};

function errorOf(run: () => unknown): EphemeralError {
  try {
    run();
  } catch (error) {
    if (error instanceof EphemeralError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Runs with exactly `variables` of ours set. */
function withEnvironment<Result>(variables: Record<string, string>, run: () => Result): Result {
  const before = { ...process.env };
  for (const name of Object.keys(before)) if (/^(?:EPHEMERAL|CLIENT)_/.test(name)) delete process.env[name];
  Object.assign(process.env, variables);
  try {
    return run();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
    Object.assign(process.env, before);
  }
}

describe("readEnvironment()", () => {
  test.each<[Record<string, string>, Partial<ReturnType<typeof readEnvironment>>]>([
    [{}, {}],
    [
      { EPHEMERAL_PIPE: "/p", EPHEMERAL_LABEL: "w1" },
      { pipe: "/p", label: "w1" },
    ],
    [{ EPHEMERAL_PIPE: "", EPHEMERAL_LABEL: "" }, {}],
    [{ EPHEMERAL_SECRET: "a" }, { secret: "a" }],
    [{ EPHEMERAL_SECRET: "a", CLIENT_SECRET: "b" }, { secret: "b" }],
    [{ EPHEMERAL_SECRET: "" }, { secret: "" }],
    [{ CLIENT_TIMEOUT: "250" }, { timeoutMs: 250 }],
    [
      { CLIENT_COMPRESSION: "1", CLIENT_COMPRESSION_THRESHOLD: "9" },
      { compression: true, compressionThreshold: 9 },
    ],
    [{ CLIENT_COMPRESSION: "false" }, { compression: false }],
  ])("%o", (variables, found) => {
    expect(readEnvironment(variables)).toEqual({ ...nothing, ...found });
  });

  test.each([
    ["CLIENT_TIMEOUT", "5s"],
    ["CLIENT_TIMEOUT", "0"],
    ["CLIENT_TIMEOUT", ""],
    ["CLIENT_TIMEOUT", "-1"],
    ["CLIENT_COMPRESSION", "yes"],
    ["CLIENT_COMPRESSION_THRESHOLD", "1e3"],
  ])("refuses %s=%s by name", (name, text) => {
    const error = errorOf(() => readEnvironment({ [name]: text }));
    expect(error).toMatchObject({ code: "bad_command", message: expect.stringContaining(name) });
  });
});

describe("clientSettings()", () => {
  test("has the documented defaults", () => {
    const { clock, ...settings } = withEnvironment({ EPHEMERAL_PIPE: "/p" }, () => clientSettings(undefined, {}));
    expect(clock.nowMs()).toBeNumber();
    expect(settings).toEqual({
      pipe: "/p",
      secret: undefined,
      label: undefined,
      timeoutMs: 5000,
      defaultTtlMs: 1_800_000,
      compressionThreshold: Number.POSITIVE_INFINITY,
      lingerMs: 0,
      onLost: undefined,
      dial: undefined,
      codec: json,
    });
  });

  test("prefers what it is told to the environment", () => {
    const variables = { EPHEMERAL_PIPE: "/p", EPHEMERAL_SECRET: "a", EPHEMERAL_LABEL: "b", CLIENT_TIMEOUT: "1" };
    const options: ClientOptions = { secret: "c", label: "d", timeout: 2, compression: true };
    const settings = withEnvironment(variables, () => clientSettings("/q", options));
    expect(settings).toMatchObject({ pipe: "/q", secret: "c", label: "d", timeoutMs: 2, compressionThreshold: 1024 });
  });

  test("says how to get a broker when no pipe is named", () => {
    const error = withEnvironment({}, () => errorOf(() => clientSettings(undefined, {})));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("EPHEMERAL_PIPE is not set");
    expect(error.message).toContain("ephemeral start -- <command>");
  });

  test.each<[string, ClientOptions]>([
    ["secret", { secret: "" }],
    ["timeoutMs", { timeoutMs: 0 }],
    ["timeoutMs", { timeoutMs: 1.5 }],
    ["timeoutMs", { timeoutMs: Number.NaN }],
    ["timeoutMs", { timeoutMs: 2 ** 31 }],
    ["defaultTtlMs", { defaultTtlMs: -1 }],
  ])("refuses an impossible %s", (name, options) => {
    expect(errorOf(() => clientSettings("/p", options))).toMatchObject({
      code: "bad_command",
      message: expect.stringContaining(name),
    });
  });

  test("an empty secret in the environment is an error, never no authentication", () => {
    const error = withEnvironment({ EPHEMERAL_SECRET: "" }, () => errorOf(() => clientSettings("/p", {})));
    expect(error.code).toBe("bad_command");
  });
});
