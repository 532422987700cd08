/**
 * The part of the client that takes turns, as its callers see it: items of pools, locks and seats, held until given back or
 * until this process dies.
 */
import type { WhyReply } from "../../protocol/pools.ts";
import type { AcquireOptions, LockOptions, PoolItem, SeatOptions, Want } from "../command-options.ts";
import type { Grant } from "./grant.ts";

/** Does something with what is held; it is given back when the promise settles. */
export type Holding<Value, Result> = (grant: Grant<Value>) => Result | Promise<Result>;

export interface Turns {
  /** Runs `work` with an item of `pool` that nobody else has, and gives it back, whatever becomes of `work`.
   *  @throws what `acquire` throws, and what `work` throws */
  withItem<Value, Result>(pool: Wants, work: Holding<Value, Result>): Promise<Result>;
  withItem<Value, Result>(pool: Wants, options: AcquireOptions, work: Holding<Value, Result>): Promise<Result>;

  /** Runs `work` while nobody else has the lock `name`; with `mode: "shared"` nobody has it exclusively. */
  withLock<Result>(name: string, work: Holding<number, Result>): Promise<Result>;
  withLock<Result>(name: string, options: LockOptions, work: Holding<number, Result>): Promise<Result>;

  /** Runs `work` in one of `seats` seats, which are all who may do so at a time. */
  withSeat<Result>(name: string, seats: number, work: Holding<number, Result>): Promise<Result>;
  withSeat<Result>(name: string, seats: number, options: SeatOptions, work: Holding<number, Result>): Promise<Result>;

  /** Takes an item of `pool`, or all of several wants at once or none of them, so that nobody is caught with half. Waits in
   *  line, −1 unless told. It is free again when it is released, when its `ttl` passes without our renewing it, and when this
   *  process dies.
   *  @throws {EphemeralError} `timeout` naming who holds what, `pool_exhausted` with `waitMs` 0, `deadlock` for an `owner` that
   *  would wait for itself, `size_mismatch`, `unknown_pool` */
  acquire<Value = unknown>(pool: Wants, options?: AcquireOptions): Promise<Grant<Value>>;

  /** Takes the lock `name`. */
  lock(name: string, options?: LockOptions): Promise<Grant<number>>;

  /** Takes one of `seats` seats. Its value is the seat's number, from 0. */
  semaphore(name: string, seats: number, options?: SeatOptions): Promise<Grant<number>>;

  /** A pool's own affairs. */
  pool(name: string): PoolHandle;

  /** Who holds what goes by `name`, since when, and who waits for it.
   *  @throws {EphemeralError} `not_found` when nobody does either and there is no such pool or key */
  why(name: string): Promise<WhyReply>;
}

export interface PoolHandle {
  /** Makes the pool of these items, or changes the one there is; the same definition again changes nothing. Resolves to how
   *  many items it has.
   *  @throws {EphemeralError} `size_mismatch` for a name in use as a lock or semaphore, `max_items` */
  define(items: readonly PoolItem[]): Promise<number>;
  /** Adds items; one with the value of a quarantined item brings that back.
   *  @throws {EphemeralError} `unknown_pool`, `max_items` */
  add(items: readonly PoolItem[]): Promise<number>;
  /** Takes items out, held ones when they are released; without `slots` the whole pool.
   *  @throws {EphemeralError} `unknown_pool`, `not_found` for a slot it does not have */
  remove(slots?: readonly number[]): Promise<number>;
  /** Takes the item of `slot` out until `add` brings it back; who holds it keeps it until they give it back.
   *  @throws {EphemeralError} `unknown_pool`, `not_found` for a slot it does not have */
  quarantine(slot: number, reason: string): Promise<void>;
  /** Who holds its items, who waits for them, which are quarantined and why. */
  show(): Promise<WhyReply>;
}

/** A pool, a want that says more of it, or several to be had all at once. */
export type Wants = string | Want | readonly (string | Want)[];
