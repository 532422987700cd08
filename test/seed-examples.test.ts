/**
 * Every block of code in the seed's examples, run as it reads there on Node and on Bun, with nothing but the names it takes
 * from its reader's code put around it; the patterns in several processes at once.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { startBroker } from "../src/broker/broker.ts";
import { brokerConfig } from "../src/broker/config.ts";
import { type LineClient, lineClient, temporaryDirectory, testBroker } from "./support/broker.ts";
import { bundleLibrary, type LibraryBundle, type RunningScript, type Runtime } from "./support/library-bundle.ts";
import { type CrowdOptions, startCrowd } from "./support/library-crowd.ts";
import { ManualClock } from "./support/manual-clock.ts";
import { isSetUp, seedBlock, seedBlocksLeft } from "./support/seed-examples.ts";
import { isThorough } from "./support/thorough.ts";

setDefaultTimeout(30_000);

/** Elsewhere than in CI the one that those who had the seed have. */
const runtimes: readonly Runtime[] = isThorough ? ["node", "bun"] : ["node"];
let library: LibraryBundle;
beforeAll(async () => {
  library = await bundleLibrary();
});
afterAll(() => library[Symbol.dispose]());

const count = 5;
/** What each worker waits for in the middle of its work, so that all are in it at once. */
const gate = "everybody is in";
const client = "const client = new Client();\n";
const workerId = `const workerId = \`worker-\${process.pid}\`;\n`;
const atGate = `await client.get(${JSON.stringify(gate)}, { waitMs: 20_000 });`;
const quiet = { stderr: "", status: 0 };

type Place = Omit<CrowdOptions, "library" | "size"> & { readonly size?: number };
const crowd = (body: string, place: Place) => startCrowd(body, { library, size: count, ...place });

const open = (observer: LineClient) => observer.ask({ action: "set", key: gate, value: true, ttl: 60_000 });
const statsOf = async (observer: LineClient) => (await observer.ask({ action: "stats" })).stats;
const upTo = (end: number): number[] => Array.from({ length: end }, (_, index) => index);

describe.each(runtimes)(`The seed's patterns in ${count} processes on %s`, (runtime) => {
  test("Pattern 1: each has an account of its own, until it releases it", async () => {
    await using broker = await testBroker();
    using observer = await lineClient(broker.pipe);
    const login = `const login = async (account) => { say(account); ${atGate} };\n`;
    const body = `${client}${login}${seedBlock("Pattern 1: Account/Resource Leasing")}
      say(await client.release(workerId));`;
    await using workers = await crowd(body, { runtime, pipe: broker.pipe });
    expect((await workers.next()).sort()).toEqual(upTo(count));
    expect(await statsOf(observer)).toMatchObject({ leases: count });
    await open(observer);
    // Released by the block: there is nothing left to release.
    expect(await workers.end()).toEqual(upTo(count).map(() => [false]));
  });

  const sharing = [
    {
      name: "Pattern 2: Shared Authentication",
      produce: "authenticate",
      result: "token",
      key: "auth-token",
      ttlMs: 3_600_000,
    },
    // Its `set` names no time to live: our client sends its own.
    {
      name: "Pattern 4: Expensive Setup",
      produce: "loadExpensiveData",
      result: "fixture",
      key: "test-data",
      ttlMs: 1_800_000,
    },
  ];

  test.each(sharing)("$name: who comes later has what the first one made", async (pattern) => {
    const { name, produce, result, key, ttlMs } = pattern;
    await using broker = await testBroker();
    using observer = await lineClient(broker.pipe);
    const made = `const ${produce} = async () => { say("made"); return { by: process.pid }; };\n`;
    const body = `${client}${made}${seedBlock(name)}\nsay(${result});`;
    await using first = await crowd(body, { runtime, pipe: broker.pipe, size: 1 });
    const [[said, value] = []] = (await first.end()) as unknown[][];
    expect([said, value]).toEqual(["made", { by: expect.any(Number) }]);
    await using others = await crowd(body, { runtime, pipe: broker.pipe });
    expect(await others.end()).toEqual(upTo(count).map(() => [value]));
    const { items } = (await observer.ask({ action: "list" })) as { items: Record<string, { expires: number }> };
    const leftMs = (items[key]?.expires ?? 0) - Date.now();
    expect(leftMs).toBeLessThanOrEqual(ttlMs);
    expect(leftMs).toBeGreaterThan(ttlMs - 60_000);
  });

  test.each(sharing)("$name: those who come at once each make one, and go on with it", async (pattern) => {
    const { name, produce, result, key } = pattern;
    await using broker = await testBroker();
    using observer = await lineClient(broker.pipe);
    const made = `const ${produce} = async () => { say("made"); ${atGate} return process.pid; };\n`;
    const body = `${client}${made}${seedBlock(name)}\nsay([${result} === process.pid, process.pid]);`;
    await using workers = await crowd(body, { runtime, pipe: broker.pipe });
    expect(await workers.next()).toEqual(upTo(count).map(() => "made"));
    await open(observer);
    const ends = (await workers.end()) as [boolean, number][][];
    expect(ends.map(([end]) => end?.[0])).toEqual(upTo(count).map(() => true));
    const { value } = await observer.ask({ action: "get", key });
    expect(ends.map(([end]) => end?.[1])).toContain(value as number);
  });

  test("Pattern 3: the calls that run have numbers of their own, and give them back", async () => {
    await using broker = await testBroker();
    using observer = await lineClient(broker.pipe);
    const call = `const makeApiCall = async () => { ${atGate} };\n`;
    const body = `${client}${workerId}${call}${seedBlock("Pattern 3: Rate Limiting")}
      say(await client.release(workerId));`;
    await using workers = await crowd(body, { runtime, pipe: broker.pipe, read: String });
    expect((await workers.next()).sort()).toEqual(upTo(count).map((number) => `API call #${number}`));
    await open(observer);
    expect(await workers.end()).toEqual(upTo(count).map(() => ["false"]));
  });

  test("Tests Hanging: a lease that is taken and released in several processes at once", async () => {
    await using broker = await testBroker();
    const body = `${client}${workerId}${seedBlock("Tests Hanging: Always release leases")}
      say([await client.release(workerId), await client.release(workerId, "pool")]);`;
    await using workers = await crowd(body, { runtime, pipe: broker.pipe });
    expect(await workers.end()).toEqual(upTo(count).map(() => [[false, false]]));
    using observer = await lineClient(broker.pipe);
    const { metrics } = await observer.ask({ action: "metrics" });
    const granted = `ephemeral_broker_operations_total{action="lease",result="success"} ${count}`;
    expect(String(metrics).split("\n")).toContain(granted);
  });

  test("5. Unique Worker IDs: no two alike, either way", async () => {
    await using broker = await testBroker();
    const [byTime = "", bySession = ""] = seedBlock("5. Unique Worker IDs").split("// or\n");
    const browser = `const browser = { sessionId: crypto.randomUUID() };\n`;
    for (const way of [byTime, browser + bySession]) {
      const body = `${client}${way}\nsay(await client.lease("pool", workerId, 60000));\n${atGate}`;
      using observer = await lineClient(broker.pipe);
      await observer.ask({ action: "del", key: gate });
      await using workers = await crowd(body, { runtime, pipe: broker.pipe });
      expect((await workers.next()).sort()).toEqual(upTo(count));
      await open(observer);
      await workers.end();
    }
  });
});

describe.each(runtimes)("The seed's advice on %s", (runtime) => {
  test.each([
    { name: "2. Always Set TTL", key: "key", lease: "resource" },
    { name: "Tests Hanging: Set TTL so leases auto-expire", key: undefined, lease: "pool" },
  ])("$name: it ends after 60 s, though its process lives", async ({ name, key, lease }) => {
    using directory = temporaryDirectory();
    const clock = new ManualClock();
    const broker = await startBroker(brokerConfig({ runRoot: join(directory.path, "run") }), { clock });
    try {
      using observer = await lineClient(broker.pipe);
      const body = `${client}${workerId}${seedBlock(name)}\nsay("done"); setInterval(() => {}, 1000);`;
      await using script = await library.run(runtime, body, { environment: { EPHEMERAL_PIPE: broker.pipe } });
      expect(await script.next()).toBe("done");
      const there = { leases: 1, items: key === undefined ? 0 : 1 };
      const { value } = await observer.ask({ action: "lease", key: lease, workerId: "another", ttl: 1000 });
      expect(value).toBe(1);
      clock.advance(59_999);
      expect(await statsOf(observer)).toMatchObject(there);
      clock.advance(1);
      expect(await statsOf(observer)).toMatchObject({ leases: 0, items: 0 });
    } finally {
      await broker.stop();
    }
  });

  test("3. Release Leases: after each test, where tests have hooks", async () => {
    await using broker = await testBroker();
    const framework = `import { afterEach, test } from ${JSON.stringify(runtime === "node" ? "node:test" : "bun:test")};\n`;
    const body = `${framework}${client}${workerId}${seedBlock("3. Release Leases")}
      test("takes", async () => { await client.lease("pool", workerId, 60_000); });
      test("has given back", async () => {
        const { leases } = await client.stats();
        if (leases !== 0) throw new Error(leases + " leases");
      });`;
    const command = (file: string, script: string) => (runtime === "bun" ? [file, "test", script] : [file, script]);
    const environment = { EPHEMERAL_PIPE: broker.pipe };
    await using script = await library.run(runtime, body, { environment, command, read: String });
    const { said, stderr, status } = await script.end();
    expect(status).toBe(0);
    expect([...said, stderr].join("\n")).toMatch(/2 pass|pass 2/);
  });

  test("Workers Can't Connect: what a worker is told to print", async () => {
    await using broker = await testBroker();
    const body = `${seedBlock("Workers Can't Connect: Check pipe is exported")}${client}
      ${seedBlock("Workers Can't Connect: Verify broker started")}`;
    await using worker = await crowd(body, { runtime, pipe: broker.pipe, size: 1, read: String });
    const [[exported, answered] = []] = (await worker.end()) as string[][];
    expect(exported).toBe(`EPHEMERAL_PIPE: ${broker.pipe}`);
    expect(answered).toMatch(/^Broker responded in \d+(?:\.\d+)? ms$/);
  });
});

/** The names that blocks about secrets take: a pipe, of a broker that has this one. */
const withSecret = (secret: string): string =>
  `let broker, client;\nconst first = new Broker({ secret: ${secret} });\nconst pipe = await first.start();\n`;
const proves = `await client.set("key", "value", 60000);
  say(await client.get("key"));
  const refused = async (options) => (await new Client(await broker.start(), options).ping().catch((error) => error.code));
  say([await refused({ secret: "another" }), await refused()]);
  await broker.stop();
  await first.stop();`;

describe.each(runtimes)("The seed's secrets on %s", (runtime) => {
  const ends = async (script: RunningScript, said: readonly unknown[]): Promise<void> => {
    expect(await script.end()).toEqual({ said: [...said], ...quiet });
    expect(readdirSync(library.runtimeDirectory)).toEqual([]);
  };

  test("4. Use HMAC Auth in CI: one secret in the environment for both", async () => {
    const exported = seedBlock("4. Use HMAC Auth in CI (shell)");
    const body = `${withSecret("process.env.EPHEMERAL_SECRET")}${seedBlock("4. Use HMAC Auth in CI")}
      say(process.env.EPHEMERAL_SECRET);${proves.replace("await refused()", '"environment"')}`;
    const command = (file: string, script: string) => ["sh", "-c", `${exported}\nexec "$0" "$1"`, file, script];
    await using script = await library.run(runtime, body, { command });
    await ends(script, ["your-secret-here", "value", ["auth_failed", "environment"]]);
  });

  test("Authentication Failures: both have the same secret, and no other serves", async () => {
    const body = `${withSecret("'my-secret'")}${seedBlock("Authentication Failures: Match secrets")}${proves}`;
    await using script = await library.run(runtime, body);
    await ends(script, ["value", ["auth_failed", "auth_failed"]]);
  });

  test("Authentication Failures: no secret, no authentication", async () => {
    const body = `let broker;\n${seedBlock("Authentication Failures: Or disable auth for testing")}
      say(await new Client(await broker.start()).ping() >= 0);\nawait broker.stop();`;
    await using script = await library.run(runtime, body);
    await ends(script, [true]);
  });
});

describe("The seed's examples", () => {
  test("have no block of code that is not run, here or as a set-up", () => {
    expect(seedBlocksLeft().filter((name) => !isSetUp(name))).toEqual([]);
  });
});
