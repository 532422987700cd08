import { describe, expect, test } from "bun:test";
import { readEnvironment } from "../../src/client/environment.ts";
import { json } from "../../src/client/json-codec.ts";
import { type ClientOptions, clientSettings } from "../../src/client/options.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";

const nothing = {
  pipe: undefined,
  url: undefined,
  token: undefined,
  secret: undefined,
  label: undefined,
  timeoutMs: undefined,
  compression: false,
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
    [
      { EPHEMERAL_URL: "ws://h/ws", EPHEMERAL_TOKEN: "t" },
      { url: "ws://h/ws", token: "t" },
    ],
    [{ EPHEMERAL_URL: "", EPHEMERAL_TOKEN: "" }, { token: "" }],
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
      endpoint: "/p",
      isUrl: false,
      token: undefined,
      webSocket: undefined,
      secret: undefined,
      label: undefined,
      timeoutMs: 5000,
      defaultTtlMs: 1_800_000,
      compressionThreshold: Number.POSITIVE_INFINITY,
      lingerMs: undefined,
      onLost: undefined,
      dial: undefined,
      codec: json,
    });
  });

  test.each<[Record<string, string>, ClientOptions, object]>([
    [{ EPHEMERAL_URL: "ws://h/ws" }, {}, { endpoint: "ws://h/ws", isUrl: true, token: undefined, lingerMs: 5000 }],
    [{ EPHEMERAL_URL: "ws://h/ws", EPHEMERAL_TOKEN: "t" }, {}, { token: "t", secret: undefined }],
    [
      { EPHEMERAL_URL: "ws://h/ws", EPHEMERAL_TOKEN: "t" },
      { token: "u", lingerMs: 0 },
      { token: "u", lingerMs: 0 },
    ],
    [{ EPHEMERAL_URL: "wss://h/ws", EPHEMERAL_SECRET: "s" }, {}, { isUrl: true, secret: "s" }],
    [{ EPHEMERAL_URL: "wss://h/ws", EPHEMERAL_TOKEN: "t", EPHEMERAL_SECRET: "s" }, {}, { secret: undefined }],
    [
      { EPHEMERAL_URL: "ws://h/ws", EPHEMERAL_PIPE: "/p", EPHEMERAL_TOKEN: "t" },
      {},
      { endpoint: "/p", token: undefined },
    ],
  ])("takes the pipe before the URL, and a token for a URL alone: %o %o", (variables, options, wanted) => {
    expect(withEnvironment(variables, () => clientSettings(undefined, options))).toMatchObject(wanted);
  });

  test("refuses an empty token: it never means none", () => {
    const error = errorOf(() => withEnvironment({}, () => clientSettings("ws://h/ws", { token: "" })));
    expect([error.code, error.message]).toEqual([
      "bad_command",
      "Cannot make a client: the token is empty; give one or leave it out",
    ]);
  });

  test.each(["http://127.0.0.1:4000/ws", "https://example.org/ws"])("takes %s for no path", (url) => {
    const text = "Cannot make a client: wanted a pipe or a URL of ws: or wss:, got http:";
    expect(() => clientSettings(url, {})).toThrow(text);
  });

  test("prefers what it is told to the environment", () => {
    const variables = { EPHEMERAL_PIPE: "/p", EPHEMERAL_SECRET: "a", EPHEMERAL_LABEL: "b", CLIENT_TIMEOUT: "1" };
    const options: ClientOptions = { secret: "c", label: "d", timeout: 2, compression: true };
    const settings = withEnvironment(variables, () => clientSettings("/q", options));
    expect(settings).toMatchObject({
      endpoint: "/q",
      secret: "c",
      label: "d",
      timeoutMs: 2,
      compressionThreshold: 1024,
    });
  });

  test("says how to get a broker when no pipe is named", () => {
    const error = withEnvironment({}, () => errorOf(() => clientSettings(undefined, {})));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("neither EPHEMERAL_PIPE nor EPHEMERAL_URL is set");
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
