/**
 * The contract of pools, locks and semaphores, a part of every engine's. `test/engine/contract/pools*.ts` checks it.
 *
 * Order: an item is given to a waiter only when no waiter that came earlier could use it. Who wants what nobody else
 * wants, by pool or by tag, is not held up; who waits for several pools keeps those that came later off all of them.
 * Sharing: those who want an item shared hold each other up in no way; with one who wants it alone they keep their order.
 */
import type { PoolWant, WhyReply } from "../protocol/pools.ts";
import type { Awaitable, Caller, Waiting } from "./engine.ts";

/** An item as it is defined: JSON text, so that equal values are equal texts whatever codec they came in. */
export interface PoolItemDefinition {
  readonly value: string;
  /** In alphabetical order, each once. */
  readonly tags: readonly string[];
}

export interface PoolItems {
  readonly pool: string;
  readonly items: readonly PoolItemDefinition[];
}

export interface PoolSlots {
  readonly pool: string;
  /** Undefined: all of them, and the pool with them. */
  readonly slots: readonly number[] | undefined;
}

export interface PoolSlot {
  readonly pool: string;
  readonly slot: number;
}

export interface AcquireRequest {
  /** One pool may stand in several wants, but not twice with the same tags and mode. */
  readonly wants: readonly PoolWant[];
  /** How long the grant lasts at most; undefined for as long as its session. */
  readonly ttlMs: number | undefined;
  /** Prefer the item this session was given last when it asked for that, while it is free. */
  readonly prefersLast: boolean;
  /** The thread of work this is for: what it waits for is then checked for a deadlock. */
  readonly owner: string | undefined;
}

export interface AcquiredItem {
  readonly pool: string;
  readonly slot: number;
  /** JSON text. */
  readonly value: string;
}

export interface Acquired {
  readonly id: string;
  readonly fence: number;
  readonly items: readonly AcquiredItem[];
  readonly expiresAtMs: number | undefined;
}

/** What is asked for by `why`: everything that goes by a name, or the pool alone. */
export interface WhyRequest {
  readonly name: string;
  readonly isPoolOnly: boolean;
}

export interface PoolEngine {
  /** Makes `pool` of `items`, or changes the one there is. A definition equal to the last one changes nothing, so that every
   *  worker may define what it needs. Of another one, items that are there already keep their slot, holder and quarantine; new
   *  ones take the lowest slots that are free; the rest goes, what is held of it when it is released.
   *  @throws {EphemeralError} `size_mismatch` when the pool was made on first use and is in use, `max_items`, `too_many_names` */
  definePool(request: PoolItems): Awaitable<{ readonly size: number }>;

  /** Adds items to a defined pool. One whose value equals a quarantined item's brings that back, with the tags given now.
   *  @throws {EphemeralError} `unknown_pool`, `size_mismatch` when the pool was made on first use, `max_items` */
  addToPool(request: PoolItems): Awaitable<{ readonly size: number }>;

  /** Takes items out of a defined pool, held ones when they are released. Of a pool that is removed whole only what is held
   *  remains, and a later definition finds it again; who waits for it waits for that definition.
   *  @throws {EphemeralError} `unknown_pool`, `size_mismatch` when the pool was made on first use, `not_found` for a slot it
   *  does not have, and then nothing is removed */
  removeFromPool(request: PoolSlots): Awaitable<{ readonly size: number }>;

  /** Grants all wants at once, or none: the lowest slots that are free, to be held until they are released, the grant's ttl
   *  passes or the session ends. A pool of a `size` is made on first use and forgotten when nobody holds or wants it any more.
   *  There is no re-entrancy: a session that holds an item waits for it like everybody else.
   *  @throws {EphemeralError} `pool_exhausted` when it may not wait, `timeout`, `cancelled`, `unknown_pool` when it may not wait
   *  for the definition, `size_mismatch` when the pool's size differs or it does not have so many items with these tags,
   *  `deadlock` when it could not be served before its own owner goes on, `too_large` when the reply would not fit a frame,
   *  `too_many_names`, `too_many_commands` */
  acquire(request: AcquireRequest, waiting: Waiting): Awaitable<Acquired>;

  /** Lets a grant last `ttlMs` from now.
   *  @throws {EphemeralError} `not_owner` when it is over, or another session's */
  renewGrant(request: { readonly grant: string; readonly ttlMs: number }, caller: Caller): Awaitable<Renewed>;

  /** Ends a grant and hands on its items before it answers.
   *  @throws {EphemeralError} `not_owner` when it is over already, or another session's */
  releaseGrant(grant: string, caller: Caller): Awaitable<{ readonly released: boolean }>;

  /** Ends a grant whose holder found its items broken: those of defined pools stay out until `addToPool` brings them back.
   *  @throws {EphemeralError} `not_owner`, `bad_command` when nothing of it is of a defined pool */
  quarantineGrant(request: { readonly grant: string; readonly reason: string }, caller: Caller): Awaitable<void>;

  /** Takes one item out, as `quarantineGrant` does, though nobody holds it; whoever does keeps it until they give it back.
   *  @throws {EphemeralError} `unknown_pool`, `size_mismatch` when the pool was made on first use, `not_found` */
  quarantineItem(item: PoolSlot & { readonly reason: string }, caller: Caller): Awaitable<void>;

  /** Who holds what goes by a name, and who waits for it.
   *  @throws {EphemeralError} `not_found` when nobody does and there is no pool of that name */
  why(request: WhyRequest): Awaitable<WhyReply>;
}

export interface Renewed {
  readonly expiresAtMs: number;
}
