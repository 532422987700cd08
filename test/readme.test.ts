/**
 * The README's word: its TypeScript runs as it stands, its tables name what there is, and every variable and file it
 * mentions exists. Its quick start is tried in package/newcomer.test.ts.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import type { RunningBroker } from "../src/broker/broker.ts";
import { EndOfRun } from "../src/broker/end-of-run.ts";
import { commandNames } from "../src/cli/pages.ts";
import { lineClient, temporaryDirectory, testBroker } from "./support/broker.ts";

setDefaultTimeout(30_000);

const root = join(import.meta.dir, "..");
const readme = await Bun.file(join(root, "README.md")).text();
const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = ""]) => block);

/** What the blocks take from the reader's own code, and a count of how often it was called. */
const readersCode = `
let calls = 0;
const login = async (account: number) => { if (![0, 1, 2].includes(account)) throw new Error("no account"); calls++; };
const authenticate = async () => { calls++; return "token"; };
const makeApiCall = async () => { calls++; };
const loadExpensiveData = async () => { calls++; return { rows: 3 }; };
`;

async function runBlock(
  block: string,
  { pipe, url = "", token = "" }: RunningBroker,
): Promise<{ status: number; output: string }> {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, "node_modules"));
  symlinkSync(root, join(directory.path, "node_modules/ephemerald"));
  // A block that imports something is as it is pasted; the others go on from the quick start.
  const imports = block.includes("import {") ? "" : 'import { Client } from "ephemerald";\n';
  const opening = block.includes("new Client(") ? "" : "const client = new Client();\n";
  const door = block.includes("new Client(url,") ? `const [url, token] = ["${url}", "${token}"];\n` : "";
  const script = join(directory.path, "block.ts");
  const parts = [imports, readersCode, opening, door, block, '\nconsole.log("calls: " + calls);\n'];
  await Bun.write(script, parts.join(""));
  const child = Bun.spawn([process.execPath, script], {
    env: { PATH: process.env.PATH ?? "", EPHEMERAL_PIPE: pipe },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, output: stdout + stderr };
}

describe("README", () => {
  const promised = [
    { name: "turns", output: "as ada\ncalls: 4\n" },
    { name: "once", output: "calls: 2\n" },
    { name: "work", output: "test cart.spec.ts\ntest login.spec.ts\ncalls: 0\n" },
    { name: "a rate and a start", output: "calls: 0\n" },
    { name: "values", output: "set\ncalls: 0\n" },
    { name: "channels", output: '{\n  text: "hello",\n}\ncalls: 0\n' },
    { name: "questions", output: "sum of 2\ncalls: 0\n" },
    { name: "the end", output: "calls: 0\n" },
    { name: "a cut connection", output: "calls: 0\n" },
    { name: "from a program", output: "calls: 0\n" },
    { name: "a web door", output: "connecting\nconnected\ncalls: 0\nclosed\n" },
  ].map((promise, index) => ({ ...promise, block: blocks[index] ?? "" }));

  test.each(promised)("its code runs, and ends by itself: $name", async ({ output, block }) => {
    const endOfRun = new EndOfRun({ commandsMax: 1, keep: () => {} });
    await using broker = await testBroker({ port: 0 }, { endOfRun });
    expect(await runBlock(block, broker)).toEqual({ status: 0, output });
    using observer = await lineClient(broker.pipe);
    expect(await observer.ask({ action: "stats" })).toMatchObject({ ok: true, stats: { leases: 0, waits: 0 } });
  });

  test("has no block of code that is not run", () => {
    expect(blocks).toHaveLength(promised.length);
  });

  test("its table has every command, and no other", () => {
    const [, table = ""] = /## Commands\n([\s\S]*?)\n## /.exec(readme) ?? [];
    const named = [...table.matchAll(/^\|.*?\|(.*?)\|/gm)].flatMap(([, cell = ""]) =>
      [...cell.matchAll(/`([\w-]+)`/g)].map(([, name = ""]) => name),
    );
    expect(named.sort()).toEqual([...commandNames].sort());
  });

  test("the variables it names are read", async () => {
    const { bounds } = await import("../src/cli/settings/bounds.ts");
    const known = new Set(bounds.flatMap(({ environment }) => environment));
    const sources = [...new Bun.Glob("src/**/*.ts").scanSync(root)];
    const text = (await Promise.all(sources.map((path) => Bun.file(join(root, path)).text()))).join("\n");
    const named = new Set(readme.match(/\b(?:EPHEMERAL|BROKER|CLIENT|XDG)_[A-Z_]+\b|\bNO_COLOR\b|\bFORCE_COLOR\b/g));
    expect(named.size).toBeGreaterThan(10);
    expect([...named].filter((name) => !known.has(name) && !text.includes(name))).toEqual([]);
  });

  test("the scripts, folders and files it names exist", async () => {
    const { scripts } = await Bun.file(join(root, "package.json")).json();
    for (const [, script = ""] of readme.matchAll(/npm (?:run )?(demo|test|build|check)\b/g)) {
      expect(Object.keys(scripts)).toContain(script);
    }
    const paths = [...readme.matchAll(/`((?:src|test|examples|broker|protocol|\.ci)\/[\w./-]*)`/g)].map(
      ([, path = ""]) => (/^(?:broker|protocol)\//.test(path) ? `src/${path}` : path),
    );
    expect(paths.length).toBeGreaterThan(8);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test("every example is named", () => {
    const programs = [...new Bun.Glob("{turns,sharing}/*.ts").scanSync(join(root, "examples"))].map((path) =>
      basename(path),
    );
    expect(programs.length).toBeGreaterThan(8);
    expect(programs.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
  });

  test("its dependencies are those of the package", async () => {
    const { dependencies } = await Bun.file(join(root, "package.json")).json();
    const [, list = ""] = /## Dependencies\n([\s\S]*?)\n## /.exec(readme) ?? [];
    const named = [...list.matchAll(/^- `([\w@/-]+)`/gm)].map(([, name]) => name);
    expect(named.sort()).toEqual(Object.keys(dependencies).sort());
  });

  test("its exit statuses are those of the program", async () => {
    const { exitStatuses } = await import("../src/cli/failure.ts");
    const [, table = ""] = /## Exit statuses\n([\s\S]*?)\n## /.exec(readme) ?? [];
    const named = [...table.matchAll(/^\| (\d[\d, ]*) \|/gm)].flatMap(([, cell = ""]) => cell.split(", ").map(Number));
    expect(named).toEqual([...Object.values(exitStatuses), 126, 127].sort((a, b) => a - b));
  });
});
