/**
 * The private directory of one broker and its claim: `<run root>/<name>/{sock,lock}`, every level ours, 0700 and no link.
 * The claim is an exclusive flock on `lock`, held for life by the kernel's own book-keeping: it ends with the process.
 */
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { EphemeralError } from "../protocol/errors.ts";
import { openLibc } from "./libc.ts";

/** A claimed directory. Whoever holds one is the only owner of its name among this user's processes. */
export interface RunDirectory {
  readonly path: string;
  /** Where the socket goes. */
  readonly pipe: string;
  /** Removes socket, lock and directory and ends the claim. Idempotent. */
  release(): void;
}

const socketName = "sock";
const lockName = "lock";
const lockExclusiveWithoutWaiting = 2 | 4;
/** `sun_path` without its NUL. Longer ones are refused by Bun and cut short silently by Node. */
const pipeBytesMax = process.platform === "darwin" ? 103 : 107;
/** Rounds in which a directory may be swept away between its making and its claim, or be held by who sweeps. */
const claimRoundsMax = 250;
/** Somebody who sweeps holds a lock for as long as it takes to remove two files; a broker holds it for life. */
const sweeperPauseMs = 1;

/** Makes and claims `<runRoot>/<name>`; a directory left by a dead broker is taken over.
 *  @throws {EphemeralError} `unavailable` when a living broker holds the name, `forbidden` when a level is not ours alone,
 *  `bad_command` when the socket's path would be too long */
export function claimRunDirectory(runRoot: string, name: string): RunDirectory {
  const path = join(runRoot, name);
  const pipe = join(path, socketName);
  if (Buffer.byteLength(pipe) > pipeBytesMax) {
    throw new EphemeralError(
      "bad_command",
      `Cannot start broker: the socket's path has ${Buffer.byteLength(pipe)} bytes, limit is ${pipeBytesMax}: ${pipe}; set XDG_RUNTIME_DIR or TMPDIR to a shorter one`,
    );
  }
  let isHeld = false;
  for (let round = 0; round < claimRoundsMax; round++) {
    makePrivate(runRoot, { inside: "must exist" });
    makePrivate(path, { inside: "may vanish" });
    const lock = openLock(join(path, lockName), fs.constants.O_CREAT);
    if (lock === undefined) continue;
    isHeld = !tryFlock(lock);
    if (!isHeld && isStillAt(lock, join(path, lockName))) {
      fs.rmSync(pipe, { force: true });
      return claimed(path, pipe, lock);
    }
    fs.closeSync(lock);
    if (isHeld) Bun.sleepSync(sweeperPauseMs);
  }
  throw isHeld
    ? new EphemeralError("unavailable", `Cannot start broker: another one holds the name "${name}" (${path})`)
    : new EphemeralError("internal", `Cannot start broker: ${path} was removed ${claimRoundsMax} times meanwhile`);
}

function claimed(path: string, pipe: string, lock: number): RunDirectory {
  let isHeld = true;
  return {
    path,
    pipe,
    release() {
      if (!isHeld) return;
      isHeld = false;
      removeRunDirectory(path);
      // The last broker of this user takes the run root along; one that is starting makes it again.
      removeEmptyDirectory(dirname(path));
      fs.closeSync(lock);
    },
  };
}

/** Removes what brokers that were killed left behind in `runRoot`: directories whose lock is free. Touches nothing else, and
 *  nothing at all in a root that is not ours alone. Returns how many it removed. */
export function sweepRunDirectories(runRoot: string): number {
  if (wrongWith(runRoot) !== undefined) return 0;
  let swept = 0;
  for (const entry of readDirectory(runRoot)) {
    if (entry.isDirectory() && sweep(join(runRoot, entry.name))) swept++;
  }
  return swept;
}

function sweep(path: string): boolean {
  let lock: number | undefined;
  try {
    lock = openLock(join(path, lockName), 0);
  } catch {
    // What stands there is no lock of ours.
    return false;
  }
  // A directory without a lock is one being made, which its maker will make again, or one half removed.
  if (lock === undefined) return removeEmptyDirectory(path);
  const isFree = tryFlock(lock) && isStillAt(lock, join(path, lockName));
  const isRemoved = isFree && removeRunDirectory(path);
  fs.closeSync(lock);
  return isRemoved;
}

function readDirectory(path: string): fs.Dirent[] {
  try {
    return fs.readdirSync(path, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Removes the two files by name and then the directory, which fails when anything else is in it: on purpose. */
function removeRunDirectory(path: string): boolean {
  fs.rmSync(join(path, socketName), { force: true });
  fs.rmSync(join(path, lockName), { force: true });
  return removeEmptyDirectory(path);
}

function removeEmptyDirectory(path: string): boolean {
  try {
    fs.rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Makes `path` a directory that is ours alone, or finds that it is.
 *  @throws {EphemeralError} `forbidden` saying what is wrong with it, `unavailable` when it cannot be made */
function makePrivate(path: string, { inside }: { readonly inside: "must exist" | "may vanish" }): void {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (inside === "may vanish" && isErrno(error, "ENOENT")) return;
    if (!isErrno(error, "EEXIST")) {
      const text = `Cannot start broker: cannot make the directory ${path}: ${reasonOf(error)}`;
      throw new EphemeralError("unavailable", text);
    }
  }
  const wrong = wrongWith(path);
  if (wrong !== undefined) {
    throw new EphemeralError("forbidden", `Cannot start broker: ${path} must be private to this user, but ${wrong}`);
  }
}

/** Why `path` is no directory that is ours alone; undefined when it is one, or is not there. */
function wrongWith(path: string): string | undefined {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (found.isSymbolicLink()) return "it is a symbolic link";
  if (!found.isDirectory()) return "it is not a directory";
  if (found.uid !== process.getuid?.()) return `it belongs to uid ${found.uid}`;
  const mode = found.mode & 0o777;
  return mode === 0o700 ? undefined : `its mode is ${mode.toString(8)}, wanted 700`;
}

/** Opens the lock file, or undefined when it or its directory is not there.
 *  @throws {EphemeralError} `forbidden` when something else stands in its place */
function openLock(path: string, extraFlags: number): number | undefined {
  try {
    return fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NOFOLLOW | extraFlags, 0o600);
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return undefined;
    throw new EphemeralError("forbidden", `Cannot start broker: cannot open its lock ${path}: ${reasonOf(error)}`);
  }
}

const { flock } = openLibc({ flock: { args: ["i32", "i32"], returns: "i32" } });

function tryFlock(file: number): boolean {
  return flock(file, lockExclusiveWithoutWaiting) === 0;
}

/** Whether `file` is what stands at `path`: between opening and locking somebody may have swept it away. */
function isStillAt(file: number, path: string): boolean {
  const there = fs.statSync(path, { throwIfNoEntry: false });
  const ours = fs.fstatSync(file);
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
