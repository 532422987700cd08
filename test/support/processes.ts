/**
 * Processes as the kernel shows them in /proc: which ones belong to a test, and waiting for something to become true of
 * them. Linux only.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Live processes whose environment or command line mentions `text`, this one excepted. Zombies have neither. */
export function processesMentioning(text: string): readonly number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) => readProc(pid, "environ").includes(text) || readProc(pid, "cmdline").includes(text));
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
