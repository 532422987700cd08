/**
 * How long a client stays away after each loss of its connection: longer each time, until one was healthy. Knows why none of
 * them was lost.
 */

export interface ReconnectBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

export const pipeReconnectBounds: ReconnectBounds = { minMs: 50, maxMs: 1000 };
export const webReconnectBounds: ReconnectBounds = { minMs: 500, maxMs: 20_000 };

/** A connection that lasted this long was healthy: its loss counts from zero again. */
export const healthyAfterMs = 10_000;

export class Backoff {
  readonly #bounds: ReconnectBounds;
  /** Since the connection was last healthy. */
  #failures = 0;
  /** Since when there is a connection; undefined while there is none. */
  #sinceMs: number | undefined;

  constructor(bounds: ReconnectBounds) {
    this.#bounds = bounds;
  }

  greeted(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** Counts a loss, or an attempt that failed, and returns how long to stay away. `random` is from 0 to below 1. */
  lost(nowMs: number, random: number): number {
    if (this.#sinceMs !== undefined && nowMs - this.#sinceMs >= healthyAfterMs) this.#failures = 0;
    this.#sinceMs = undefined;
    return reconnectDelayMs(this.#failures++, { ...this.#bounds, random });
  }
}

/** Full jitter: somewhere from `minMs` to `minMs` + a bound that doubles with each attempt, and never over `maxMs`, so that
 *  clients that lost their broker together do not come back together. */
export function reconnectDelayMs(attempt: number, draw: ReconnectBounds & { readonly random: number }): number {
  const spreadMs = Math.min(draw.maxMs, draw.minMs * 2 ** attempt);
  return Math.min(draw.maxMs, draw.minMs + draw.random * spreadMs);
}
