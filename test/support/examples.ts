/** Runs an example as its first comment says: `ephemeral start -- bun examples/NAME.ts`, and gives what it printed. */
import { expect } from "bun:test";
import { join } from "node:path";
import { type Invocation, invoke } from "./invocation.ts";
import { sourceProgram } from "./programs.ts";

const root = join(import.meta.dir, "../..");

/** The command line of it. */
export function exampleArguments(name: string): readonly string[] {
  return ["start", "--", process.execPath, join(root, "examples", `${name}.ts`)];
}

/** Runs it to its end. Its broker, and what it keeps for a while, live in `directory`. */
export function runExample(name: string, directory: string): Promise<Invocation> {
  const environment = { XDG_RUNTIME_DIR: directory, TMPDIR: directory };
  return invoke(sourceProgram, { args: exampleArguments(name), environment });
}

/** The lines it says; it must end well and complain of nothing. */
export async function linesOfExample(name: string, directory: string): Promise<readonly string[]> {
  const { status, stdout, stderr } = await runExample(name, directory);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout.trimEnd().split("\n");
}
