/**
 * Processes as the kernel shows them in /proc: which ones belong to a test, and waiting for something to become true of
 * them. Linux only.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Live processes that work in `directory` or whose environment or command line mentions it, this one excepted. */
export function processesOf(directory: string): readonly number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => workingDirectory(pid) === directory || mentions(pid, directory));
}

function mentions(pid: number, text: string): boolean {
  return readProc(pid, "environ").includes(text) || readProc(pid, "cmdline").includes(text);
}

function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** A file of /proc/PID, empty when the process has ended. */
export function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

const pollMs = 5;

/** Resolves once `condition` holds; nobody tells us of processes that are not our children, so it looks again and again.
 *  Fails when it still does not hold after `withinMs`. */
export async function until(condition: () => boolean, withinMs = 5000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not so within ${withinMs} ms: ${condition}`);
    await Bun.sleep(pollMs);
  }
}
