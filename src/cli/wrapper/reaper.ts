/**
 * Who cleans up after our own SIGKILL, and runs what is registered for the end of the run: a small /bin/sh in a session of its
 * own, reading a pipe only we write to. End of file without `bye` means that we are gone. It is told nothing it has to trust
 * but pids, our directory and hooks quoted by us, and it inherits the claim on that directory: the name is nobody else's
 * before it has removed it.
 */

import { closeSync } from "node:fs";
import type { PortFile } from "./port-file.ts";
import { ReaperPipe } from "./reaper-pipe.ts";
import { reaperScript } from "./reaper-script.ts";
import { reasonOf, say } from "./say.ts";

const stderr = 2;
/** A reaper that is told to run hooks begins at once. One that does not is waited for, and its user should know. */
const beginMsMax = 3000;
const notBegun = "Waiting for the shell that runs the commands for the end of the run: it is stopped or hangs";

export interface ReaperOptions {
  /** Our broker's run directory, whose socket, lock and then itself are removed, and nothing else but the port file; and the descriptor that
   *  holds the claim on it. Undefined when the broker is not ours. */
  readonly own?: { readonly directory: string; readonly claim: number; readonly portFile: PortFile | undefined };
  /** The entry that the child's environment has from us. */
  readonly mark: string;
  /** Time between telling the run's processes to end and killing them. */
  readonly graceMs: number;
  /** Where to find sleep, grep, tr, rm and rmdir. */
  readonly searchPath: string | undefined;
}

/** How far a reaper came with the hooks it was told. */
export interface HookProgress {
  readonly begun: number;
  /** False where it was killed. */
  readonly isDone: boolean;
}

export class Reaper {
  readonly #pipe = new ReaperPipe();
  /** What it answers. */
  readonly #answers: ReadableStream<Uint8Array>;

  /** Starts it without waiting for it; it has no hold on our folder or children, and of our streams on stderr alone, where a
   *  broker of ours gives it something to say there.
   *  @throws {Error} when there is no /bin/sh to run it */
  constructor({ own, mark, graceMs, searchPath = "/usr/bin:/bin" }: ReaperOptions) {
    const { readEnd } = this.#pipe;
    try {
      const ticks = String(Math.ceil(graceMs / 100));
      const portFile = [own?.portFile?.path ?? "", own?.portFile?.text ?? ""];
      const told = [own?.directory ?? "", mark, ticks, ...portFile];
      const reaper = Bun.spawn(["/bin/sh", "-c", reaperScript, "ephemeral-reaper", ...told], {
        stdio: [readEnd, "pipe", null, own?.claim ?? null, own === undefined ? null : stderr],
        detached: true,
        cwd: "/",
        env: { PATH: searchPath },
      });
      reaper.unref();
      this.#answers = reaper.stdout;
    } catch (error) {
      this.#pipe.close();
      throw error;
    } finally {
      closeSync(readEnd);
    }
  }

  /** A process with our mark is about to be started, and is to end if we are killed before we can say its pid: only one that
   *  has taken the mark out of its environment by then is not found. */
  expect(): void {
    void this.#pipe.tell("expect");
  }

  /** From now on process `pid` and its descendants are to end if we are killed. */
  watch(pid: number): void {
    void this.#pipe.tell(`kill ${pid}`);
  }

  /** The process has ended, or never was: its pid may become another's, and what it left running is left alone. */
  forget(): void {
    void this.#pipe.tell("forget");
  }

  /** Has it keep a hook, as `hookLine` writes it. False when it does not live: what it was told, it does whatever becomes of us. A
   *  promise while it does not read. */
  keep(hookLine: string): boolean | Promise<boolean> {
    return this.#pipe.tell(`hook ${hookLine}`);
  }

  /** Has it run the hooks it keeps, the last one first. Resolves when it has, or was killed. */
  async runHooks(): Promise<HookProgress> {
    void this.#pipe.tell("end");
    const late = setTimeout(() => say(notBegun), beginMsMax);
    let begun = 0;
    for await (const answer of linesOf(this.#answers)) {
      clearTimeout(late);
      if (answer === "done") return { begun, isDone: true };
      begun += 1;
    }
    clearTimeout(late);
    return { begun, isDone: false };
  }

  /** Nothing is left to clean up; the reaper ends at once. */
  dismiss(): void {
    void this.#pipe.tell("bye");
  }
}

/** A reaper, or none with one line on stderr where there is no /bin/sh. */
export function startReaper(options: ReaperOptions): Reaper | undefined {
  try {
    return new Reaper(options);
  } catch (error) {
    say(`Nothing will clean up if this process is killed by SIGKILL: cannot run /bin/sh: ${reasonOf(error)}`);
    return undefined;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}
