/**
 * The README's quick start, taken at its word on machines that have only Node and npm, only Bun, or only the executable: what
 * it says to install is installed, its files are written, its commands are run. With npm it needs the registry.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import {
  type PackedPackage,
  packedPackage,
  pathOf,
  type Ran,
  reasonNotToInstall,
  root,
  run,
} from "../support/package.ts";
import { binaryProgram } from "../support/programs.ts";

/** From nothing to a coordinated run; a registry that is slow takes most of it. */
const withinMs = 180_000;
setDefaultTimeout(withinMs + 20_000);

const reason = await reasonNotToInstall();
const binary = (await binaryProgram()).argv[0] ?? "";
const readme = await Bun.file(join(root, "README.md")).text();
const [, quickStart = ""] = /## Quick start\n([\s\S]*?)\n##+ /.exec(readme) ?? [];

let packed: PackedPackage;
beforeAll(async () => {
  packed = await packedPackage();
});
afterAll(() => packed[Symbol.dispose]());

/** The block after "as `name`:". */
function fileOf(name: string): string {
  const [, text] = new RegExp(`as \`${name}\`:\\n\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(quickStart) ?? [];
  if (text === undefined) throw new Error(`the quick start has no ${name}`);
  return text;
}

/** The command of a block, which begins so and goes on to its end, or to that of its line. */
function commandOf(beginning: string): string {
  const blocks = [...quickStart.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
  const block = blocks.find((text) => text.split("\n").some((line) => line.startsWith(beginning))) ?? "";
  if (block.startsWith("ephemeral")) return block;
  return block.split("\n").find((line) => line.startsWith(beginning)) ?? "";
}

/** The command by which the table has a project get it. */
function installation(manager: "npm install" | "bun add"): string {
  const [, command] = new RegExp(`\`(${manager} [^\`]*)\``).exec(readme.replace("`npm install` (or", "")) ?? [];
  if (command === undefined) throw new Error(`the README does not say how to ${manager}`);
  return command;
}

interface Trial {
  readonly name: string;
  /** All that is on PATH, besides what the commands themselves name. */
  readonly programs: readonly string[];
  readonly files: readonly string[];
  readonly steps: readonly string[];
}

const bun = join(root, "node_modules/.bin/bun");

async function tryOut({ name, programs, files, steps }: Trial): Promise<Ran> {
  const directory = join(packed.directory, name);
  mkdirSync(directory);
  const path = pathOf(join(packed.directory, `${name}-path`), ["sh", "env", ...programs]);
  copyFileSync(packed.tarball, join(directory, basename(packed.tarball)));
  for (const file of files) await Bun.write(join(directory, file), fileOf(file));
  return run([join(path, "sh"), "-ec", steps.join("\n")], { directory, path, withinMs });
}

const linesOf = (text: string): string[] => text.trim().split("\n");

/** What the README promises to be printed: one login, and four workers on three accounts. */
function expectPromised({ status, stdout, stderr }: Ran): void {
  expect({ status, stderr: stderr.replaceAll(/^npm warn.*\n/gm, "") }).toEqual({ status: 0, stderr: "" });
  const lines = linesOf(stdout).filter((line) => line.startsWith("worker-"));
  expect(lines.filter((line) => / logs in$/.test(line))).toHaveLength(1);
  const accounts = lines.flatMap((line) => / has account (\d) and token-1$/.exec(line)?.[1] ?? []);
  expect(accounts.slice(0, 3).sort()).toEqual(["0", "1", "2"]);
  expect(["0", "1", "2"]).toContain(accounts[3] ?? "none");
  expect(accounts).toHaveLength(4);
}

describe("A newcomer with", () => {
  test.skipIf(reason !== undefined)(`Node and npm alone${reason ? ` (not run: ${reason})` : ""}`, async () => {
    const steps = [installation("npm install"), commandOf("npx ephemeral")];
    expectPromised(await tryOut({ name: "node", programs: ["node", "npm", "npx"], files: ["worker.mjs"], steps }));
  });

  test("Bun alone", async () => {
    const steps = [`${installation("bun add")} 2>&1`, commandOf("bunx ephemeral")];
    expectPromised(await tryOut({ name: "bun", programs: [bun, `${bun}x`], files: ["worker.mjs"], steps }));
  });

  test("the executable alone", async () => {
    const trial = { name: "executable", programs: [binary, "sleep"], files: ["worker.sh"] };
    const { status, stdout, stderr } = await tryOut({ ...trial, steps: [commandOf("ephemeral start")] });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "logging in\n" });
    const names = linesOf(stdout).map((line) => /^worker [1-4] is (\w+) and has token-1$/.exec(line)?.[1] ?? line);
    expect(names.slice(0, 3).sort()).toEqual(["ada", "bob", "cleo"]);
    expect(["ada", "bob", "cleo"]).toContain(names[3] ?? "none");
    expect(names).toHaveLength(4);
  });
});
