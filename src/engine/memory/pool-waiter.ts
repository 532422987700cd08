/** One `acquire` as pools see it: what it wants, resolved to pools and their items, and since when it stands in which lanes. */
import type { PoolMode } from "../../protocol/pools.ts";
import type { Caller } from "../engine.ts";
import type { AcquireRequest } from "../pooling.ts";
import type { Pool } from "./pool.ts";
import type { Place } from "./pool-lanes.ts";
import type { Selection } from "./tag-index.ts";

/** So many items of one pool's selection. */
export interface Want {
  readonly pool: Pool;
  readonly selection: Selection;
  readonly count: number;
  readonly mode: PoolMode;
}

export interface PoolWaiter {
  /** Grows with every `acquire` that comes to wait. */
  readonly arrival: number;
  readonly sinceAtMs: number;
  readonly caller: Caller;
  /** The thread of work it is for. */
  readonly owner: string | undefined;
  readonly request: AcquireRequest;
  readonly wants: readonly Want[];
  /** Where it stands; empty before and after it waits. */
  readonly places: Place[];
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
