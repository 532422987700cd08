/**
 * The program as users run it: from its source, and compiled into one executable, which is built once per test file
 * unless EPHEMERAL_TEST_BINARY names one that is already there.
 */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Program {
  readonly name: "source" | "binary";
  /** What to put before the arguments. */
  readonly argv: readonly string[];
}

const root = join(import.meta.dir, "..", "..");
const main = join(root, "src", "cli", "main.ts");

export const sourceProgram: Program = { name: "source", argv: [process.execPath, main] };

/** Both ways to run the program, to be asked for at the top of a test file: the binary is removed after its last test.
 *  A binary that cannot be built fails the whole file. */
export async function programs(): Promise<readonly Program[]> {
  return [sourceProgram, { name: "binary", argv: [process.env.EPHEMERAL_TEST_BINARY ?? (await build())] }];
}

async function build(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "ephemeral-binary-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const outfile = join(directory, "ephemeral");
  const flags = ["--compile", "--bytecode", "--minify", "--splitting", "--format=esm"];
  const autoload = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];
  const building = Bun.spawn([process.execPath, "build", ...flags, ...autoload, main, "--outfile", outfile], {
    cwd: root,
    stdout: "ignore",
    stderr: "pipe",
  });
  const complaints = await building.stderr.text();
  if ((await building.exited) !== 0) throw new Error(`Cannot build the binary: ${complaints}`);
  return outfile;
}
