/** What the kernel counts for a process (Linux): CPU time and resident memory. */
import { readFileSync } from "node:fs";

/** Clock ticks are 10 ms on every Linux we know. */
const tickMs = 10;

/** User and system time so far, in milliseconds. */
export function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

/** Resident bytes now. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, "VmRSS");
}

/** Those of them that no file stands behind: what the process has asked for. How many pages of the executable are resident, too,
 *  depends on how the kernel's cache holds it: the same file had 32 MB of them, and 38 MB freshly written. */
export function anonymousBytes(pid: number): number {
  return statusBytes(pid, "RssAnon");
}

function statusBytes(pid: number, name: string): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]) * 1024;
}
