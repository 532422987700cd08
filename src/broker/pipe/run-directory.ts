/**
 * The private directory of one broker and its claim: `<run root>/<name>/{sock,lock}`, every level ours, 0700 and no link.
 * The claim is an exclusive flock on `lock`, held for life by the kernel's own book-keeping: it ends with the process, and
 * with whoever cleans up after it and has inherited the descriptor.
 */
import * as fs from "node:fs";
import { dirname } from "node:path";
import { EphemeralError } from "../../protocol/errors.ts";
import { directoryOfName, pipeOfName } from "../broker-name.ts";
import { isStillAt, openLock, readHolder, tryFlock, writeHolder } from "./lock-file.ts";
import { isRunning, type ProcessIdentity } from "./process-identity.ts";

/** A claimed directory. Whoever holds one is the only owner of its name among this user's processes. */
export interface RunDirectory {
  readonly path: string;
  /** Where the socket goes. */
  readonly pipe: string;
  /** The descriptor that holds the claim. */
  readonly claim: number;
  /** Removes socket, lock and directory and ends the claim. Idempotent. */
  release(): void;
}

/** A directory that some process has claimed. */
export interface ClaimedDirectory {
  readonly name: string;
  readonly pipe: string;
  /** Undefined while the claim is being made or undone. It may have been killed, and another one be cleaning up. */
  readonly holder: ProcessIdentity | undefined;
  /** When the claim was made. */
  readonly sinceMs: number;
}

/** The `details` of the refusal of a name that is taken. */
export type NameTaken = {
  readonly name: string;
  /** Who has it, when that is known. */
  readonly pid: number | undefined;
  /** Whoever had it was killed, and what it ran is still being ended. */
  readonly isEnding: boolean;
};

/** `sun_path` without its NUL. Longer ones are refused by Bun and cut short silently by Node. */
export const pipeBytesMax = process.platform === "darwin" ? 103 : 107;
/** Rounds in which a directory may be swept away between its making and its claim, or be held by who sweeps. */
const claimRoundsMax = 250;
/** Somebody who sweeps holds a lock for as long as it takes to remove two files; a broker holds it for life. */
const sweeperPauseMs = 1;

/** Makes and claims `<runRoot>/<name>`; a directory left by a dead broker is taken over. Blocks for up to a quarter of a
 *  second while the lock is held by nobody who lives and says so: by one that sweeps, or cleans up after the dead.
 *  @throws {EphemeralError} `unavailable` with `NameTaken` when the name is held, `forbidden` when a level is not ours
 *  alone, `bad_command` when the socket's path would be too long */
export function claimRunDirectory(runRoot: string, name: string): RunDirectory {
  const path = directoryOfName(runRoot, name);
  const pipe = pipeOfName(runRoot, name);
  if (Buffer.byteLength(pipe) > pipeBytesMax) {
    throw new EphemeralError(
      "bad_command",
      `Cannot start broker: the socket's path has ${Buffer.byteLength(pipe)} bytes, limit is ${pipeBytesMax}: ${pipe}; set XDG_RUNTIME_DIR or TMPDIR to a shorter one`,
    );
  }
  let held: { readonly holder: ProcessIdentity | undefined } | undefined;
  for (let round = 0; round < claimRoundsMax; round++) {
    makePrivate(runRoot, { inside: "must exist" });
    makePrivate(path, { inside: "may vanish" });
    const lock = openLock(lockOf(path), { create: true });
    if (lock === undefined) continue;
    if (tryFlock(lock)) {
      if (isStillAt(lock, lockOf(path))) return claimed({ path, pipe, claim: lock });
      held = undefined;
      fs.closeSync(lock);
      continue;
    }
    held = { holder: readHolder(lock) };
    fs.closeSync(lock);
    if (held.holder !== undefined && isRunning(held.holder)) break;
    Bun.sleepSync(sweeperPauseMs);
  }
  if (held !== undefined) throw nameTaken({ name, path, holder: held.holder });
  throw new EphemeralError("internal", `Cannot start broker: ${path} was removed ${claimRoundsMax} times meanwhile`);
}

function claimed({ path, pipe, claim }: { path: string; pipe: string; claim: number }): RunDirectory {
  fs.rmSync(pipe, { force: true });
  writeHolder(claim);
  let isHeld = true;
  return {
    path,
    pipe,
    claim,
    release() {
      if (!isHeld) return;
      isHeld = false;
      // Should somebody have removed it by hand, what stands there now is another's.
      if (isStillAt(claim, lockOf(path))) removeRunDirectory(path);
      // The last broker of this user takes the run root along; one that is starting makes it again.
      removeEmptyDirectory(dirname(path));
      fs.closeSync(claim);
    },
  };
}

function nameTaken(by: { name: string; path: string; holder: ProcessIdentity | undefined }): EphemeralError {
  const { name, path, holder } = by;
  const isEnding = holder !== undefined && !isRunning(holder);
  const details: NameTaken = { name, pid: isEnding ? undefined : holder?.pid, isEnding };
  const whose = isEnding
    ? "is that of a broker that was killed, and what it ran is still being ended"
    : `is held by another one${holder === undefined ? "" : `, process ${holder.pid}`}`;
  return new EphemeralError("unavailable", `Cannot start broker: the name "${name}" ${whose} (${path})`, { details });
}

/** Removes what brokers that were killed left behind in `runRoot`: directories whose lock is free. Touches nothing else, and
 *  nothing at all in a root that is not ours alone. Returns how many it removed. */
export function sweepRunDirectories(runRoot: string): number {
  if (wrongWith(runRoot) !== undefined) return 0;
  let swept = 0;
  for (const entry of readDirectory(runRoot)) {
    if (entry.isDirectory() && sweep(directoryOfName(runRoot, entry.name))) swept++;
  }
  return swept;
}

function sweep(path: string): boolean {
  const lock = openLockIfOurs(path);
  // What stands there is no lock of ours.
  if (lock === "foreign") return false;
  // A directory without a lock is one being made, which its maker will make again, or one half removed.
  if (lock === undefined) return removeEmptyDirectory(path);
  const isFree = tryFlock(lock) && isStillAt(lock, lockOf(path));
  const isRemoved = isFree && removeRunDirectory(path);
  fs.closeSync(lock);
  return isRemoved;
}

/** The directories of `runRoot` that are claimed now, in the order of their names; none in a root that is not ours alone. */
export function claimedDirectories(runRoot: string): readonly ClaimedDirectory[] {
  if (wrongWith(runRoot) !== undefined) return [];
  const names = readDirectory(runRoot).map((entry) => entry.name);
  return names.toSorted().flatMap((name) => claimOf(runRoot, name) ?? []);
}

function claimOf(runRoot: string, name: string): ClaimedDirectory | undefined {
  const lock = openLockIfOurs(directoryOfName(runRoot, name));
  if (lock === undefined || lock === "foreign") return undefined;
  const isFree = tryFlock(lock);
  const holder = readHolder(lock);
  const sinceMs = Math.floor(fs.fstatSync(lock).mtimeMs);
  fs.closeSync(lock);
  return isFree ? undefined : { name, pipe: pipeOfName(runRoot, name), holder, sinceMs };
}

/** Something in the run root that no process has claimed. */
export interface Leftover {
  readonly name: string;
  /** Whether `sweepRunDirectories` would remove it. */
  readonly isSwept: boolean;
}

/** What brokers that were killed, or somebody else, left in `runRoot`. Removes nothing. */
export function leftoversIn(runRoot: string): readonly Leftover[] {
  const claimed = new Set(claimedDirectories(runRoot).map(({ name }) => name));
  return readDirectory(runRoot)
    .filter(({ name }) => !claimed.has(name))
    .map((entry) => ({ name: entry.name, isSwept: entry.isDirectory() && holdsOursAlone(`${runRoot}/${entry.name}`) }));
}

/** Without a lock it is swept only when it is empty. */
function holdsOursAlone(path: string): boolean {
  const names = readDirectory(path).map(({ name }) => name);
  const lock = openLockIfOurs(path);
  if (lock === "foreign") return false;
  if (lock === undefined) return names.length === 0;
  fs.closeSync(lock);
  return names.every((name) => name === "lock" || name === "sock");
}

function openLockIfOurs(path: string): number | undefined | "foreign" {
  try {
    return openLock(lockOf(path), { create: false });
  } catch {
    return "foreign";
  }
}

function lockOf(path: string): string {
  return `${path}/lock`;
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
  fs.rmSync(`${path}/sock`, { force: true });
  fs.rmSync(lockOf(path), { force: true });
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
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (inside === "may vanish" && code === "ENOENT") return;
    if (code !== "EEXIST") {
      const reason = error instanceof Error ? error.message : String(error);
      throw new EphemeralError("unavailable", `Cannot start broker: cannot make the directory ${path}: ${reason}`);
    }
  }
  const wrong = wrongWith(path);
  if (wrong !== undefined) {
    throw new EphemeralError("forbidden", `Cannot start broker: ${path} must be private to this user, but ${wrong}`);
  }
}

/** Why `path` is no directory that is ours alone; undefined when it is one, or is not there. */
export function wrongWith(path: string): string | undefined {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (found.isSymbolicLink()) return "it is a symbolic link";
  if (!found.isDirectory()) return "it is not a directory";
  if (found.uid !== process.getuid?.()) return `it belongs to uid ${found.uid}`;
  const mode = found.mode & 0o777;
  return mode === 0o700 ? undefined : `its mode is ${mode.toString(8)}, wanted 700`;
}
