/**
 * Which process is meant: its pid and, since pids are used again, when it was born, in ticks since the system's start.
 * Linux tells both in /proc; elsewhere the pid alone has to do.
 */
import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** Undefined where the system does not tell. */
  readonly birth: string | undefined;
}

/** Process `pid` as it is now; undefined when there is none. One that has ended and was not waited for counts as none. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  if (process.platform !== "linux") return isThere(pid) ? { pid, birth: undefined } : undefined;
  const birth = birthByProc(pid);
  return birth === undefined ? undefined : { pid, birth };
}

export function isRunning({ pid, birth }: ProcessIdentity): boolean {
  const now = identityOf(pid);
  return now !== undefined && (birth === undefined || birth === now.birth);
}

/** `PID:BIRTH`, or `PID` where births are not told. */
export function formatIdentity({ pid, birth }: ProcessIdentity): string {
  return birth === undefined ? `${pid}` : `${pid}:${birth}`;
}

/** Reads what `formatIdentity` wrote; undefined for anything else. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  const [, pid, birth] = /^([1-9]\d{0,9})(?::(\d{1,20}))?$/.exec(text) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), birth };
}

function birthByProc(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name, in parentheses, may hold anything; behind it: state, and the birth as the twentieth word.
  const words = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return words[0] === "Z" || words[0] === "X" ? undefined : words[19];
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
