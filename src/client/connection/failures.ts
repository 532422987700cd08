/**
 * How a call fails for want of an answer: what it was, why it failed, and what may have happened all the same; and with a
 * stack that names the caller. Knows nothing of connections.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import type { Call, CallStart } from "./call.ts";

/** Why calls fail, in words that follow "Cannot get: ". */
export type Reason = Pick<EphemeralError, "code" | "message"> & Partial<Pick<EphemeralError, "details">>;

/** `mayHaveRun`: the broker may have run it, and running it matters. */
export function refused(reason: Reason, { action, mayHaveRun }: Pick<Call, "action" | "mayHaveRun">): EphemeralError {
  const details = mayHaveRun ? { ...reason.details, outcome: "unknown" } : reason.details;
  return new EphemeralError(reason.code, `Cannot ${action}: ${reason.message}`, { details });
}

/** Why a call fails whose time is over: the broker did not answer, or there is none. */
export function overdue(
  { endpoint, timeoutMs }: { readonly endpoint: string; readonly timeoutMs: number },
  link: { readonly isWritable: boolean; readonly lastLoss: Error | undefined },
): Reason {
  if (link.isWritable) {
    return { code: "timeout", message: `the broker at ${endpoint} gave no answer in ${timeoutMs} ms` };
  }
  const reason = link.lastLoss?.message ?? "it does not answer";
  const message = `no broker at ${endpoint} within ${timeoutMs} ms (${reason}). ${howToStart(endpoint)}`;
  return { code: "unavailable", message };
}

/** Browsers do not tell a page that its origin is refused. */
function howToStart(endpoint: string): string {
  if (!/^wss?:/.test(endpoint)) return "Start one: ephemeral start -- <command>";
  return "Start one: ephemeral start --port 0 -- <command>; pages of another origin want --allow-origin ORIGIN";
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
