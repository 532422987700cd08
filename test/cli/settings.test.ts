/**
 * Flags and environment to settings: which wins, what is refused, and with which words. No secret is ever in a message.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { HintedError } from "../../src/cli/failure.ts";
import { bounds } from "../../src/cli/settings/bounds.ts";
import {
  choiceFlag,
  clientSettings,
  countFlag,
  type Environment,
  type Flags,
  waitFlag,
  wantsColours,
} from "../../src/cli/settings/settings.ts";
import { startSettings } from "../../src/cli/settings/start-settings.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";

const piped = { EPHEMERAL_PIPE: "/run/a/sock" };
const uid = process.getuid?.() ?? 0;

function refusal(run: () => unknown): { code: string; message: string; hint: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof HintedError) return { code: error.code, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("clientSettings()", () => {
  test.each<[Flags, Environment, { pipe: string; secret?: string; timeoutMs?: number }]>([
    [{}, piped, { pipe: "/run/a/sock" }],
    [{ pipe: "/run/b/sock" }, piped, { pipe: "/run/b/sock" }],
    [{}, { ...piped, EPHEMERAL_LABEL: "setup" }, { pipe: "/run/a/sock" }],
    [{ timeout: "2s" }, { ...piped, CLIENT_TIMEOUT: "7000" }, { pipe: "/run/a/sock", timeoutMs: 2000 }],
    [{}, { ...piped, CLIENT_TIMEOUT: "7000" }, { pipe: "/run/a/sock", timeoutMs: 7000 }],
    [{}, { ...piped, EPHEMERAL_SECRET: "e" }, { pipe: "/run/a/sock", secret: "e" }],
    [{}, { ...piped, EPHEMERAL_SECRET: "e", CLIENT_SECRET: "c" }, { pipe: "/run/a/sock", secret: "c" }],
    [{ secret: "f" }, { ...piped, CLIENT_SECRET: "c" }, { pipe: "/run/a/sock", secret: "f" }],
    [{}, { ...piped, BROKER_SECRET: "b" }, { pipe: "/run/a/sock" }],
  ])("of %j and %j", (flags, environment, { pipe, secret, timeoutMs = 5000 }) => {
    const pipeFrom = flags.pipe === undefined ? "EPHEMERAL_PIPE" : "--pipe";
    expect(clientSettings(flags, environment)).toEqual({
      pipe,
      pipeFrom,
      secret,
      timeoutMs,
      label: environment.EPHEMERAL_LABEL ?? "ephemeral",
    });
  });

  test.each<[Flags, Environment, string, string, string]>([
    [
      {},
      {},
      "unavailable",
      "No broker: EPHEMERAL_PIPE is not set and neither --pipe nor --name is given",
      "See which run with: ephemeral ls, and name one with --name; or start one: ephemeral start -- your-command",
    ],
    [
      {},
      { EPHEMERAL_URL: "ws://127.0.0.1:4711/ws" },
      "unavailable",
      "No broker: EPHEMERAL_PIPE is not set and neither --pipe nor --name is given",
      "EPHEMERAL_URL is for the library's Client; commands want the socket: see ephemeral ls, and give --name or --pipe",
    ],
    [
      {},
      { EPHEMERAL_PIPE: "" },
      "bad_command",
      "Cannot find the broker: EPHEMERAL_PIPE is empty",
      "Correct EPHEMERAL_PIPE, or unset it",
    ],
    [
      { pipe: "" },
      piped,
      "bad_command",
      "Cannot find the broker: --pipe is empty",
      "Correct --pipe, or leave it out for the default",
    ],
    [
      { secret: "" },
      { ...piped, EPHEMERAL_SECRET: "e" },
      "bad_command",
      "Cannot use the secret: --secret is empty",
      "Give --secret a value, or leave it out",
    ],
    [
      {},
      { ...piped, CLIENT_SECRET: "", EPHEMERAL_SECRET: "e" },
      "bad_command",
      "Cannot use the secret: CLIENT_SECRET is empty",
      "Give CLIENT_SECRET a value, or leave it out",
    ],
    [
      { timeout: "fast" },
      piped,
      "bad_command",
      'Cannot read --timeout: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "fast"',
      "Correct --timeout, or leave it out for the default",
    ],
    [
      {},
      { ...piped, CLIENT_TIMEOUT: "" },
      "bad_command",
      'Cannot read CLIENT_TIMEOUT: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got ""',
      "Correct CLIENT_TIMEOUT, or unset it",
    ],
    [
      { timeout: "0" },
      piped,
      "bad_command",
      "Cannot use the timeout: it must be longer than 0",
      "Leave --timeout out for 5s",
    ],
  ])("of %j and %j refuses", (flags, environment, code, message, hint) => {
    expect(refusal(() => clientSettings(flags, environment))).toEqual({ code, message, hint });
  });
});

describe("startSettings()", () => {
  test("without anything takes the defaults", () => {
    const { config, graceMs, environment } = startSettings({}, {});
    const { runRoot, secret, defaultTtlMs, requireTtl, limits } = config;
    expect({ runRoot, secret, defaultTtlMs, requireTtl, limits, graceMs, environment }).toEqual({
      runRoot: `/tmp/ephemeral-${uid}`,
      secret: undefined,
      defaultTtlMs: 1_800_000,
      requireTtl: true,
      limits: { ...defaultLimits },
      graceMs: 10_000,
      environment: {},
    });
  });

  test.each(bounds.map((bound) => [bound.flag, bound] as const))(
    "--%s sets its bound, and its variables too",
    (flag, bound) => {
      const amount = bound.limit === "outboxBytesMax" ? 8 * 1024 * 1024 : defaultLimits[bound.limit] - 1;
      const [ours = "", seeds] = bound.environment;
      expect(startSettings({ [flag]: `${amount}` }, { [ours]: "7" }).config.limits[bound.limit]).toBe(amount);
      expect(startSettings({}, { [ours]: `${amount}` }).config.limits[bound.limit]).toBe(amount);
      if (seeds !== undefined) {
        expect(startSettings({}, { [seeds]: `${amount}` }).config.limits[bound.limit]).toBe(amount);
        expect(startSettings({}, { [ours]: `${amount}`, [seeds]: "7" }).config.limits[bound.limit]).toBe(amount);
      }
    },
  );

  test("there is a flag and a variable for every bound, in the order of limits.ts", () => {
    expect(bounds.map(({ limit }): string => limit)).toEqual(Object.keys(defaultLimits));
  });

  test.each([
    ["frameBytesMax", "frame-bytes-max", "EPHEMERAL_FRAME_BYTES_MAX BROKER_MAX_REQUEST_SIZE", "1MiB"],
    ["valueBytesMax", "value-bytes-max", "EPHEMERAL_VALUE_BYTES_MAX BROKER_MAX_VALUE_SIZE", "256KiB"],
    ["keyBytesMax", "key-bytes-max", "EPHEMERAL_KEY_BYTES_MAX", "512B"],
    ["itemsMax", "items-max", "EPHEMERAL_ITEMS_MAX BROKER_MAX_ITEMS", "10000"],
    ["stallMs", "stall-ms", "EPHEMERAL_STALL_MS", "10s"],
    ["ttlMsMax", "ttl-ms-max", "EPHEMERAL_TTL_MS_MAX", "30d"],
    ["expiredRememberedMax", "expired-remembered-max", "EPHEMERAL_EXPIRED_REMEMBERED_MAX", "10000"],
  ])("%s is --%s and %s, by default %s", (limit, flag, environment, standard) => {
    const bound = bounds.find((bound) => bound.limit === limit);
    expect(bound).toMatchObject({ flag, environment: environment.split(" "), standard });
  });

  test("every default reads back as the bound it stands for", () => {
    for (const { limit, unit, standard } of bounds) {
      expect({ limit, amount: unit.read(standard) }).toEqual({ limit, amount: defaultLimits[limit] });
    }
  });

  test.each<[Flags, Environment, object]>([
    [{ grace: "5s" }, { EPHEMERAL_GRACE: "1s" }, { graceMs: 5000 }],
    [{}, { EPHEMERAL_GRACE: "1s" }, { graceMs: 1000 }],
    [{ grace: "0" }, {}, { graceMs: 0 }],
    [{ "default-ttl": "1m" }, { EPHEMERAL_DEFAULT_TTL: "2m" }, { config: { defaultTtlMs: 60_000 } }],
    [{}, { EPHEMERAL_DEFAULT_TTL: "2m", BROKER_DEFAULT_TTL: "3" }, { config: { defaultTtlMs: 120_000 } }],
    [{}, { BROKER_DEFAULT_TTL: "5000" }, { config: { defaultTtlMs: 5000 } }],
    [{ "require-ttl": false }, { BROKER_REQUIRE_TTL: "true" }, { config: { requireTtl: false } }],
    [{ "require-ttl": true }, { EPHEMERAL_REQUIRE_TTL: "false" }, { config: { requireTtl: true } }],
    [{}, { EPHEMERAL_REQUIRE_TTL: "FALSE", BROKER_REQUIRE_TTL: "true" }, { config: { requireTtl: false } }],
    [{}, { BROKER_REQUIRE_TTL: "0" }, { config: { requireTtl: false } }],
    [{}, {}, { config: { refreshTtlOnGet: false } }],
    [{ "refresh-ttl-on-get": true }, { EPHEMERAL_REFRESH_TTL_ON_GET: "false" }, { config: { refreshTtlOnGet: true } }],
    [
      {},
      { EPHEMERAL_REFRESH_TTL_ON_GET: "yes", BROKER_REFRESH_TTL_ON_GET: "no" },
      { config: { refreshTtlOnGet: true } },
    ],
    [{}, { BROKER_REFRESH_TTL_ON_GET: "1" }, { config: { refreshTtlOnGet: true } }],
  ])("of %j and %j", (flags, environment, wanted) => {
    expect(startSettings(flags, environment)).toMatchObject(wanted);
  });

  test.each<[Flags, Environment, string]>([
    [{ secret: "f" }, { EPHEMERAL_SECRET: "e", BROKER_SECRET: "b" }, "f"],
    [{}, { EPHEMERAL_SECRET: "e", BROKER_SECRET: "b" }, "e"],
    [{}, { BROKER_SECRET: "b", CLIENT_SECRET: "c" }, "b"],
  ])("with the secrets of %j and %j tells the command in EPHEMERAL_SECRET", (flags, variables, secret) => {
    const { config, environment } = startSettings(flags, variables);
    expect(config.secret).toBe(secret);
    expect(environment).toEqual({ ...variables, EPHEMERAL_SECRET: secret });
  });

  test("CLIENT_SECRET alone is no secret for a broker", () => {
    expect(startSettings({}, { CLIENT_SECRET: "c" }).config.secret).toBeUndefined();
  });

  test.each<[Flags, Environment, string]>([
    [{ secret: "" }, {}, "Cannot use the secret: --secret is empty"],
    [{}, { EPHEMERAL_SECRET: "", BROKER_SECRET: "b" }, "Cannot use the secret: EPHEMERAL_SECRET is empty"],
    [{}, { BROKER_SECRET: "" }, "Cannot use the secret: BROKER_SECRET is empty"],
    [{ grace: "-1" }, {}, 'Cannot read --grace: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "-1"'],
    [{ "items-max": "NaN" }, {}, 'Cannot read --items-max: wanted a whole number such as 100, got "NaN"'],
    [{ "items-max": "0" }, {}, "Cannot read --items-max: the bound must be more than 0"],
    [{}, { BROKER_MAX_ITEMS: "" }, 'Cannot read BROKER_MAX_ITEMS: wanted a whole number such as 100, got ""'],
    [
      { "value-bytes-max": "1MB!" },
      {},
      'Cannot read --value-bytes-max: wanted a size such as 4096, 10kB, 64KiB or 1MiB, got "1MB!"',
    ],
    [
      { "value-bytes-max": "2MiB" },
      {},
      "Cannot start broker: wanted --value-bytes-max below --frame-bytes-max; --value-bytes-max is 2097152, --frame-bytes-max is 1048576",
    ],
    [{ "default-ttl": "31d" }, {}, "Cannot start broker: default ttl is 2678400000 ms, wanted 1 to 2592000000"],
    [{ "default-ttl": "0" }, {}, "Cannot start broker: default ttl is 0 ms, wanted 1 to 2592000000"],
    [{}, { BROKER_REQUIRE_TTL: "maybe" }, 'Cannot read BROKER_REQUIRE_TTL: wanted true or false, got "maybe"'],
    [{}, { BROKER_REFRESH_TTL_ON_GET: "on" }, 'Cannot read BROKER_REFRESH_TTL_ON_GET: wanted true or false, got "on"'],
    [{}, { EPHEMERAL_REQUIRE_TTL: "" }, 'Cannot read EPHEMERAL_REQUIRE_TTL: wanted true or false, got ""'],
  ])("of %j and %j refuses", (flags, environment, message) => {
    expect(refusal(() => startSettings(flags, environment))).toMatchObject({ code: "bad_command", message });
  });

  test("keeps run directories under XDG_RUNTIME_DIR only if it is a directory of ours", () => {
    const own = mkdtempSync("/tmp/settings-");
    try {
      const runRoot = (environment: Environment): string => startSettings({}, environment).config.runRoot;
      expect(runRoot({ XDG_RUNTIME_DIR: `${own}/` })).toBe(`${own}/ephemeral`);
      expect(runRoot({ XDG_RUNTIME_DIR: `${own}/missing`, TMPDIR: `${own}/` })).toBe(`${own}/ephemeral-${uid}`);
      expect(runRoot({ XDG_RUNTIME_DIR: "relative", TMPDIR: "relative" })).toBe(`/tmp/ephemeral-${uid}`);
      expect(runRoot({ XDG_RUNTIME_DIR: "/etc/passwd" })).toBe(`/tmp/ephemeral-${uid}`);
    } finally {
      rmSync(own, { recursive: true });
    }
  });
});

test.each([
  [{}, 0],
  [{ wait: "0" }, 0],
  [{ wait: "10s" }, 10_000],
  [{ wait: "forever" }, -1],
])("waitFlag(%j) is %p", (flags, waitMs) => {
  expect(waitFlag(flags)).toBe(waitMs);
});

test.each([
  [() => waitFlag({ wait: "-1" }), 'Cannot read --wait: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "-1"'],
  [() => countFlag({ size: "0" }, { name: "size", atLeast: 1 }), "Cannot read --size: wanted at least 1, got 0"],
  [
    () => choiceFlag({ if: "never" }, { name: "if", choices: ["absent", "present"] }),
    'Cannot read --if: wanted absent or present, got "never"',
  ],
])("%p refuses", (read, message) => {
  expect(refusal(read)).toMatchObject({ code: "bad_command", message });
});

test.each<[Environment, boolean, boolean]>([
  [{}, true, true],
  [{}, false, false],
  [{ NO_COLOR: "1" }, true, false],
  [{ NO_COLOR: "" }, true, true],
  [{ FORCE_COLOR: "1" }, false, true],
  [{ FORCE_COLOR: "0" }, true, false],
  [{ FORCE_COLOR: "" }, true, true],
  [{ NO_COLOR: "1", FORCE_COLOR: "1" }, true, false],
  [{ TERM: "dumb" }, true, false],
  [{ TERM: "dumb", FORCE_COLOR: "3" }, true, true],
])("wantsColours(%j, terminal %p) is %p", (environment, isTerminal, colours) => {
  expect(wantsColours({ environment, isTerminal: () => isTerminal })).toBe(colours);
});
