/**
 * Finds the program a command's first word means, as a shell would: our own walk of PATH, because the runtime answers
 * ENOENT alike for a missing file, one that may not be run and a missing folder. Runs nothing.
 */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { join } from "node:path";

/** What shells exit with when a command is found but cannot be run, and when there is none. */
export const cannotRunStatus = 126;
export const notFoundStatus = 127;

export type Executable =
  | { readonly kind: "found"; readonly path: string }
  | { readonly kind: "refused"; readonly status: number; readonly message: string };

/** Where programs are looked for when PATH is not set, as POSIX shells do. */
const defaultSearchPath = "/usr/bin:/bin";

/** The first executable file `name` means; a name with a slash in it is not looked for in `searchPath`. */
export function findExecutable(name: string, searchPath: string = defaultSearchPath): Executable {
  if (name === "") return refused(notFoundStatus, name, "the command is empty");
  if (name.includes("/")) {
    const why = obstacleTo(name);
    if (why === undefined) return { kind: "found", path: name };
    return refused(why === "ENOENT" ? notFoundStatus : cannotRunStatus, name, `it ${inWords(why)}`);
  }
  let obstacle: string | undefined;
  for (const folder of searchPath.split(":")) {
    // An empty entry means the current directory. The runtime must not look a bare name up again.
    const path = folder === "" ? `./${name}` : join(folder, name);
    const why = obstacleTo(path);
    if (why === undefined) return { kind: "found", path: path.includes("/") ? path : `./${path}` };
    if (existsSync(path)) obstacle ??= `${path} ${inWords(why)}`;
  }
  if (obstacle !== undefined) return refused(cannotRunStatus, name, obstacle);
  return refused(notFoundStatus, name, "it is not on PATH");
}

function refused(status: number, name: string, why: string): Executable {
  return { kind: "refused", status, message: `Cannot run "${name}": ${why}` };
}

/** Why `path` cannot be executed, as an errno name or EISDIR; undefined when it can. */
function obstacleTo(path: string): string | undefined {
  try {
    if (statSync(path).isDirectory()) return "EISDIR";
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

function inWords(obstacle: string): string {
  if (obstacle === "ENOENT") return "does not exist";
  if (obstacle === "EISDIR") return "is a directory";
  if (obstacle === "EACCES") return "is not executable, or not within reach";
  return `cannot be reached (${obstacle})`;
}
