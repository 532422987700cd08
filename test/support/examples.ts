/** Runs an example as its first comment says: `ephemeral start -- bun examples/NAME.ts`, and gives what it printed. */
import { expect } from "bun:test";
import { join } from "node:path";
import { invoke } from "./invocation.ts";
import { sourceProgram } from "./programs.ts";

const root = join(import.meta.dir, "../..");

/** The lines it says; it must end well and complain of nothing. Its broker lives in `directory`. */
export async function linesOfExample(name: string, directory: string): Promise<readonly string[]> {
  const { status, stdout, stderr } = await invoke(sourceProgram, {
    args: ["start", "--", process.execPath, join(root, "examples", `${name}.ts`)],
    environment: { XDG_RUNTIME_DIR: directory },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout.trimEnd().split("\n");
}
