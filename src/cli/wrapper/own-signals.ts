/**
 * Signals and this process: which ones it was told to ignore before it started, an inbox for those it passes on, and how
 * to die of one so that the parent sees it. Knows nothing of the child. The C library is asked where the runtime cannot.
 */
import { ptr } from "bun:ffi";
import { constants } from "node:os";
import { openLibc } from "../../broker/pipe/libc.ts";

export type SignalName = NodeJS.Signals;

const numbers = constants.signals;
/** The runtime ignores these itself, always: what they were before it started cannot be told any more. */
const ignoredByRuntime: ReadonlySet<number> = new Set([numbers.SIGPIPE, numbers.SIGXFSZ]);
const ordinarySignalMax = 31;
const ignored = 1n;
/** Dying of these writes the memory of the process to disk where core files are on: a secret's too. */
const coreResource = 4;
const prctlDumpable = 4;

/** Numbers of the signals that were ignored when this process started, as `nohup` and `command &` of a script do.
 *  To be asked before any handler is installed. */
export function signalsIgnoredAtStart(): ReadonlySet<number> {
  const { sigaction } = openLibc({ sigaction: { args: ["i32", "ptr", "ptr"], returns: "i32" } });
  const found = new Set<number>();
  // The handler is the first word of `struct sigaction` on Linux and macOS; the struct has at most 152 bytes.
  const action = new BigUint64Array(32);
  for (let signal = 1; signal <= ordinarySignalMax; signal++) {
    if (ignoredByRuntime.has(signal)) continue;
    if (sigaction(signal, null, ptr(action)) === 0 && action[0] === ignored) found.add(signal);
  }
  return found;
}

/** Gives `signal` its default action back. An ignored SIGCHLD would hide how the child ended. */
export function restoreDefault(signal: number): void {
  openLibc({ signal: { args: ["i32", "ptr"], returns: "ptr" } }).signal(signal, null);
}

/** Ends this process by `signal`, so that its parent sees WIFSIGNALED; no core file, nothing printed. Where the kernel
 *  lets nobody die of a signal (the first process of a container) the exit status is 128 + `signal`, as a shell says it. */
export function endBySignal(signal: number): never {
  const { raise, setrlimit } = openLibc({
    raise: { args: ["i32"], returns: "i32" },
    setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  });
  setrlimit(coreResource, ptr(new BigUint64Array(2)));
  if (process.platform === "linux") {
    // A core_pattern that names a program is not bound by the limit.
    const prctl = openLibc({ prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" } }).prctl;
    prctl(prctlDumpable, 0, 0, 0, 0);
  }
  restoreDefault(signal);
  raise(signal);
  process.exit(128 + signal);
}

/** Receives signals from its making on, and keeps those that come before there is somebody to hand them to. */
export class SignalInbox {
  /** Resolves to the first that comes before there is somebody to hand it to. */
  readonly first: Promise<SignalName>;
  readonly #first = Promise.withResolvers<SignalName>();
  #early: SignalName[] = [];
  #receive: ((signal: SignalName) => void) | undefined;

  constructor(signals: readonly SignalName[]) {
    this.first = this.#first.promise;
    for (const signal of signals) process.on(signal, () => this.deliver(signal));
  }

  /** Hands every signal to `receive` from now on, and returns those that came before. */
  open(receive: (signal: SignalName) => void): readonly SignalName[] {
    this.#receive = receive;
    const early = this.#early;
    this.#early = [];
    return early;
  }

  /** Those that came and were handed to nobody yet. */
  get early(): readonly SignalName[] {
    return this.#early;
  }

  /** Takes `signal` as if it had been sent to this process. */
  deliver(signal: SignalName): void {
    if (this.#receive !== undefined) {
      this.#receive(signal);
      return;
    }
    this.#early.push(signal);
    this.#first.resolve(signal);
  }
}
