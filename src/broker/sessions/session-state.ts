/**
 * The life of a session as a table: attached to a connection, lingering without one, ended. Pure; timers, holds and
 * connections are `sessions.ts`' part.
 */

export type SessionState = "attached" | "lingering" | "ended";

export type SessionEvent =
  /** Its connection has gone; with a linger of 0 that is the end. */
  | { readonly kind: "disconnected"; readonly lingerMs: number }
  /** A connection that knows its secret takes it over. */
  | { readonly kind: "resumed" }
  /** It lingered long enough, or somebody ends it. */
  | { readonly kind: "ended" };

/** An event that does not apply leaves the state as it is. */
export function nextSessionState(state: SessionState, event: SessionEvent): SessionState {
  if (state === "ended" || event.kind === "ended") return "ended";
  if (event.kind === "resumed") return "attached";
  if (state === "lingering") return "lingering";
  return event.lingerMs > 0 ? "lingering" : "ended";
}
