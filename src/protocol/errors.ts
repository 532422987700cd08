/**
 * Every way a command, a connection or a start can fail: the code callers branch on, and whether trying again can help. The one error class both sides throw. Knows nothing of sockets or of any command.
 */

/** Codes of failures that the same command would only meet again. Those up to `worker_required` are the seed's. */
export const finalCodes = [
  "not_found",
  "expired",
  "ttl_required",
  "invalid_ttl",
  "too_large",
  "max_items",
  "auth_failed",
  "invalid_json",
  "unknown_action",
  "key_and_worker_required",
  "worker_required",
  "bad_command",
  "exists",
  "version_mismatch",
  "not_a_number",
  "cancelled",
  "unknown_pool",
  "size_mismatch",
  "not_owner",
  "deadlock",
  "producer_failed",
  "barrier_broken",
  "responder_failed",
  "forbidden",
  "internal",
] as const;

/** Codes of failures after which trying again can help; `draining` is the seed's. All fail their command alone, but
 *  `too_many_connections`, which is said once and the connection is closed behind it. */
export const retryableCodes = [
  "draining",
  "timeout",
  "pool_exhausted",
  "rate_limited",
  "no_responder",
  "too_many_connections",
  "too_many_commands",
  "too_many_names",
  "unavailable",
] as const;

/** A failure's code: the only part of an error callers may branch on. A newer broker may answer with one that is not here. */
export type ErrorCode = (typeof finalCodes | typeof retryableCodes)[number];

/** What an error may carry besides its code and its text. */
export interface ErrorExtras {
  /** Where the code itself does not tell: it is a newer broker's. */
  readonly retryable?: boolean | undefined;
  /** Milliseconds after which trying again can help. */
  readonly retryAfterMs?: number | undefined;
  /** Facts a program may want: names, counts, outcomes. Never a value, a secret or a token. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The error of the whole product. `message` is action + wanted + actual, for people; `code` is for programs.
 * It never holds a value, a secret or a token.
 */
export class EphemeralError extends Error {
  // Bundlers rename classes, and Node prints the class's name, not the error's.
  static override readonly name = "EphemeralError";
  override readonly name = "EphemeralError";
  readonly code: ErrorCode;
  /** Whether the same command may succeed when tried again. */
  readonly retryable: boolean;
  // Declared alone: what is not there is not printed.
  declare readonly retryAfterMs: number | undefined;
  declare readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, extras?: ErrorExtras) {
    super(message);
    this.code = code;
    this.retryable = extras?.retryable ?? (retryableCodes as readonly string[]).includes(code);
    if (extras?.retryAfterMs !== undefined) this.retryAfterMs = extras.retryAfterMs;
    if (extras?.details !== undefined) this.details = extras.details;
  }
}

/** A `bad_command` that names the field, what it should be and what kind of thing came, never its content. */
export function badField(field: string, wanted: string, actual: unknown): EphemeralError {
  const isOutOfRange = wanted.includes("integer") && Number.isInteger(actual);
  const got = `${kindOf(actual)}${isOutOfRange ? " out of range" : ""}`;
  return new EphemeralError("bad_command", `Cannot read field "${field}": wanted ${wanted}, got ${got}`, {
    details: { field },
  });
}

/** Type and size of a thing, without its content: what error texts and logs may say of it. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (typeof value === "string") return `a string of ${value.length} characters`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (typeof value === "number") return Number.isInteger(value) ? "an integer" : "a number that is no integer";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Close codes, on a WebSocket close frame and in the `closing` push of both doors. The range is the reconnect rule. */
export const closeCodes = {
  shutdown: 3001,
  expired: 3005,
  slow: 3008,
  insufficientState: 3010,
  noPong: 3012,
  tooManyRequests: 3013,
  authFailed: 3500,
  badRequest: 3501,
  stale: 3502,
  kicked: 3503,
  connectionLimit: 3504,
  forbidden: 3507,
} as const;

export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes];

/** Codes 3000–3499 ask the client to come back; 3500–3999 to stay away. Anything else is a plain loss: come back. */
export function mayReconnect(closeCode: number): boolean {
  return !(closeCode >= 3500 && closeCode <= 3999);
}

/** Fails the running command, never the process, when something that should hold does not. */
export function assert(condition: unknown, shouldHold: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${shouldHold}`);
}
