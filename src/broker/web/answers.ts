/**
 * Answers of the web door to plain HTTP requests: replies and refusals as JSON, with the status that says the same. Nothing
 * may be kept by who passes them on.
 */
import type { EphemeralError, ErrorCode } from "../../protocol/errors.ts";

/** Codes that are not here are the caller's fault: 400. */
const statuses: Partial<Record<ErrorCode, number>> = {
  auth_failed: 401,
  forbidden: 403,
  not_owner: 403,
  not_found: 404,
  unknown_action: 404,
  expired: 404,
  exists: 409,
  version_mismatch: 409,
  too_large: 413,
  rate_limited: 429,
  too_many_commands: 429,
  internal: 500,
  responder_failed: 502,
  draining: 503,
  unavailable: 503,
  no_responder: 503,
  too_many_connections: 503,
  too_many_names: 507,
  max_items: 507,
  timeout: 504,
};

const json = "application/json";
const plain = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
} as const;

export function answer(body: string, { status = 200, type = "text/plain; charset=utf-8" } = {}): Response {
  return new Response(body, { status, headers: { ...plain, "Content-Type": type } });
}

/** A command's reply or refusal, as it is. */
export function commandAnswer(reply: string): Response {
  return answer(reply, { status: statusOf(reply), type: json });
}

function statusOf(reply: string): number {
  const { ok, error } = JSON.parse(reply) as { readonly ok: boolean; readonly error?: ErrorCode };
  return ok || error === undefined ? 200 : (statuses[error] ?? 400);
}

/** What a request was refused with before it became a command. `status` is that of its code unless told. */
export function errorAnswer(error: EphemeralError, status = statuses[error.code] ?? 400): Response {
  const { code, message, retryable, retryAfterMs } = error;
  const body = { ok: false, error: code, message, ...(retryable ? { retryable } : {}), retryAfterMs };
  const response = answer(`${JSON.stringify(body)}\n`, { status, type: json });
  if (status === 401) response.headers.set("WWW-Authenticate", "Bearer");
  if (retryAfterMs !== undefined) response.headers.set("Retry-After", String(Math.ceil(retryAfterMs / 1000)));
  return response;
}
