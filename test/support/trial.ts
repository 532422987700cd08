/**
 * One run of `ephemeral start` in a private directory that is its runtime directory, its working directory and the mark
 * by which every process of it is found again. What a test leaves running is killed at the end of its scope.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";
import { processesOf, readProc, until } from "./processes.ts";
import type { Program } from "./programs.ts";

export interface TrialOptions {
  /** Arguments of the program. */
  readonly args: readonly string[];
  /** Another program that runs ours: `nohup`, a shell. */
  readonly through?: readonly string[];
  readonly stdin?: Uint8Array | "pipe";
  /** Runs in a pseudo-terminal, as leader of its session; `stdout` then stays empty. */
  readonly inTerminal?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** Shares that trial's directory, and so its brokers; what it leaves running is killed at the end of that one's scope. */
  readonly beside?: Trial;
}

/** How a process ended, as its parent sees it: `killed` is WIFSIGNALED, and `status` then 128 + the signal. */
export interface SeenEnding {
  readonly status: number;
  readonly killed: boolean;
}

export class Trial implements AsyncDisposable {
  readonly #directory: Disposable & { readonly path: string };
  readonly #isGuest: boolean;
  readonly #process: Bun.Subprocess;
  readonly #out: Uint8Array[] = [];
  readonly #err: Uint8Array[] = [];
  readonly #streams: Promise<unknown>;

  constructor(program: Program, options: TrialOptions) {
    const shared = options.beside?.directory;
    this.#isGuest = shared !== undefined;
    this.#directory = shared === undefined ? temporaryDirectory() : { path: shared, [Symbol.dispose]: () => {} };
    const command = [...(options.through ?? []), ...program.argv, ...options.args];
    const settings = {
      cwd: this.directory,
      env: { ...process.env, ...options.environment, XDG_RUNTIME_DIR: this.directory, EPHEMERAL_PIPE: undefined },
    };
    if (options.inTerminal === true) {
      const terminal = { data: (_: unknown, bytes: Uint8Array) => void this.#out.push(Uint8Array.from(bytes)) };
      this.#process = Bun.spawn(command, { ...settings, terminal });
      this.#streams = Promise.resolve();
    } else {
      const child = Bun.spawn(command, { ...settings, stdin: options.stdin ?? null, stdout: "pipe", stderr: "pipe" });
      this.#streams = Promise.all([collect(child.stdout, this.#out), collect(child.stderr, this.#err)]);
      this.#process = child;
    }
  }

  /** Ends its stdin. */
  endStdin(): void {
    const { stdin } = this.#process;
    if (stdin !== undefined && typeof stdin !== "number") void stdin.end();
  }

  /** The private directory. */
  get directory(): string {
    return this.#directory.path;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** What has been said on stdout, or in the terminal, so far. */
  get stdout(): string {
    return Buffer.concat(this.#out).toString();
  }

  get stderr(): string {
    return Buffer.concat(this.#err).toString();
  }

  get stdoutBytes(): Buffer {
    return Buffer.concat(this.#out);
  }

  get stderrBytes(): Buffer {
    return Buffer.concat(this.#err);
  }

  /** Resolves when stdout, or the terminal, has shown `text`. */
  async said(text: string): Promise<void> {
    await until(() => this.stdout.includes(text));
  }

  /** The same for stderr. */
  async complained(text: string): Promise<void> {
    await until(() => this.stderr.includes(text));
  }

  /** Types into the terminal or into a piped stdin. */
  type(text: string): void {
    const { terminal, stdin } = this.#process;
    if (terminal !== undefined) terminal.write(text);
    else if (stdin !== undefined && typeof stdin !== "number") void stdin.write(text);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  async ending(): Promise<SeenEnding> {
    const status = await this.#process.exited;
    return { status, killed: this.#process.signalCode !== null };
  }

  /** Resolves when stdout and stderr have been closed by everybody who held them. */
  async closedStreams(): Promise<void> {
    await this.#streams;
  }

  /** Paths of the run directories there are, `lock` and `sock` included. */
  runDirectories(): readonly string[] {
    try {
      return readdirSync(join(this.directory, "ephemeral"), { recursive: true, encoding: "utf8" });
    } catch {
      return [];
    }
  }

  /** Every live process of the trial, the reaper included. */
  processes(): readonly number[] {
    return processesOf(this.directory);
  }

  reapers(): readonly number[] {
    return this.processes().filter((pid) => readProc(pid, "cmdline").includes("\0ephemeral-reaper\0"));
  }

  /** The process whose command line is `words`. */
  find(words: readonly string[]): number | undefined {
    return this.processes().find((pid) => readProc(pid, "cmdline") === `${words.join("\0")}\0`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isGuest) this.#process.kill("SIGKILL");
    for (const pid of this.#isGuest ? [] : this.processes()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
    }
    await this.#process.exited;
    this.#process.terminal?.close();
    this.#directory[Symbol.dispose]();
  }
}

async function collect(stream: ReadableStream<Uint8Array>, into: Uint8Array[]): Promise<void> {
  for await (const chunk of stream) into.push(chunk);
}
