/**
 * The client connection's life as a table: which state follows which. Timers, sockets and commands are the business of
 * `connection.ts`, how long to stay away that of `backoff.ts`.
 */

export type ConnectionState =
  /** Nothing is dialled; the next command dials. */
  | "disconnected"
  /** Dialling, or greeting. */
  | "connecting"
  /** The broker answered `hello`. */
  | "connected"
  /** Commands wait, and we wait before we dial again. */
  | "reconnecting"
  /** For good: the caller closed it, or the broker told us to stay away. */
  | "closed";

export type ConnectionEvent =
  /** A command came. */
  | "wanted"
  /** The last command that waited for a connection is gone. */
  | "unwanted"
  | "greeted"
  /** The connection is gone, or was not to be had, and commands wait for a new one. */
  | "lost"
  /** It is gone, and nobody waits for another. */
  | "left"
  /** The delay is over. */
  | "due"
  | "closed";

const following: Readonly<Record<ConnectionState, { readonly [Event in ConnectionEvent]?: ConnectionState }>> = {
  disconnected: { wanted: "connecting" },
  connecting: { greeted: "connected", lost: "reconnecting", left: "disconnected" },
  connected: { lost: "reconnecting", left: "disconnected" },
  reconnecting: { due: "connecting", unwanted: "disconnected" },
  closed: {},
};

/** The state after `event`; the same when the event means nothing in `state`. */
export function nextState(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  return event === "closed" ? "closed" : (following[state][event] ?? state);
}
