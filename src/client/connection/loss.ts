/**
 * What the broker says as it closes a connection, and whether it may be made again. Knows the close codes; what to do about
 * them is the connection's business.
 */
import { type CloseCode, EphemeralError, type ErrorCode, mayReconnect } from "../../protocol/errors.ts";
import type { ClosingPush } from "../../protocol/pushes.ts";

/** What the codes that keep us away mean to a caller; `unavailable` where there is no better word. */
const refusals: Readonly<Record<number, ErrorCode>> = {
  3500: "auth_failed",
  3501: "bad_command",
  3504: "too_many_connections",
  3507: "forbidden",
} satisfies { readonly [Code in CloseCode]?: ErrorCode };

/** The end of a connection as the broker tells it, in a push or by the close of a WebSocket. */
export type Farewell = Pick<ClosingPush, "code" | "reason" | "retryAfterMs">;

interface Close {
  readonly error: EphemeralError;
  readonly mayReturn: boolean;
}

/** What a farewell says. */
export function closeOf({ code: closeCode, reason, retryAfterMs }: Farewell): Close {
  const text = `The broker closed the connection: ${reason} (${closeCode})`;
  const error = new EphemeralError(refusals[closeCode] ?? "unavailable", text, {
    retryAfterMs,
    details: { closeCode },
  });
  return { error, mayReturn: mayReconnect(closeCode) };
}
