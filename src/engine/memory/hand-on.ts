/**
 * Who is served when something of a pool changes. Lanes are stirred by what becomes free or unclaimed; when the change is
 * complete, those who wait in stirred lanes are looked through once, in the order they came, whatever pool they wait for.
 */
import type { Pool } from "./pool.ts";
import type { PoolItem } from "./pool-item.ts";
import type { Lane } from "./pool-lanes.ts";
import type { PoolWaiter } from "./pool-waiter.ts";

export class HandOn {
  readonly #serve: (waiter: PoolWaiter) => void;
  #stirred: Lane[] = [];
  #depth = 0;

  /** @param serve gives a waiter what it wants, if that can be had now */
  constructor(serve: (waiter: PoolWaiter) => void) {
    this.#serve = serve;
  }

  /** Makes a change as a whole: what it frees is handed on after it. */
  after(change: () => void): void {
    this.begin();
    try {
      change();
    } finally {
      this.end();
    }
  }

  begin(): void {
    this.#depth += 1;
  }

  end(): void {
    if (this.#depth === 1 && this.#stirred.length > 0) this.#serveStirred();
    this.#depth -= 1;
  }

  /** An item may have become open to somebody. */
  opened(pool: Pool, item: PoolItem): void {
    if (!pool.isWanted) return;
    pool.lanes.someOf(item, (lane) => {
      this.#stir(lane);
      return false;
    });
  }

  /** Any item may have. */
  changed(pool: Pool): void {
    for (const lane of pool.lanes.all()) this.#stir(lane);
  }

  /** A waiter has gone that kept others from what it waited for. */
  unclaimed({ wants }: PoolWaiter): void {
    for (const { pool, selection } of wants) {
      if (!pool.isWanted || !pool.hasOpenIn(selection, selection)) continue;
      for (const lane of pool.lanes.all()) if (pool.hasOpenIn(selection, lane.selection)) this.#stir(lane);
    }
  }

  clear(): void {
    this.#stirred = [];
  }

  #stir(lane: Lane): void {
    if (lane.isStirred) return;
    lane.isStirred = true;
    this.#stirred.push(lane);
  }

  /** Serving one takes items and claims away, so it can only help those that came later: one pass is enough. */
  #serveStirred(): void {
    let arrival = -1;
    for (let waiter = this.#nextAfter(arrival); waiter !== undefined; waiter = this.#nextAfter(arrival)) {
      arrival = waiter.arrival;
      this.#serve(waiter);
    }
  }

  /** The first who came after `arrival` in any stirred lane. Lanes where nobody is left to be looked at settle down. */
  #nextAfter(arrival: number): PoolWaiter | undefined {
    let first: PoolWaiter | undefined;
    let kept = 0;
    for (const lane of this.#stirred) {
      const waiter = lane.firstAfter(arrival);
      if (waiter === undefined) {
        lane.isStirred = false;
        continue;
      }
      this.#stirred[kept] = lane;
      kept += 1;
      if (first === undefined || waiter.arrival < first.arrival) first = waiter;
    }
    this.#stirred.length = kept;
    return first;
  }
}
