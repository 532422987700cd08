/** What `bun build` makes of a program, and what reaches into one that is compiled. Imports nothing of ours. */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { type Ended, Scratch } from "./scratch.ts";

const program = `console.log(JSON.stringify({
  file: process.env.FROM_FILE ?? null, preloaded: globalThis.preloaded ?? null, argv: process.argv.slice(2) }))`;

/** What a user's folder may hold and our program must not mind. */
const trap = {
  "trap/.env": "FROM_FILE=env",
  "trap/bunfig.toml": 'preload = ["./preload.ts"]',
  "trap/preload.ts": "globalThis.preloaded = true",
};

const autoload = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];
const fast = ["--bytecode", "--minify", "--format=esm"];
const untouched = '{"file":null,"preloaded":null,"argv":[]}\n';

/** Compiles the files named, and says what the compiler said. */
const compile = (scratch: Scratch, files: readonly string[], flags: readonly string[] = []): Promise<Ended> =>
  scratch.bun(["build", "--compile", ...flags, ...files, "--outfile", scratch.at("out")]);

/** Runs what was compiled in the folder with the traps. */
const runInTrap = (scratch: Scratch, environment: Record<string, string> = {}): Promise<Ended> => {
  mkdirSync(scratch.at("trap"), { recursive: true });
  return scratch.run(["env", "-C", scratch.at("trap"), scratch.at("out")], environment);
};

const serial = { timeout: 20_000 };

describe("a compiled program", () => {
  test(
    "loads the .env and runs the bunfig preload of whatever folder it is started in",
    async () => {
      using scratch = new Scratch({ "main.ts": program, ...trap });
      expect((await compile(scratch, ["main.ts"])).status).toBe(0);
      expect((await runInTrap(scratch)).stdout).toBe('{"file":"env","preloaded":true,"argv":[]}\n');
    },
    serial,
  );

  test(
    "loads neither with --no-compile-autoload-dotenv and --no-compile-autoload-bunfig",
    async () => {
      using scratch = new Scratch({ "main.ts": program, ...trap });
      expect((await compile(scratch, ["main.ts"], [...autoload, ...fast])).status).toBe(0);
      expect((await runInTrap(scratch)).stdout).toBe(untouched);
    },
    serial,
  );

  test(
    "is bun itself where the environment has BUN_BE_BUN, and takes bun's own flags from BUN_OPTIONS",
    async () => {
      using scratch = new Scratch({ "main.ts": program, ...trap });
      expect((await compile(scratch, ["main.ts"], [...autoload, ...fast])).status).toBe(0);
      expect((await runInTrap(scratch, { BUN_BE_BUN: "1", BUN_OPTIONS: "--version" })).stdout).toBe(`${Bun.version}\n`);
      const { stdout } = await runInTrap(scratch, { BUN_OPTIONS: "--preload ./preload.ts" });
      expect(stdout).toBe('{"file":null,"preloaded":true,"argv":[]}\n');
    },
    serial,
  );

  // Without binutils there is nothing to ruin it with.
  test.skipIf(Bun.which("strip") === null)(
    "is bun without the program after strip",
    async () => {
      using scratch = new Scratch({ "main.ts": program });
      expect((await compile(scratch, ["main.ts"], [...autoload, ...fast])).status).toBe(0);
      expect((await runInTrap(scratch)).stdout).toBe(untouched);
      expect((await scratch.run(["strip", "out"])).status).toBe(0);
      expect((await runInTrap(scratch)).stdout).toStartWith("Bun is a fast JavaScript runtime");
    },
    serial,
  );

  test(
    "may await at its top level, but with --bytecode only when --format=esm is said",
    async () => {
      using scratch = new Scratch({ "main.ts": 'console.log(await Promise.resolve("awaited"))' });
      const refused = await compile(scratch, ["main.ts"], ["--bytecode"]);
      expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('"await" can only be used inside')]);
      expect((await compile(scratch, ["main.ts"], fast)).status).toBe(0);
      expect((await runInTrap(scratch)).stdout).toBe("awaited\n");
    },
    serial,
  );

  test(
    "finds a worker only when it was named as an entry point",
    async () => {
      using scratch = new Scratch({
        "main.ts": `const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
        worker.onmessage = ({ data }) => { console.log(data); process.exit(0); };
        worker.onerror = ({ message }) => { console.log(message); process.exit(1); };`,
        "worker.ts": 'postMessage("at work")',
      });
      expect((await compile(scratch, ["main.ts"])).status).toBe(0);
      expect(await runInTrap(scratch)).toMatchObject({ status: 1, stdout: expect.stringContaining("ModuleNotFound") });
      expect((await compile(scratch, ["main.ts", "worker.ts"])).status).toBe(0);
      expect(await runInTrap(scratch)).toMatchObject({ status: 0, stdout: "at work\n" });
    },
    serial,
  );

  test(
    "runs with --splitting, modules that are loaded late included",
    async () => {
      using scratch = new Scratch({
        "main.ts": 'import { shared } from "./shared.ts"; console.log((await import("./late.ts")).late(shared))',
        "late.ts": 'import { shared } from "./shared.ts"; export const late = (other) => shared === other',
        "shared.ts": "export const shared = {}",
      });
      expect((await compile(scratch, ["main.ts"], ["--splitting", ...fast])).status).toBe(0);
      expect((await runInTrap(scratch)).stdout).toBe("true\n");
    },
    serial,
  );

  test(
    "carries imported text, and HTML that Bun.serve serves",
    async () => {
      using scratch = new Scratch({
        "main.ts": `import lua from "./a.lua" with { type: "text" }; import page from "./a.html";
        const server = Bun.serve({ port: 0, routes: { "/": page } });
        console.log(lua, (await (await fetch(server.url)).text()).includes("<p>hi</p>"));
        server.stop(true);`,
        "a.lua": "return 1",
        "a.html": "<html><body><p>hi</p></body></html>",
      });
      expect((await scratch.bun(["main.ts"])).stdout).toBe("return 1 true\n");
      expect((await compile(scratch, ["main.ts"], fast)).status).toBe(0);
      expect((await runInTrap(scratch)).stdout).toBe("return 1 true\n");
    },
    serial,
  );
});
