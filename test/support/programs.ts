/**
 * The program as users run it: from its source, and compiled into one executable, which is built once per test process
 * unless EPHEMERAL_TEST_BINARY names one that is already there.
 */
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

/** Both ways to run the program. A binary that cannot be built fails the tests of the file that asked for it. */
export async function programs(): Promise<readonly Program[]> {
  return [
    { name: "source", argv: [process.execPath, main] },
    { name: "binary", argv: [await binary()] },
  ];
}

let built: Promise<string> | undefined;

function binary(): Promise<string> {
  built ??= build();
  return built;
}

async function build(): Promise<string> {
  const given = process.env.EPHEMERAL_TEST_BINARY;
  if (given !== undefined) return given;
  const directory = mkdtempSync(join(tmpdir(), "ephemeral-binary-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  const outfile = join(directory, "ephemeral");
  const flags = ["--compile", "--bytecode", "--minify", "--format=esm"];
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
