/**
 * How a failure leaves the command line: its exit status and the one line that says what to do about it.
 * Knows nothing of what the command did.
 */
import { EphemeralError, type ErrorCode, type ErrorExtras } from "../protocol/errors.ts";

/** Exit statuses, after sysexits.h where it has one. */
export const exitStatuses = {
  /** The broker said no: no such key, already taken, another's lease. */
  refused: 1,
  usage: 64,
  unavailable: 69,
  internal: 70,
  timedOut: 75,
  authFailed: 77,
} as const;

/** A failure that brings its own hint along. */
export class HintedError extends EphemeralError {
  readonly hint: string;

  constructor(code: ErrorCode, message: string, extras: ErrorExtras & { readonly hint: string }) {
    super(code, message, extras);
    this.hint = extras.hint;
  }
}

/** What was typed, or found in the environment, cannot be meant: status 64. */
export function usageError(message: string, hint: string): HintedError {
  return new HintedError("bad_command", message, { hint });
}

const statusOfCode: Partial<Record<ErrorCode, number>> = {
  bad_command: exitStatuses.usage,
  invalid_ttl: exitStatuses.usage,
  ttl_required: exitStatuses.usage,
  key_and_worker_required: exitStatuses.usage,
  worker_required: exitStatuses.usage,
  unknown_action: exitStatuses.unavailable,
  invalid_json: exitStatuses.internal,
  timeout: exitStatuses.timedOut,
  auth_failed: exitStatuses.authFailed,
  forbidden: exitStatuses.authFailed,
  draining: exitStatuses.unavailable,
  unavailable: exitStatuses.unavailable,
  too_many_connections: exitStatuses.unavailable,
  internal: exitStatuses.internal,
};

/** Anything that is no error of ours is a fault of the program's: 70. */
export function exitStatusOf(error: unknown): number {
  if (!(error instanceof EphemeralError)) return exitStatuses.internal;
  return statusOfCode[error.code] ?? exitStatuses.refused;
}

export const howToStart = "Start one with: ephemeral start -- your-command (the command finds it by EPHEMERAL_PIPE)";

const hintOfCode: Partial<Record<ErrorCode, string>> = {
  not_found: "See what there is with: ephemeral list, ephemeral holders or ephemeral ps",
  expired: "Its time to live is over; set it again, or give it a longer --ttl",
  exists: "Leave out --if absent to replace it",
  version_mismatch: "Somebody changed it meanwhile; read it again with: ephemeral get KEY --json",
  not_a_number: "Store a number with: ephemeral set KEY 1 --json-value",
  timeout: "Wait longer with --wait or --timeout; ephemeral ps shows who holds what",
  pool_exhausted: "Wait for one with --wait 30s; ephemeral ps shows who holds them",
  size_mismatch:
    "Ask for what it has, as ephemeral pool show NAME tells it; who makes it by using it gives the same size",
  deadlock: "Take both at once, or everywhere in the same order; EPHEMERAL_OWNER says who counts as one",
  rate_limited: "Wait for your turn with --wait 30s, or as long as it takes without --wait",
  barrier_broken: "Let all come once more; ephemeral ps shows who is there",
  unknown_pool: "Define it with: ephemeral pool define POOL ITEM…, or wait for somebody who does, with --wait",
  not_owner: "ephemeral ps shows who holds it",
  too_large: "The broker's bounds are flags of ephemeral start: --value-bytes-max, --frame-bytes-max",
  max_items: "The broker's bound is a flag of ephemeral start: --items-max",
  too_many_names: "The broker's bound is a flag of ephemeral start: --names-max",
  ttl_required: "Give a time to live: --ttl 30m",
  invalid_ttl: "Give a time to live such as --ttl 30m, at most 30d",
  auth_failed: "Give the broker's secret in EPHEMERAL_SECRET (or CLIENT_SECRET, which wins)",
  draining: "The broker's run is ending",
  no_responder: "Serve it with: ephemeral serve METHOD -- command, or wait for somebody with --wait 30s",
  responder_failed: "ephemeral ps shows who serves what",
  unavailable: "Its run may be over, and EPHEMERAL_PIPE left over from it",
  unknown_action: "The broker is older than this command; ephemeral version shows ours",
};

/** What to do about `error`, in one line. */
export function hintOf(error: unknown): string {
  if (error instanceof HintedError) return error.hint;
  const hint = error instanceof EphemeralError ? (hintOfBound(error) ?? hintOfCode[error.code]) : undefined;
  return hint ?? "See: ephemeral help";
}

/** A refusal that names its bound means the flag of that name; its code is that of other bounds, too. */
function hintOfBound({ details }: EphemeralError): string | undefined {
  const bound = Object.keys(details ?? {}).find((name) => name.endsWith("Max"));
  if (bound === undefined) return undefined;
  const flag = bound.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return `The broker's bound is a flag of ephemeral start: --${flag}`;
}

/** The code callers branch on; `internal` for what is no error of ours. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof EphemeralError ? error.code : "internal";
}
