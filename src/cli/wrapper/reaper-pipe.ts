/**
 * The pipe by which a reaper is told what it is to do: line by line, each whole and in its order, and nobody waits here for a
 * reaper that does not read. What the pipe has no room for is kept until it has. Knows nothing of what the lines say.
 */
import { ptr } from "bun:ffi";
import { closeSync, writeSync } from "node:fs";
import { openLibc } from "../../broker/pipe/libc.ts";
import { EphemeralError } from "../../protocol/errors.ts";

/** O_CLOEXEC, F_SETFL and O_NONBLOCK on Linux. */
const closeOnExec = 0o2000000;
const setStatusFlags = 4;
const nonBlocking = 0o4000;

/** So often a full pipe is looked at again. */
const tryAgainMs = 5;

interface Unsent {
  bytes: Uint8Array;
  readonly resolve: (isTold: boolean) => void;
}

export class ReaperPipe {
  /** The reader's, which is to be closed here once it has its own. */
  readonly readEnd: number;
  /** Ours alone: the kernel closes it whatever ends us. */
  readonly #writeEnd: number;
  readonly #unsent: Unsent[] = [];

  /** @throws {EphemeralError} `internal` when no pipe can be opened */
  constructor() {
    [this.readEnd, this.#writeEnd] = openPipe();
  }

  /** True when the reader will find `line`, whatever becomes of us; false when there is no reader any more. A promise while there
   *  is no room for it. */
  tell(line: string): boolean | Promise<boolean> {
    const bytes = Buffer.from(`${line}\n`);
    const left = this.#unsent.length === 0 ? this.#write(bytes) : bytes;
    if (left === undefined) return false;
    if (left.length === 0) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    if (this.#unsent.push({ bytes: left, resolve }) === 1) this.#waitForRoom();
    return promise;
  }

  /** What was not told yet never is: the descriptor may be another file's at once. */
  close(): void {
    closeSync(this.#writeEnd);
    this.#giveUp();
  }

  #giveUp(): void {
    for (const { resolve } of this.#unsent.splice(0)) resolve(false);
  }

  readonly #tryAgain = (): void => {
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const left = this.#write(first.bytes);
      if (left === undefined) {
        this.#giveUp();
      } else if (left.length === 0) {
        this.#unsent.shift();
        first.resolve(true);
      } else {
        first.bytes = left;
        this.#waitForRoom();
        return;
      }
    }
  };

  #waitForRoom(): void {
    setTimeout(this.#tryAgain, tryAgainMs).unref();
  }

  /** What of `bytes` there is no room for; undefined when nobody reads any more. */
  #write(bytes: Uint8Array): Uint8Array | undefined {
    let left = bytes;
    try {
      while (left.length > 0) left = left.subarray(writeSync(this.#writeEnd, left));
      return left;
    } catch (error) {
      return error instanceof Error && "code" in error && error.code === "EAGAIN" ? left : undefined;
    }
  }
}

/** Read end and write end of a pipe no child inherits. */
function openPipe(): [number, number] {
  const ends = new Int32Array(2);
  const status = process.platform === "linux" ? openLinuxPipe(ends) : openAnyPipe(ends);
  const [readEnd, writeEnd] = ends;
  if (status !== 0 || readEnd === undefined || writeEnd === undefined) {
    throw new EphemeralError("internal", "Cannot start reaper: no pipe can be opened");
  }
  return [readEnd, writeEnd];
}

/** Only the write end does not block: a shell takes a read that would for the end of its input. */
function openLinuxPipe(ends: Int32Array): number {
  const { pipe2, fcntl } = openLibc({
    pipe2: { args: ["ptr", "i32"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  });
  return pipe2(ptr(ends), closeOnExec) || fcntl(ends[1] ?? -1, setStatusFlags, nonBlocking);
}

/** macOS has no pipe2; there the runtime closes all but the three streams in every child, and fcntl takes its flags where only a
 *  C compiler puts them, so that the write end blocks. */
function openAnyPipe(ends: Int32Array): number {
  return openLibc({ pipe: { args: ["ptr"], returns: "i32" } }).pipe(ptr(ends));
}
