/**
 * A command of somebody else's from its start to its end: started, told signals, told to the reaper, and its ending exact.
 * Knows neither brokers nor turns.
 */
import { constants } from "node:os";
import { Child, type ChildOptions, type Ending } from "./child.ts";
import { cannotRunStatus } from "./executable.ts";
import type { SignalInbox, SignalName } from "./own-signals.ts";
import type { Reaper } from "./reaper.ts";
import { reasonOf, say } from "./say.ts";
import { supervise } from "./supervision.ts";
import { isInForeground } from "./terminal.ts";

export interface Wrapping extends ChildOptions {
  readonly inbox: SignalInbox;
  /** How long it may take to end after SIGTERM or SIGHUP before it is killed, in milliseconds. */
  readonly graceMs: number;
  readonly reaper: Reaper | undefined;
}

/** Runs the command to its end; 126 with one line on stderr when the kernel refuses to run it. */
export async function runWrapped({ inbox, graceMs, reaper, ...options }: Wrapping): Promise<Ending> {
  let child: Child;
  reaper?.expect();
  try {
    child = new Child(options);
  } catch (error) {
    reaper?.forget();
    say(`Cannot run "${options.command[0]}": ${spawnFailure(error)}`);
    return { kind: "exited", status: cannotRunStatus };
  }
  reaper?.watch(child.pid);
  const ending = await supervise(child, { inbox, graceMs, isInForeground });
  reaper?.forget();
  return ending;
}

/** Those of `signals` that were not ignored from the start. */
export function heeded(signals: readonly SignalName[], ignored: ReadonlySet<number>): readonly SignalName[] {
  return signals.filter((signal) => !ignored.has(constants.signals[signal]));
}

/** The file was there and executable: when the kernel misses something, it is what the script's first line names. */
function spawnFailure(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" ? "the interpreter its first line names does not exist" : `${code ?? reasonOf(error)}`;
}
