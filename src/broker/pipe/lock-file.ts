/**
 * The `lock` of a run directory: an exclusive flock, which ends with the last process that has the descriptor, and in the
 * file the process that took it, for people and for who waits. Knows nothing of directories or sockets.
 */
import * as fs from "node:fs";
import { EphemeralError } from "../../protocol/errors.ts";
import { openLibc } from "./libc.ts";
import { formatIdentity, identityOf, type ProcessIdentity, parseIdentity } from "./process-identity.ts";

const lockExclusiveWithoutWaiting = 2 | 4;
/** More than we ever write. */
const holderBytesMax = 64;

/** Opens the lock file, or undefined when it or its directory is not there.
 *  @throws {EphemeralError} `forbidden` when something else stands in its place */
export function openLock(path: string, { create }: { readonly create: boolean }): number | undefined {
  const flags = fs.constants.O_RDWR | fs.constants.O_NOFOLLOW | (create ? fs.constants.O_CREAT : 0);
  try {
    return fs.openSync(path, flags, 0o600);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    const reason = error instanceof Error ? error.message : String(error);
    throw new EphemeralError("forbidden", `Cannot start broker: cannot open its lock ${path}: ${reason}`);
  }
}

const { flock } = openLibc({ flock: { args: ["i32", "i32"], returns: "i32" } });

/** Takes the lock if nobody has it. */
export function tryFlock(lock: number): boolean {
  return flock(lock, lockExclusiveWithoutWaiting) === 0;
}

/** Whether `lock` is what stands at `path`: between opening and locking somebody may have swept it away. */
export function isStillAt(lock: number, path: string): boolean {
  const there = fs.statSync(path, { throwIfNoEntry: false });
  const ours = fs.fstatSync(lock);
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

/** Writes into the lock, which we have, that it is ours. */
export function writeHolder(lock: number): void {
  const self = identityOf(process.pid) ?? { pid: process.pid, birth: undefined };
  fs.ftruncateSync(lock, 0);
  fs.writeSync(lock, `${formatIdentity(self)}\n`, 0);
}

/** Who took the lock last, dead or alive; undefined when nobody says so. */
export function readHolder(lock: number): ProcessIdentity | undefined {
  const bytes = Buffer.alloc(holderBytesMax);
  const length = fs.readSync(lock, bytes, 0, holderBytesMax, 0);
  return parseIdentity(bytes.toString("latin1", 0, length).trimEnd());
}
