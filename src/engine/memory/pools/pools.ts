/**
 * Pools, locks and semaphores: who is granted what, who waits, and what a change of a pool does to them. The rules are those
 * of `pooling.ts`. Counts on its caller to have swept, so a grant that is here is alive.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { Limits } from "../../../protocol/limits.ts";
import type { PoolWant } from "../../../protocol/pools.ts";
import type { Awaitable, Caller, HeldBySession, Waiting } from "../../engine.ts";
import type { ExpiryHeap } from "../../expiry-heap.ts";
import type { Acquired, AcquireRequest, PoolItems, PoolSlot, PoolSlots, Renewed } from "../../pooling.ts";
import type { Waits } from "../../wait-queue.ts";
import { nameOf } from "../../wording.ts";
import { Deadlocks } from "./deadlocks.ts";
import type { Grant } from "./grant.ts";
import { Grants } from "./grants.ts";
import { HandOn } from "./hand-on.ts";
import { LastSlots } from "./last-slots.ts";
import type { Pool } from "./pool.ts";
import { PoolRegister } from "./pool-register.ts";
import { PoolWaiter, Want } from "./pool-waiter.ts";
import { PoolWaiters } from "./pool-waiters.ts";
import {
  deadlock,
  hindrance,
  madeOnFirstUse,
  otherSize,
  refusedAtOnce,
  waitersOf,
  wantsInWords,
} from "./pool-wording.ts";
import { chooseSlots, refuseImpossible, type SlotChoice } from "./slot-choice.ts";

export interface PoolsOptions {
  readonly expiries: ExpiryHeap;
  readonly limits: Limits;
  readonly waits: Waits;
  readonly nextFence: () => number;
  /** Throws `too_many_names` when no further name can be kept. */
  readonly requireName: (name: string) => void;
}

export class Pools {
  readonly #options: PoolsOptions;
  readonly #pools: PoolRegister;
  readonly #grants: Grants;
  readonly #handOn = new HandOn((waiter) => this.#serve(waiter));
  readonly #waiters: PoolWaiters;
  readonly #lastSlots = new LastSlots();
  readonly #deadlocks: Deadlocks;
  #arrival = 0;
  #expiredCount = 0;

  constructor(options: PoolsOptions) {
    this.#options = options;
    const { expiries, limits, nextFence } = options;
    this.#pools = new PoolRegister(options);
    this.#grants = new Grants({
      expiries,
      limits,
      nextFence,
      givenBack: (item) => this.#handOn.opened(item),
      expired: (grant) => this.#expired(grant),
    });
    this.#waiters = new PoolWaiters({
      waits: options.waits,
      timedOut: (wait) => this.#timedOut(wait),
      left: (waiter) => this.#left(waiter),
    });
    this.#deadlocks = new Deadlocks({
      waitersOf: (party) => this.#waiters.ofParty(party),
      grantsOf: (party) => this.#grants.ofParty(party),
    });
  }

  /** Pools of any kind. */
  get namesCount(): number {
    return this.#pools.size;
  }
  /** Grants held now. */
  get size(): number {
    return this.#grants.size;
  }
  /** How many grants have come to their deadline so far. */
  get expiredCount(): number {
    return this.#expiredCount;
  }

  find(name: string): Pool | undefined {
    return this.#pools.find(name);
  }

  define({ pool: name, items }: PoolItems): { readonly size: number } {
    const pool = this.#pools.find(name);
    if (pool?.kind === "made") throw madeOnFirstUse("define", pool);
    if (pool?.isDefinedAs(items)) return { size: pool.size };
    this.#pools.requireItems(name, items.length - (pool?.size ?? 0));
    return this.#change(this.#pools.open(name), (changed) => changed.define(items));
  }

  add({ pool: name, items }: PoolItems): { readonly size: number } {
    const pool = this.#pools.requireDefined(name, "add to");
    this.#pools.requireItems(name, pool.sizeWith(items) - pool.size);
    return this.#change(pool, (changed) => changed.add(items));
  }

  remove({ pool: name, slots }: PoolSlots): { readonly size: number } {
    const pool = this.#pools.requireDefined(name, "remove from");
    for (const slot of slots ?? []) pool.requireItem(slot, "remove");
    return this.#change(pool, (changed) => changed.remove(slots));
  }

  /** Grants, refuses or makes wait. */
  acquire(request: AcquireRequest, waiting: Waiting, nowMs: number): Awaitable<Acquired> {
    const waiter = new PoolWaiter(request, {
      caller: waiting.caller,
      arrival: this.#arrival + 1,
      sinceAtMs: nowMs,
    });
    try {
      for (const want of request.wants) this.#resolve(waiter, want);
      refuseImpossible(waiter.wants);
      const choice = this.#choose(waiter);
      if (choice !== undefined) return this.#give(waiter, choice).answer;
      return this.#waitFor(waiter, waiting);
    } finally {
      for (const { pool } of waiter.wants) {
        pool.askedCount -= 1;
        this.#pools.dropIdle(pool);
      }
    }
  }

  renew({ grant: id, ttlMs }: { grant: string; ttlMs: number }, caller: Caller, nowMs: number): Renewed {
    const grant = this.#grants.require(id, { action: "renew", caller });
    this.#options.expiries.set(grant, nowMs + ttlMs);
    return { expiresAtMs: grant.expiresAtMs };
  }

  release(id: string, caller: Caller): { readonly released: boolean } {
    this.#end([this.#grants.require(id, { action: "release", caller })]);
    return { released: true };
  }

  quarantine({ grant: id, reason }: { grant: string; reason: string }, caller: Caller, nowMs: number): void {
    const grant = this.#grants.require(id, { action: "quarantine", caller });
    const ofDefined = grant.items.filter(({ pool }) => pool.kind === "defined");
    if (ofDefined.length === 0) {
      const actual = "nothing of it is an item of a defined pool";
      throw new EphemeralError("bad_command", `Cannot quarantine grant ${JSON.stringify(id)}: ${actual}`);
    }
    for (const item of ofDefined) {
      item.pool.quarantine(item, { reason, label: nameOf(caller), sinceAtMs: nowMs });
    }
    this.#end([grant]);
  }

  quarantineItem({ pool: name, slot, reason }: PoolSlot & { reason: string }, caller: Caller, nowMs: number): void {
    const pool = this.#pools.requireDefined(name, "quarantine an item of");
    pool.quarantine(pool.requireItem(slot, "quarantine"), { reason, label: nameOf(caller), sinceAtMs: nowMs });
  }

  /** Ends waits, grants or both as a whole: what that frees is handed on when all of it has ended. */
  together(change: () => void): void {
    this.#handOn.after(change);
  }

  endSession(sessionId: string): void {
    this.#end(this.#grants.ofSession(sessionId));
    this.#grants.forget(sessionId);
    this.#lastSlots.forget(sessionId);
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return this.#grants.holdsOf(sessionId);
  }

  /** Who waits in a circle with one of those who wait for `pool`, in words, as far as can be told. */
  cycleOf(pool: Pool, nowMs: number): string | undefined {
    for (const waiter of waitersOf(pool)) {
      const cycle = this.#deadlocks.suspected(waiter, nowMs);
      if (cycle !== undefined) return cycle;
    }
    return undefined;
  }

  /** From here on nothing is handed on: all waits are about to fail. */
  closing(): void {
    this.#handOn.begin();
  }

  clear(): void {
    this.#pools.clear();
    this.#grants.clear();
    this.#handOn.clear();
    this.#lastSlots.clear();
  }

  /** Adds a want to `waiter`; its pool is made, or opened for waiting, when there is none yet. */
  #resolve(waiter: PoolWaiter, { pool: name, count, match, mode, size }: PoolWant): void {
    const isPlain = size !== undefined && count <= size && match.length === 0;
    const pool = this.#pools.open(name, isPlain ? size : undefined);
    pool.askedCount += 1;
    waiter.wants.push(new Want(waiter, { pool, selection: pool.select(match), count, mode }));
    if (size !== undefined && pool.kind === "awaited") this.#make(pool, { size, count, match });
    else if (size !== undefined && size !== pool.size) throw otherSize(pool, size);
  }

  /** Makes the pool on first use. Whoever has been waiting for it comes first. */
  #make(pool: Pool, { size, count, match }: Pick<PoolWant, "count" | "match"> & { readonly size: number }): void {
    if (pool.heldCount > 0) throw otherSize(pool, size);
    if (count > size || match.length > 0) {
      const text = `Cannot acquire ${count} of ${JSON.stringify(pool.name)}: with size ${size} it has no such items`;
      throw new EphemeralError("size_mismatch", text, { details: { size } });
    }
    if (!pool.isWanted) pool.make(size);
    else this.#change(pool, () => pool.make(size));
  }

  #waitFor(waiter: PoolWaiter, waiting: Waiting): Promise<Acquired> {
    if (waiting.waitMs === 0) throw refusedAtOnce(waiter);
    const cycle = this.#deadlocks.closedBy(waiter, waiter.sinceAtMs);
    if (cycle !== undefined) throw deadlock(waiter, cycle);
    const answer = this.#waiters.enter(waiter, waiting);
    this.#arrival = waiter.arrival;
    return answer;
  }

  /** Gives a waiter what it wants, when that can be had now. */
  #serve(waiter: PoolWaiter): void {
    const choice = this.#choose(waiter);
    if (choice === undefined) return;
    this.#failInstead(waiter, () => this.#waiters.settle(waiter, this.#give(waiter, choice).answer));
  }

  /** What `work` is refused with is the waiter's answer. */
  #failInstead(waiter: PoolWaiter, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof EphemeralError)) throw error;
      this.#waiters.fail(waiter, error);
    }
  }

  #choose(waiter: PoolWaiter): SlotChoice | undefined {
    return chooseSlots(waiter, this.#lastSlots);
  }

  #give(waiter: PoolWaiter, choice: SlotChoice): Grant {
    const grant = this.#grants.give(waiter, { choice, nowMs: this.#options.expiries.sweptAtMs });
    if (waiter.request.prefersLast) {
      for (const { pool, slot } of grant.items) {
        this.#lastSlots.remember(waiter.caller.id, { pool: pool.name, slot });
      }
    }
    return grant;
  }

  /** Ends grants as a whole, hands on, and forgets the pools nobody uses any more. */
  #end(grants: readonly Grant[]): void {
    this.#handOn.after(() => {
      for (const grant of grants) this.#grants.end(grant);
    });
    for (const { items } of grants) for (const { pool } of items) this.#pools.dropIdle(pool);
  }

  #expired(grant: Grant): void {
    this.#expiredCount += 1;
    this.#end([grant]);
  }

  /** A wait is over, for whatever reason. */
  #left(waiter: PoolWaiter): void {
    this.#handOn.begin();
    this.#handOn.unclaimed(waiter);
    this.#handOn.end();
    for (const { pool } of waiter.wants) this.#pools.dropIdle(pool);
  }

  /** Changes what a pool consists of; refuses those who can no longer get what they wait for, and serves those who now can. */
  #change(pool: Pool, change: (pool: Pool) => void): { readonly size: number } {
    this.#handOn.after(() => {
      this.#pools.recount(pool, () => change(pool));
      for (const waiter of waitersOf(pool)) this.#failInstead(waiter, () => refuseImpossible(waiter.wants));
      this.#handOn.changed(pool);
    });
    this.#pools.dropIdle(pool);
    return { size: pool.size };
  }

  #timedOut({ request: waiter, waitMs }: { request: PoolWaiter; waitMs: number }): EphemeralError {
    const nowMs = waiter.sinceAtMs + waitMs;
    const cycle = this.#deadlocks.suspected(waiter, nowMs);
    const suspicion = cycle === undefined ? "" : `; perhaps a deadlock: ${cycle}`;
    const text = `Timed out after ${waitMs} ms waiting for ${wantsInWords(waiter)}: ${hindrance(waiter, nowMs)}`;
    return new EphemeralError("timeout", text + suspicion);
  }
}
