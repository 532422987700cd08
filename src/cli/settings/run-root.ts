/**
 * Where this user's brokers have their directories, as the environment says; the starter of a broker and whoever looks for
 * it by its name must come to the same answer. Makes nothing.
 */
import { statSync } from "node:fs";
import type { Environment } from "./settings.ts";

/** The folder of this user's run directories. XDG_RUNTIME_DIR counts only if it is there and ours: `su` and containers
 *  leave it pointing at somebody else's. */
export function runRootOf(environment: Environment): string {
  const uid = process.getuid?.() ?? 0;
  const runtime = environment.XDG_RUNTIME_DIR;
  if (runtime?.startsWith("/") && isOwnDirectory(runtime, uid)) return `${runtime.replace(/\/+$/, "")}/ephemeral`;
  const temporary = environment.TMPDIR?.startsWith("/") ? environment.TMPDIR : "/tmp";
  return `${temporary.replace(/\/+$/, "")}/ephemeral-${uid}`;
}

function isOwnDirectory(path: string, uid: number): boolean {
  try {
    const found = statSync(path);
    return found.isDirectory() && found.uid === uid;
  } catch {
    return false;
  }
}
