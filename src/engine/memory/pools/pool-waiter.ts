/**
 * One `acquire` as pools see it: what it wants, resolved to pools and their items, and since when it stands in which lanes.
 * Kept to few objects: with ten thousand waiters each is far from the processor when its turn comes.
 */
import type { PoolMode } from "../../../protocol/pools.ts";
import type { Caller } from "../../engine.ts";
import type { Acquired, AcquireRequest } from "../../pooling.ts";
import type { Wait } from "../../wait-queue.ts";
import type { Grant } from "./grant.ts";
import type { Pool } from "./pool.ts";
import type { PoolItem } from "./pool-item.ts";
import type { Lane } from "./pool-lanes.ts";
import type { Selection } from "./tag-index.ts";

/** So many items of one pool's selection; while its waiter waits, that one's place in a lane. */
export class Want {
  readonly waiter: PoolWaiter;
  readonly pool: Pool;
  readonly selection: Selection;
  readonly count: number;
  readonly mode: PoolMode;
  /** Where it stands. Only `pool-lanes.ts` writes these three. */
  lane: Lane | undefined;
  previous: Want | undefined;
  next: Want | undefined;

  constructor(
    waiter: PoolWaiter,
    { pool, selection, count, mode }: Pick<Want, "pool" | "selection" | "count" | "mode">,
  ) {
    this.waiter = waiter;
    this.pool = pool;
    this.selection = selection;
    this.count = count;
    this.mode = mode;
  }

  take(slot: number, grant: Grant): PoolItem {
    return this.pool.take(slot, { grant, mode: this.mode });
  }
}

export class PoolWaiter {
  /** Grows with every `acquire` that comes to wait. */
  readonly arrival: number;
  readonly sinceAtMs: number;
  readonly caller: Caller;
  /** The thread of work it is for. */
  readonly owner: string | undefined;
  readonly request: AcquireRequest;
  readonly wants: Want[] = [];
  /** Its deadline and its answer, while it waits. */
  wait: Wait<PoolWaiter, Acquired> | undefined;

  constructor(request: AcquireRequest, from: { readonly caller: Caller; arrival: number; sinceAtMs: number }) {
    this.arrival = from.arrival;
    this.sinceAtMs = from.sinceAtMs;
    this.caller = from.caller;
    this.owner = request.owner;
    this.request = request;
  }
}

/** Whom a wait or a grant belongs to when it is asked who waits for whom: a thread of work, else the whole session. */
export interface Party {
  readonly caller: Caller;
  readonly owner: string | undefined;
}

/** The name of a party, for maps. */
export function partyOf({ owner, caller }: Party): string {
  return owner === undefined ? `session ${caller.id}` : `owner ${owner}`;
}
