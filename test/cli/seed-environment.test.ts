/**
 * The seed's environment: every variable its code reads works with the real program, or changes nothing and the log says why;
 * what cannot be read is refused by name. The table is held against the seed's own source.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { idleVariables } from "../../src/cli/settings/idle-variables.ts";
import { startSettings } from "../../src/cli/settings/start-settings.ts";
import { Client } from "../../src/client/client.ts";
import { readEnvironment } from "../../src/client/environment.ts";
import { type LineClient, lineClient, temporaryDirectory, testBroker } from "../support/broker.ts";
import { invoke } from "../support/invocation.ts";
import { until } from "../support/processes.ts";
import { binaryProgram } from "../support/programs.ts";
import { sealed } from "../support/proof.ts";
import { refusal } from "../support/refusal.ts";
import { Trial } from "../support/trial.ts";

const program = await binaryProgram();

/** A broker by itself with these variables set, and somebody to ask it. */
async function served(
  environment: Record<string, string>,
  check: (client: LineClient, trial: Trial) => Promise<void>,
): Promise<void> {
  await using trial = new Trial(program, { args: ["start"], environment });
  await trial.said("/sock\n");
  using client = await lineClient(trial.stdout.trim());
  await check(client, trial);
}

/** What a broker with these variables has said on stderr when it ends. */
async function said(environment: Record<string, string>, awaited = ""): Promise<string> {
  await using trial = new Trial(program, { args: ["start"], environment });
  await trial.said("/sock\n");
  await until(() => trial.stderr.includes(awaited));
  trial.signal("SIGTERM");
  await trial.closedStreams();
  return trial.stderr;
}

const limitsOf = async (client: LineClient): Promise<Record<string, number>> =>
  ((await client.ask({ action: "hello", protocol: 1 })) as { limits: Record<string, number> }).limits;

/** A client made while these variables are set. */
function clientWith(environment: Record<string, string>, pipe: string): Client {
  const before = { ...process.env };
  Object.assign(process.env, environment);
  try {
    return new Client(pipe);
  } finally {
    for (const name of Object.keys(environment)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}

/** Set, it changes nothing, and the log says so once. */
const changesNothing = (name: string, value: string) => async (): Promise<void> => {
  const log = await said({ [name]: value, EPHEMERAL_LOG_LEVEL: "info" });
  const reason = idleVariables.find((variable) => variable.name === name)?.reason;
  const lines = log.split("\n").filter((line) => line.includes('msg="setting has no effect"'));
  expect(lines).toEqual([expect.stringContaining(`setting=${name} reason="${reason}"`)]);
};

const works: Readonly<Record<string, () => Promise<void>>> = {
  BROKER_DEFAULT_TTL: () =>
    served({ BROKER_DEFAULT_TTL: "5000", BROKER_REQUIRE_TTL: "false" }, async (client) => {
      await client.ask({ action: "set", key: "k", value: 1 });
      const { ttlMs } = await client.ask({ action: "get", key: "k" });
      expect(Number(ttlMs)).toBeWithin(3000, 5001);
    }),
  BROKER_REQUIRE_TTL: async () => {
    const set = { action: "set", key: "k", value: 1 };
    for (const text of ["true", "1"]) {
      await served({ BROKER_REQUIRE_TTL: text }, async (client) => {
        expect(await client.ask(set)).toMatchObject({ error: "ttl_required" });
      });
    }
    await served({ BROKER_REQUIRE_TTL: "false" }, async (client) => {
      expect(await client.ask(set)).toMatchObject({ ok: true });
    });
  },
  BROKER_REFRESH_TTL_ON_GET: () =>
    served({ BROKER_REFRESH_TTL_ON_GET: "true" }, async (client) => {
      await client.ask({ action: "set", key: "k", value: 1, ttl: 60_000 });
      const setAtMs = performance.now();
      while (performance.now() - setAtMs < 20) await client.ask({ action: "ping" });
      expect(await client.ask({ action: "get", key: "k" })).toMatchObject({ ttlMs: 60_000 });
    }),
  BROKER_MAX_ITEMS: () =>
    served({ BROKER_MAX_ITEMS: "1" }, async (client) => {
      await client.ask({ action: "set", key: "a", value: 1, ttl: 5000 });
      const past = await client.ask({ action: "set", key: "b", value: 1, ttl: 5000 });
      expect(past).toMatchObject({ error: "max_items" });
    }),
  BROKER_MAX_VALUE_SIZE: () =>
    served({ BROKER_MAX_VALUE_SIZE: "1000" }, async (client) => {
      const past = await client.ask({ action: "set", key: "a", value: "x".repeat(999), ttl: 5000 });
      expect(past).toMatchObject({ error: "too_large" });
    }),
  BROKER_MAX_REQUEST_SIZE: () =>
    served({ BROKER_MAX_REQUEST_SIZE: "300000" }, async (client) => {
      expect(await limitsOf(client)).toMatchObject({ frameBytesMax: 300_000 });
    }),
  BROKER_SECRET: () =>
    served({ BROKER_SECRET: "s" }, async (client) => {
      expect(await client.ask({ action: "ping" })).toMatchObject({ error: "auth_failed" });
      client.write(sealed({ action: "ping" }, "s"));
      expect(await client.next()).toMatchObject({ ok: true });
    }),
  BROKER_IDLE_TIMEOUT: async () => {
    await using trial = new Trial(program, { args: ["start"], environment: { BROKER_IDLE_TIMEOUT: "50" } });
    expect(await trial.ending()).toEqual({ status: 0, killed: false });
  },
  BROKER_HEARTBEAT_INTERVAL: async () => {
    expect(await said({ BROKER_HEARTBEAT_INTERVAL: "20" }, "msg=heartbeat")).toContain("msg=heartbeat uptimeMs=");
  },
  BROKER_DEBUG: async () => {
    expect(await said({ BROKER_DEBUG: "true" })).toContain('level=info logger=ephemeral msg="broker started"');
    await served({ BROKER_DEBUG: "true" }, async (client, trial) => {
      await client.ask({ action: "get", key: "seen" });
      await until(() => trial.stderr.includes("action=get key=seen"));
    });
    expect(await said({ BROKER_DEBUG: "false" })).toBe("");
  },
  BROKER_LOG_LEVEL: async () => {
    expect(await said({ BROKER_LOG_LEVEL: "info" })).toContain('msg="broker started"');
    expect(await said({ BROKER_LOG_LEVEL: "warn" })).toBe("");
  },
  BROKER_STRUCTURED_LOGGING: async () => {
    const lines = (await said({ BROKER_STRUCTURED_LOGGING: "true" })).trim().split("\n");
    const messages = lines.map((line) => JSON.parse(line).message);
    expect(messages).toEqual(["broker started", "broker draining", "broker stopped"]);
  },
  BROKER_COMPRESSION: changesNothing("BROKER_COMPRESSION", "true"),
  BROKER_COMPRESSION_THRESHOLD: changesNothing("BROKER_COMPRESSION_THRESHOLD", "10"),
  BROKER_SWEEPER_INTERVAL: changesNothing("BROKER_SWEEPER_INTERVAL", "30000"),
  CLIENT_ALLOW_NO_TTL: async () => {
    await changesNothing("CLIENT_ALLOW_NO_TTL", "false")();
    await using broker = await testBroker();
    for (const text of ["true", "false"]) {
      const client = clientWith({ CLIENT_ALLOW_NO_TTL: text }, broker.pipe);
      expect(await client.set("k", text)).toBeDefined();
      client.close();
    }
  },
  CLIENT_DEBUG: changesNothing("CLIENT_DEBUG", "true"),
  CLIENT_TIMEOUT: async () => {
    using directory = temporaryDirectory();
    const pipe = join(directory.path, "mute");
    const mute = Bun.listen({ unix: pipe, socket: { data() {} } });
    const environment = { EPHEMERAL_PIPE: pipe, CLIENT_TIMEOUT: "150" };
    const { status, stderr } = await invoke(program, { args: ["ping"], environment });
    mute.stop(true);
    expect(stderr).toContain("150 ms");
    expect([69, 75]).toContain(status);
    expect(readEnvironment({ CLIENT_TIMEOUT: "150" }).timeoutMs).toBe(150);
  },
  CLIENT_SECRET: async () => {
    await using broker = await testBroker({ secret: "s" });
    const ping = (variables: Record<string, string>): Promise<{ status: number }> =>
      invoke(program, { args: ["ping"], environment: { EPHEMERAL_PIPE: broker.pipe, ...variables } });
    expect(await ping({ CLIENT_SECRET: "s", EPHEMERAL_SECRET: "wrong" })).toMatchObject({ status: 0 });
    expect(await ping({ CLIENT_SECRET: "wrong", EPHEMERAL_SECRET: "s" })).toMatchObject({ status: 77 });
  },
  CLIENT_COMPRESSION: async () => {
    await using broker = await testBroker();
    const client = clientWith({ CLIENT_COMPRESSION: "true" }, broker.pipe);
    await client.set("large", "x".repeat(2000));
    await client.set("small", "x".repeat(500));
    client.close();
    using reader = await lineClient(broker.pipe);
    expect(await reader.ask({ action: "get", key: "large" })).toMatchObject({ compressed: true });
    expect(await reader.ask({ action: "get", key: "small" })).not.toHaveProperty("compressed");
  },
  CLIENT_COMPRESSION_THRESHOLD: async () => {
    await using broker = await testBroker();
    const environment = { CLIENT_COMPRESSION: "true", CLIENT_COMPRESSION_THRESHOLD: "300" };
    const client = clientWith(environment, broker.pipe);
    await client.set("small", "x".repeat(500));
    client.close();
    using reader = await lineClient(broker.pipe);
    expect(await reader.ask({ action: "get", key: "small" })).toMatchObject({ compressed: true });
  },
  EPHEMERAL_PIPE: async () => {
    await using broker = await testBroker();
    const environment = { EPHEMERAL_PIPE: broker.pipe };
    expect(await invoke(program, { args: ["ping"], environment })).toMatchObject({ status: 0 });
    await using trial = new Trial(program, { args: ["start", "--", "sh", "-c", 'test -S "$EPHEMERAL_PIPE"'] });
    expect(await trial.ending()).toEqual({ status: 0, killed: false });
  },
  EPHEMERAL_SECRET: () =>
    served({ EPHEMERAL_SECRET: "s" }, async (client, trial) => {
      expect(await client.ask({ action: "ping" })).toMatchObject({ error: "auth_failed" });
      const environment = { EPHEMERAL_PIPE: trial.stdout.trim(), EPHEMERAL_SECRET: "s" };
      expect(await invoke(program, { args: ["ping"], environment })).toMatchObject({ status: 0 });
    }),
};

describe("the seed's environment", () => {
  test("is all in the table", () => {
    const source = join(import.meta.dir, "../../node_modules/@ephemeral-broker/core/src");
    const text = readdirSync(source).map((file) => readFileSync(join(source, file), "utf8"));
    const read = text.join("\n").match(/\b(?:BROKER|CLIENT|EPHEMERAL)_[A-Z]+(?:_[A-Z]+)*\b/g);
    expect(Object.keys(works).sort()).toEqual([...new Set(read)].sort());
  });

  test.each(Object.keys(works))("%s", async (name) => {
    await works[name]?.();
  });

  const nonsense: [name: string, value: string, message: string][] = [
    [
      "BROKER_DEFAULT_TTL",
      "soon",
      'Cannot read BROKER_DEFAULT_TTL: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "soon"',
    ],
    [
      "BROKER_DEFAULT_TTL",
      "-1",
      'Cannot read BROKER_DEFAULT_TTL: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "-1"',
    ],
    ["BROKER_REQUIRE_TTL", "maybe", 'Cannot read BROKER_REQUIRE_TTL: wanted true or false, got "maybe"'],
    ["BROKER_REFRESH_TTL_ON_GET", "", 'Cannot read BROKER_REFRESH_TTL_ON_GET: wanted true or false, got ""'],
    ["BROKER_MAX_ITEMS", "ten", 'Cannot read BROKER_MAX_ITEMS: wanted a whole number such as 100, got "ten"'],
    // No bound at all, to the seed.
    ["BROKER_MAX_ITEMS", "0", "Cannot read BROKER_MAX_ITEMS: the bound must be more than 0"],
    [
      "BROKER_MAX_VALUE_SIZE",
      "1e3",
      'Cannot read BROKER_MAX_VALUE_SIZE: wanted a size such as 4096, 10kB, 64KiB or 1MiB, got "1e3"',
    ],
    [
      "BROKER_MAX_REQUEST_SIZE",
      "",
      'Cannot read BROKER_MAX_REQUEST_SIZE: wanted a size such as 4096, 10kB, 64KiB or 1MiB, got ""',
    ],
    ["BROKER_SECRET", "", "Cannot use the secret: BROKER_SECRET is empty"],
    ["EPHEMERAL_SECRET", "", "Cannot use the secret: EPHEMERAL_SECRET is empty"],
    [
      "BROKER_IDLE_TIMEOUT",
      "never",
      'Cannot read BROKER_IDLE_TIMEOUT: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "never"',
    ],
    [
      "BROKER_HEARTBEAT_INTERVAL",
      "x",
      'Cannot read BROKER_HEARTBEAT_INTERVAL: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "x"',
    ],
    [
      "BROKER_LOG_LEVEL",
      "trace",
      'Cannot read BROKER_LOG_LEVEL: wanted debug, info, warning, warn, error, off, got "trace"',
    ],
    ["BROKER_DEBUG", "on", 'Cannot read BROKER_DEBUG: wanted true or false, got "on"'],
    ["BROKER_STRUCTURED_LOGGING", "on", 'Cannot read BROKER_STRUCTURED_LOGGING: wanted true or false, got "on"'],
  ];

  test.each(nonsense)("%s=%s is refused by name", (name, value, message) => {
    const error = refusal(() => startSettings({}, { [name]: value }));
    expect([error.code, error.message]).toEqual(["bad_command", message]);
  });

  test.each([
    ["CLIENT_TIMEOUT", "soon"],
    ["CLIENT_COMPRESSION", "maybe"],
    ["CLIENT_COMPRESSION_THRESHOLD", "-1"],
  ])("%s=%s is refused by name", (name, value) => {
    const error = refusal(() => readEnvironment({ [name]: value }));
    expect([error.code, error.message]).toEqual(["bad_command", expect.stringContaining(`Cannot read ${name}: `)]);
  });

  test.each(["CLIENT_SECRET", "EPHEMERAL_SECRET"])(
    "an empty %s is refused by client and command line",
    async (name) => {
      await using broker = await testBroker();
      const error = refusal(() => clientWith({ [name]: "" }, broker.pipe));
      expect(error).toMatchObject({ code: "bad_command", message: expect.stringContaining("the secret is empty") });
      const environment = { EPHEMERAL_PIPE: broker.pipe, [name]: "" };
      const { status, stderr } = await invoke(program, { args: ["ping"], environment });
      expect([status, stderr]).toEqual([64, expect.stringContaining(`Cannot use the secret: ${name} is empty`)]);
    },
  );
});
