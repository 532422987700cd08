/**
 * The command beside the broker: started in our own process group and session with our streams, told
 * signals, killed with its descendants, and its ending told exactly. Decides nothing.
 */
import { killRun } from "./descendants.ts";
import type { RunMark } from "./run-mark.ts";

/** How a process ended: by itself, or killed by the signal of that number. */
export type Ending =
  | { readonly kind: "exited"; readonly status: number }
  | { readonly kind: "killed"; readonly signal: number };

export interface ChildOptions {
  /** The program, as `findExecutable` found it. */
  readonly path: string;
  /** The command as it was typed, its own name first. */
  readonly command: readonly string[];
  /** The whole environment of the child but for our marks. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What its processes are known by; names the socket. */
  readonly mark: RunMark;
  /** Numbers of the signals the child is to ignore from the start. */
  readonly ignoredSignals: ReadonlySet<number>;
  /** The descriptors that take its stdout and its stderr; ours unless told. */
  readonly stdout?: number;
  readonly stderr?: number;
  /** The descriptor it reads, or nothing to read; our stdin unless told. */
  readonly stdin?: number | "ignore";
}

export class Child {
  /** Settles when the child itself has ended, whoever else still holds its output. */
  readonly ended: Promise<Ending>;
  readonly pid: number;
  readonly #process: Bun.Subprocess;
  readonly #mark: string;

  /** Starts the command.
   *  @throws {Error} with the errno's name as `code` when the kernel refuses to execute it */
  constructor(options: ChildOptions) {
    this.#process = spawn(options);
    this.#mark = options.mark.entry;
    this.pid = this.#process.pid;
    this.ended = this.#process.exited.then((status) =>
      // The runtime has no names for real-time signals, but the status is always 128 + the number.
      this.#process.exitCode === null ? { kind: "killed", signal: status - 128 } : { kind: "exited", status },
    );
  }

  /** Passes a signal on. A child that has ended takes none. */
  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Kills the child and everything that descends from it. */
  kill(): void {
    killRun({ child: this.pid, mark: this.#mark });
  }
}

function spawn(options: ChildOptions): Bun.Subprocess {
  const settings = {
    stdin: options.stdin ?? "inherit",
    stdout: options.stdout ?? "inherit",
    stderr: options.stderr ?? "inherit",
    env: { ...options.environment, ...options.mark.environment },
  } as const;
  const [name = options.path, ...rest] = options.command;
  if (options.ignoredSignals.size > 0) {
    // The runtime gives a child every signal's default back; only a shell can hand "ignored" on, and it runs scripts too.
    const script = `trap '' ${[...options.ignoredSignals].join(" ")}; exec "$@"`;
    return Bun.spawn(["/bin/sh", "-c", script, name, options.path, ...rest], settings);
  }
  try {
    return Bun.spawn([options.path, ...rest], { ...settings, argv0: name });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOEXEC")) throw error;
    // A script without a #! line: every shell runs it itself.
    return Bun.spawn(["/bin/sh", options.path, ...rest], settings);
  }
}
