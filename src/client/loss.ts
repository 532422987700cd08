/**
 * Why a connection is gone, and whether it may be made again. Knows the close codes; what to do about them is the
 * connection's business.
 */
import { closeCodes, EphemeralError, type ErrorCode, mayReconnect } from "../protocol/errors.ts";

export interface Loss {
  readonly error: Error;
  readonly retryAfterMs: number | undefined;
}

export function lossOf(error: Error): Loss {
  return { error, retryAfterMs: error instanceof EphemeralError ? error.retryAfterMs : undefined };
}

/** What the codes that keep us away mean to a caller; `unavailable` where there is no better word. */
const refusals: Readonly<Record<number, ErrorCode>> = {
  [closeCodes.authFailed]: "auth_failed",
  [closeCodes.badRequest]: "bad_command",
  [closeCodes.connectionLimit]: "too_many_connections",
  [closeCodes.forbidden]: "forbidden",
};

/** What a `closing` push says. */
export function closeOf(push: Readonly<Record<string, unknown>>): { error: EphemeralError; mayReturn: boolean } {
  const { code, reason, retryAfterMs } = push;
  const closeCode = typeof code === "number" ? code : closeCodes.shutdown;
  const text = `The broker closed the connection: ${reason} (${closeCode})`;
  const extras = {
    retryAfterMs: typeof retryAfterMs === "number" ? retryAfterMs : undefined,
    details: { closeCode },
  };
  const error = new EphemeralError(refusals[closeCode] ?? "unavailable", text, extras);
  return { error, mayReturn: mayReconnect(closeCode) };
}
