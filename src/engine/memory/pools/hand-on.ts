/**
 * Who is served when something of a pool changes. Lanes are stirred by what becomes free or unclaimed; when the change is
 * complete, those who wait in stirred lanes are looked through once, in the order they came, whatever pool they wait for.
 */
import { LaneHeap } from "./lane-heap.ts";
import type { Pool } from "./pool.ts";
import type { PoolItem } from "./pool-item.ts";
import type { Lane } from "./pool-lanes.ts";
import type { PoolWaiter } from "./pool-waiter.ts";

export class HandOn {
  readonly #serve: (waiter: PoolWaiter) => void;
  readonly #stirred = new LaneHeap();
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
    if (this.#depth === 1 && this.#stirred.first !== undefined) this.#serveStirred();
    this.#depth -= 1;
  }

  /** An item may have become open to somebody. */
  opened(item: PoolItem): void {
    const { pool } = item;
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
    this.#stirred.clear();
  }

  #stir(lane: Lane): void {
    if (lane.isStirred) return;
    lane.isStirred = true;
    lane.turn = lane.firstArrival;
    this.#stirred.add(lane);
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
    for (let lane = this.#stirred.first; lane !== undefined; lane = this.#stirred.first) {
      const waiter = lane.firstAfter(arrival);
      if (waiter === undefined) {
        lane.settle();
        this.#stirred.removeFirst();
        continue;
      }
      if (waiter.arrival === lane.turn) return waiter;
      // Nobody comes to stand in front of others, so a turn that is not the lane's any more is too early, never too late.
      lane.turn = waiter.arrival;
      this.#stirred.firstPostponed();
    }
    return undefined;
  }
}
