/**
 * The program as users run it: from its source, and compiled into one executable. That is built once for what the sources are,
 * by whichever test file asks first, unless EPHEMERAL_TEST_BINARY names one that is already there.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { compileFlags } from "../../src/release/compile.ts";
import { isThorough } from "./thorough.ts";

export interface Program {
  readonly name: "source" | "binary";
  /** What to put before the arguments. */
  readonly argv: readonly string[];
}

const root = join(import.meta.dir, "..", "..");
const main = join(root, "src", "cli", "main.ts");
const cache = join(root, "node_modules", ".cache", "ephemeral-test");
/** Nobody runs an executable of sources that have changed since for that long. */
const keptMs = 3_600_000;

export const sourceProgram: Program = { name: "source", argv: [process.execPath, main] };

/** The executable. One that cannot be built fails the whole test file. */
export async function binaryProgram(): Promise<Program> {
  return { name: "binary", argv: [process.env.EPHEMERAL_TEST_BINARY ?? (await built())] };
}

/** Both ways to run the program; in a short run only the one that starts five times as fast. */
export async function programs(): Promise<readonly Program[]> {
  const binary = await binaryProgram();
  return isThorough ? [sourceProgram, binary] : [binary];
}

async function built(): Promise<string> {
  const directory = join(cache, await sourcesHash());
  const executable = join(directory, "ephemeral");
  if (existsSync(executable)) return executable;
  removeOld();
  mkdirSync(directory, { recursive: true });
  // Another run may build the same one: each has a file of its own, and the last to be there replaces an equal one.
  const outfile = join(directory, `building-${process.pid}`);
  await build(outfile);
  renameSync(outfile, executable);
  return executable;
}

/** Of whatever the executable is made from. */
async function sourcesHash(): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256").update(process.versions.bun);
  const sources = [...new Bun.Glob("src/**").scanSync({ cwd: root })].sort();
  for (const path of [...sources, "package.json", "package-lock.json", "tsconfig.json"]) {
    hash.update(`${path}\n`).update(await Bun.file(join(root, path)).bytes());
  }
  return hash.digest("hex").slice(0, 16);
}

function removeOld(): void {
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    if (statSync(path).mtimeMs < Date.now() - keptMs) rmSync(path, { recursive: true, force: true });
  }
}

async function build(outfile: string): Promise<void> {
  const building = Bun.spawn([process.execPath, "build", ...compileFlags, main, "--outfile", outfile], {
    cwd: root,
    stdout: "ignore",
    stderr: "pipe",
  });
  const complaints = await building.stderr.text();
  if ((await building.exited) !== 0) throw new Error(`Cannot build the binary: ${complaints}`);
}
