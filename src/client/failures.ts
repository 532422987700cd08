/**
 * How a call fails for want of an answer, in words: who did not answer, for how long, and what may have happened all the
 * same; and with a stack that names the caller. Knows nothing of connections.
 */
import type { CommandName } from "../protocol/commands.ts";
import { EphemeralError } from "../protocol/errors.ts";
import type { CallStart } from "./call.ts";

/** What may have been done, and nobody can tell. */
const unknown = { outcome: "unknown" };

export interface Attempt {
  readonly action: CommandName;
  readonly endpoint: string;
  readonly timeoutMs: number;
  readonly lastLoss: Error | undefined;
  /** Whether the broker may have run it, and running it matters. */
  readonly isUnknown: boolean;
}

export function cutOff({ action, endpoint, lastLoss }: Attempt): EphemeralError {
  const text = `Cannot ${action}: the connection to ${endpoint} was cut before the answer; whether it took effect is unknown`;
  return new EphemeralError("unavailable", `${text} (${lastLoss?.message})`, { details: unknown });
}

export function unanswered({ action, endpoint, timeoutMs, isUnknown }: Attempt): EphemeralError {
  const text = `Cannot ${action}: the broker at ${endpoint} gave no answer in ${timeoutMs} ms`;
  return new EphemeralError("timeout", text, { details: isUnknown ? unknown : undefined });
}

export function unconnected({ action, endpoint, timeoutMs, lastLoss, isUnknown }: Attempt): EphemeralError {
  const reason = lastLoss?.message ?? "it does not answer";
  const text = `Cannot ${action}: no broker at ${endpoint} within ${timeoutMs} ms (${reason}). ${howToStart(endpoint)}`;
  return new EphemeralError("unavailable", text, { details: isUnknown ? unknown : undefined });
}

/** Browsers do not tell a page that its origin is refused. */
function howToStart(endpoint: string): string {
  if (!/^wss?:/.test(endpoint)) return "Start one: ephemeral start -- <command>";
  return "Start one: ephemeral start --port 0 -- <command>; pages of another origin want --allow-origin ORIGIN";
}

export function refused(refusal: EphemeralError, { action, isUnknown }: Attempt): EphemeralError {
  const details = isUnknown ? { ...refusal.details, ...unknown } : refusal.details;
  return new EphemeralError(refusal.code, `Cannot ${action}: ${refusal.message}`, { details });
}

/** Rejects a caller's promise so that the stack of a failure names who awaits it, where the runtime can tell (V8 can): the
 *  frames it was made in, below a socket, say nothing to anybody. */
export function failingAtCaller<Result>({ resolve, reject }: Ends<Result>): (reason: unknown) => void {
  return (reason) => (reason instanceof EphemeralError ? resolve(thrownLater(reason)) : reject(reason));
}

type Ends<Result> = Pick<CallStart<Result>, "resolve" | "reject">;

async function thrownLater(error: EphemeralError): Promise<never> {
  // Two turns: then the caller's promise follows this one, and the stack can be read off that.
  await undefined;
  await undefined;
  const { stack } = error;
  Error.captureStackTrace?.(error, thrownLater);
  // Runners with source maps of their own, as Jest, leave out the "async" that V8 writes before who awaits.
  if (stack && !/\n {4}at (?!process\.)/.test(error.stack ?? "")) error.stack = stack;
  throw error;
}
