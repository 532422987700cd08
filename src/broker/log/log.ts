/**
 * What a broker tells of itself while it runs: events with flat fields, at four levels, handed to whoever was handed in.
 * Secrets, tokens, proofs, values and data are told at no level; keys and names only at `debug`.
 * Knows nothing of formats, files or libraries: `logtape-log.ts` does.
 */
import type { CommandName } from "../../protocol/commands.ts";

/** From the least to the most urgent. */
export const logLevels = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Every event there is. */
export type LogEvent =
  | "broker started"
  | "broker draining"
  | "broker stopped"
  | "heartbeat"
  | "setting has no effect"
  | "connection opened"
  | "connection refused"
  | "connection closed"
  | "session begun"
  | "session resumed"
  | "session lingering"
  | "session ended"
  | "command waits"
  | "command done"
  | "command refused"
  | "request answered"
  | "authentication failed"
  | "reader is behind"
  | "internal error"
  | "log lines lost";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  /** Whether `debug` is told at all, so that nobody gathers what nobody reads. */
  readonly isDebugging: boolean;
  debug(event: LogEvent, fields: LogFields): void;
  info(event: LogEvent, fields: LogFields): void;
  warning(event: LogEvent, fields: LogFields): void;
  error(event: LogEvent, fields: LogFields): void;
  /** Microseconds since some instant, to tell how long something took. */
  nowUs(): number;
  /** Resolves when all that was told has been written, or could not be in time. */
  flush(): Promise<void>;
}

/** Tells of a bug of ours, with its stack. Without a log that goes to stderr: it must not pass unseen. */
export function reportInternal(
  log: Log | undefined,
  { error, action }: { readonly error: unknown; readonly action: CommandName | undefined },
): void {
  const fields = { action, ...describeError(error) };
  if (log !== undefined) log.error("internal error", fields);
  else console.error(`ephemeral: internal error in ${action ?? "a command"}: ${fields.problem}\n${fields.stack}`);
}

const ownInvariant = "Invariant broken: ";

/** An error's name and where it was thrown. Its message only if it is one of our invariants: the runtime's messages quote
 *  what they choke on, which may be anybody's value. */
function describeError(error: unknown): { readonly problem: string; readonly stack: string } {
  if (!(error instanceof Error)) return { problem: `a thrown ${typeof error}`, stack: "" };
  const { name, message, stack = "" } = error;
  const problem = message.startsWith(ownInvariant) ? message : name;
  const frames = stack.slice(stack.indexOf(message) + message.length).split("\n");
  return { problem, stack: frames.filter((line) => /^\s+at /.test(line)).join("\n") };
}
