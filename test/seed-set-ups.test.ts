/**
 * The seed's global set-ups and its tips for WebdriverIO, Playwright and Jest: each block stands in a file of its own, as the
 * runner's user has it, and a runner of a few lines does what theirs does: set up, start workers, tear down.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "./support/broker.ts";
import { bundleLibrary, type LibraryBundle, type Runtime } from "./support/library-bundle.ts";
import { until } from "./support/processes.ts";
import { isSetUp, seedBlock, seedBlocksLeft } from "./support/seed-examples.ts";
import { isThorough } from "./support/thorough.ts";

setDefaultTimeout(30_000);

/** Elsewhere than in CI the one that those who had the seed have. */
const runtimes: readonly Runtime[] = isThorough ? ["node", "bun"] : ["node"];
let library: LibraryBundle;
let files: ReturnType<typeof temporaryDirectory>;
/** What the user's files open with. */
let imports: string;
let requires: string;
beforeAll(async () => {
  library = await bundleLibrary();
  files = temporaryDirectory();
  const entry = join(library.folder, "client/broker-process");
  imports = `import { Broker, Client } from ${JSON.stringify(`${entry}.js`)};\n`;
  requires = `const { Broker, Client } = require(${JSON.stringify(`${entry}.cjs`)});\n`;
});
afterAll(() => {
  library[Symbol.dispose]();
  files[Symbol.dispose]();
});

const workersCount = 3;
/** Takes an account, waits until all have one, gives it back. */
const worker = `const workerId = \`worker-\${process.pid}\`;
  console.log(JSON.stringify(await client.lease("accounts", workerId, 60000)));
  if ((await client.incr("working")) === ${workersCount}) await client.set("all work", true);
  await client.get("all work", { waitMs: 20_000 });
  await client.release(workerId);`;

interface Scene {
  readonly name: string;
  /** The user's file: its ending, and what is in it. */
  readonly file: readonly [ending: "mjs" | "cjs", text: () => string];
  /** From what that file exports, as \`theirs\`, to a set-up and a teardown. */
  readonly setUp: string;
  readonly tearDown: string;
}

const wdio = "1. Start Broker in Global Setup: WebdriverIO";
const playwright = "1. Start Broker in Global Setup: Playwright";
const jest = "1. Start Broker in Global Setup: Jest";
const methods = (name: string, more = "") => `{\n${seedBlock(name)}${more} }`;
const onComplete = ",\nasync onComplete() { await broker.stop() }";

const scenes: readonly Scene[] = [
  {
    name: "WebdriverIO: onPrepare and onComplete in a module",
    file: ["mjs", () => `${imports}let broker;\nexport const config = ${methods(wdio, onComplete)};`],
    setUp: "await theirs.config.onPrepare();",
    tearDown: "await theirs.config.onComplete();",
  },
  {
    name: "WebdriverIO: onPrepare where nobody declares the broker, in CommonJS",
    file: ["cjs", () => `${requires}exports.config = ${methods(wdio, onComplete)};`],
    setUp: "await theirs.config.onPrepare();",
    tearDown: "await theirs.config.onComplete();",
  },
  {
    name: "Playwright: globalSetup, and the teardown it returns",
    file: ["mjs", () => `${imports}let broker;\nexport const config = ${methods(playwright)};`],
    setUp: "const tearDown = await theirs.config.globalSetup();",
    tearDown: "await tearDown();",
  },
  {
    name: "Playwright: globalSetup where nobody declares the broker, in CommonJS",
    file: ["cjs", () => `${requires}exports.config = ${methods(playwright)};`],
    setUp: "const tearDown = await theirs.config.globalSetup();",
    tearDown: "await tearDown();",
  },
  {
    name: "Jest: a set-up that nothing tears down: the broker ends with its runner",
    file: ["mjs", () => `${imports}let broker;\n${seedBlock(jest)}`],
    setUp: "await theirs.default();",
    tearDown: "",
  },
  {
    name: "Jest: the broker kept in global.__BROKER__",
    file: ["mjs", () => `${imports}let broker;\n${kept(seedBlock(jest))}`],
    setUp: "await theirs.default();",
    tearDown: "await global.__BROKER__.stop();",
  },
];

const kept = (block: string): string => {
  const starts = "await broker.start()\n";
  if (!block.includes(starts)) throw new Error("the set-up starts no broker");
  return block.replace(starts, `${starts}  global.__BROKER__ = broker\n`);
};

let filesCount = 0;
async function write(ending: string, text: string): Promise<string> {
  const path = join(files.path, `file-${++filesCount}.${ending}`);
  await Bun.write(path, text);
  return path;
}

describe.each(runtimes)("The seed's set-ups on %s", (runtime) => {
  test.each(scenes)("$name", async ({ file: [ending, text], setUp, tearDown }) => {
    const theirs = await write(ending, text());
    const program = await write("mjs", `${imports}const client = new Client();\n${worker}`);
    const runner = `import { spawn } from "node:child_process";
      const loaded = await import(${JSON.stringify(theirs)});
      const theirs = loaded.config === undefined && loaded.default?.config ? loaded.default : loaded;
      const work = () => new Promise((resolve) => {
        spawn(process.execPath, [${JSON.stringify(program)}], { stdio: "inherit" }).on("exit", resolve);
      });
      ${setUp}
      const ends = await Promise.all(Array.from({ length: ${workersCount} }, work));
      say({ ends, leases: (await new Client().stats()).leases });
      ${tearDown}
      say({ after: process.env.EPHEMERAL_PIPE === undefined });`;
    await using script = await library.run(runtime, runner);
    const { said, stderr, status } = await script.end();
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    expect(said.slice(0, workersCount).sort()).toEqual([0, 1, 2]);
    expect(said.slice(workersCount)).toEqual([{ ends: [0, 0, 0], leases: 0 }, { after: tearDown !== "" }]);
    await until(() => readdirSync(library.runtimeDirectory).length === 0, 1000);
  });
});

describe("The seed's set-ups", () => {
  test("are all run", () => {
    expect(seedBlocksLeft().filter(isSetUp)).toEqual([]);
  });
});
