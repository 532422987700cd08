/**
 * The client connection's life as a pure table: which state follows which, and how long to stay away after a loss.
 * Timers, sockets and commands are the business of `connection.ts`.
 */

/** `attempt` counts the failures since the connection was last healthy. */
export type ConnectionState =
  /** Nothing is dialled; the next command dials. */
  | { readonly name: "disconnected"; readonly attempt: number }
  /** Dialling, or greeting. */
  | { readonly name: "connecting"; readonly attempt: number }
  /** The broker answered `hello`. */
  | { readonly name: "connected"; readonly attempt: number; readonly sinceMs: number }
  /** Commands wait, and we wait `delayMs` before we dial again. */
  | { readonly name: "reconnecting"; readonly attempt: number; readonly delayMs: number }
  /** For good: the caller closed it, or the broker told us to stay away. */
  | { readonly name: "closed" };

export type ConnectionEvent =
  /** A command came. */
  | { readonly type: "wanted" }
  /** The last command that waited for a connection is gone. */
  | { readonly type: "unwanted" }
  | { readonly type: "greeted"; readonly nowMs: number }
  | {
      readonly type: "lost";
      readonly nowMs: number;
      /** Whether commands wait for a new connection. */
      readonly isWanted: boolean;
      /** From 0 to below 1. */
      readonly random: number;
      /** What the broker asked for; wins over our own delay. */
      readonly retryAfterMs?: number | undefined;
    }
  /** The delay is over. */
  | { readonly type: "due" }
  | { readonly type: "closed" };

export interface ReconnectBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

export const pipeReconnectBounds: ReconnectBounds = { minMs: 50, maxMs: 1000 };
export const webReconnectBounds: ReconnectBounds = { minMs: 500, maxMs: 20_000 };

/** A connection that lasted this long was healthy: its loss counts from zero again. */
export const healthyAfterMs = 10_000;

/** Full jitter: somewhere from `minMs` to `minMs` + a bound that doubles with each attempt, and never over `maxMs`, so that
 *  clients that lost their broker together do not come back together. */
export function reconnectDelayMs(attempt: number, draw: ReconnectBounds & { readonly random: number }): number {
  const spreadMs = Math.min(draw.maxMs, draw.minMs * 2 ** attempt);
  return Math.min(draw.maxMs, draw.minMs + draw.random * spreadMs);
}

/** The state after `event`; the same object when the event means nothing in `state`. */
export function nextState(state: ConnectionState, event: ConnectionEvent, bounds: ReconnectBounds): ConnectionState {
  if (state.name === "closed") return state;
  switch (event.type) {
    case "wanted":
      return state.name === "disconnected" ? { name: "connecting", attempt: state.attempt } : state;
    case "unwanted":
      return state.name === "reconnecting" ? { name: "disconnected", attempt: state.attempt } : state;
    case "greeted":
      return state.name === "connecting" ? { name: "connected", attempt: state.attempt, sinceMs: event.nowMs } : state;
    case "lost":
      return afterLoss(state, event, bounds);
    case "due":
      return state.name === "reconnecting" ? { name: "connecting", attempt: state.attempt } : state;
    case "closed":
      return { name: "closed" };
  }
}

function afterLoss(
  state: ConnectionState,
  event: ConnectionEvent & { readonly type: "lost" },
  bounds: ReconnectBounds,
): ConnectionState {
  if (state.name !== "connecting" && state.name !== "connected") return state;
  const wasHealthy = state.name === "connected" && event.nowMs - state.sinceMs >= healthyAfterMs;
  const failed = wasHealthy ? 0 : state.attempt;
  if (!event.isWanted) return { name: "disconnected", attempt: failed + 1 };
  const delayMs = event.retryAfterMs ?? reconnectDelayMs(failed, { ...bounds, random: event.random });
  return { name: "reconnecting", attempt: failed + 1, delayMs };
}
