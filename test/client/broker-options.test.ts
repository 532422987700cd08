/**
 * A launched broker's options: what each becomes on the command line, and what is refused.
 */
import { describe, expect, test } from "bun:test";
import { scanArguments } from "../../src/cli/arguments.ts";
import { startPage } from "../../src/cli/commands/start.ts";
import { type BrokerOptions, launchSettings } from "../../src/client/launcher/broker-options.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";

const flagsOf = (options: BrokerOptions): readonly string[] => launchSettings(options).flags;

describe("launchSettings()", () => {
  const cases: readonly (readonly [BrokerOptions, readonly string[]])[] = [
    [{}, []],
    [{ name: "tests" }, ["--name=tests"]],
    [{ pipeId: "tests" }, ["--name=tests"]],
    [{ defaultTtlMs: 5000 }, ["--default-ttl=5000"]],
    [{ defaultTTL: 5000 }, ["--default-ttl=5000"]],
    [{ requireTtl: true }, ["--require-ttl"]],
    [{ requireTTL: false }, ["--no-require-ttl"]],
    [{ refreshTtlOnGet: true }, ["--refresh-ttl-on-get"]],
    [{ refreshTTLOnGet: false }, []],
    [{ idleTimeoutMs: 0 }, ["--idle-timeout=0"]],
    [{ idleTimeout: 60_000 }, ["--idle-timeout=60000"]],
    [{ idleTimeout: null, heartbeatInterval: null }, []],
    [{ heartbeatIntervalMs: 10 }, ["--heartbeat-interval=10"]],
    [{ heartbeatInterval: 10 }, ["--heartbeat-interval=10"]],
    [{ logLevel: "warn" }, ["--log-level=warn"]],
    [{ logFormat: "json", logFile: "a.log" }, ["--log-format=json", "--log-file=a.log"]],
    [{ structuredLogging: true }, ["--log-format=json"]],
    [{ structuredLogging: false }, []],
    [{ debug: true }, ["--log-level=debug"]],
    [{ debug: true, logLevel: "error" }, ["--log-level=error"]],
    [{ debug: false }, []],
    [{ maxRequestSize: 2_000_000 }, ["--frame-bytes-max=2000000"]],
    [{ maxValueSize: 1024 }, ["--value-bytes-max=1024"]],
    [{ maxItems: 5 }, ["--items-max=5"]],
    [{ limits: { waitsPerSessionMax: 3 } }, ["--waits-per-session-max=3"]],
    [{ maxItems: 5, limits: { itemsMax: 5 } }, ["--items-max=5"]],
    [{ compression: false, compressionThreshold: 0, sweeperInterval: 1000, metrics: true }, []],
    [{ port: 0, host: "::1" }, ["--port=0", "--host=::1"]],
    [{ allowedOrigins: ["https://a.test", "https://b.test"] }, ["--allow-origin=https://a.test,https://b.test"]],
    [{ allowedHosts: ["a.test"], insecureNoAuth: true }, ["--allow-host=a.test", "--insecure-no-auth"]],
    [{ secret: "s3cret" }, []],
    [{ secret: undefined, name: null }, []],
  ];

  test.each(cases)("%j is %j", (options, flags) => {
    expect(flagsOf(options)).toEqual(flags);
    // The command line knows each of them.
    expect(() =>
      scanArguments(flags, { command: "start", definitions: startPage.args, wrapsCommand: true }),
    ).not.toThrow();
  });

  test("has a flag of the command line for every bound", () => {
    const flags = flagsOf({ limits: defaultLimits });
    expect(flags).toHaveLength(Object.keys(defaultLimits).length);
    scanArguments(flags, { command: "start", definitions: startPage.args, wrapsCommand: true });
  });

  test("hands the secret over in the environment", () => {
    expect(launchSettings({ secret: "s3cret" })).toMatchObject({
      flags: [],
      variables: { EPHEMERAL_SECRET: "s3cret" },
      hasAdmission: true,
    });
  });

  const refusals: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ defaultTtl: 5 }, /no option defaultTtl; did you mean defaultTtlMs\?/],
    [{ maxitems: 5 }, /no option maxitems; did you mean maxItems\?/],
    [{ DEFAULTTTLMS: 5 }, /no option DEFAULTTTLMS; did you mean defaultTtlMs\?/],
    [{ ports: 80 }, /no option ports; did you mean port\?/],
    [{ constructor: 1 }, /no option constructor$/],
    [
      { limits: { maxItems: 5 } },
      /no option limits\.maxItems; did you mean limits\.itemsMax\?|no option limits\.maxItems$/,
    ],
    [{ limits: 5 }, /limits should be an object/],
    [{ defaultTTL: 5, defaultTtlMs: 6 }, /defaultTTL and defaultTtlMs mean the same and differ/],
    [{ maxItems: 5, limits: { itemsMax: 6 } }, /maxItems and limits\.itemsMax mean the same and differ/],
    [{ requireTTL: true, requireTtl: false }, /requireTTL and requireTtl/],
    [{ structuredLogging: true, logFormat: "text" }, /structuredLogging and logFormat mean the same/],
    [{ secret: "" }, /secret should be a text that is not empty, it is empty/],
    [{ secret: 12 }, /secret should be a text that is not empty, it is 12/],
    [{ maxItems: "5" }, /maxItems should be a whole number, 0 or more, it is a string of 1 characters/],
    [{ maxItems: -1 }, /maxItems should be a whole number, 0 or more, it is -1/],
    [{ maxItems: Number.NaN }, /maxItems should be .* it is NaN/],
    [{ idleTimeout: 1.5 }, /idleTimeout should be .* it is 1\.5/],
    [{ allowedHosts: ["a,b"] }, /allowedHosts should be a list of texts without commas, it is an array of 1/],
    [{ requireTTL: "true" }, /requireTTL should be true or false, it is a string/],
    [{ metrics: 1 }, /metrics should be true or false/],
  ];

  test.each(refusals)("refuses %j", (options, message) => {
    let refusal: unknown;
    try {
      launchSettings(options);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(EphemeralError);
    expect(refusal).toMatchObject({ code: "bad_command", message: expect.stringMatching(message) });
  });

  test("shows nothing of a secret it refuses", () => {
    expect(() => launchSettings({ secret: ["s3cret"] } as unknown as BrokerOptions)).toThrow(
      "secret should be a text that is not empty, it is an array of 1",
    );
  });
});
