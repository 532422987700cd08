/**
 * Some waiters, and who of them is left when everybody who can be served is, again and again, and releases all they hold.
 * Those that are left wait for each other, or for what nobody can give. Reads pools, changes nothing.
 */
import type { PoolMode } from "../../../protocol/pools.ts";
import { inWords, nameOf } from "../../wording.ts";
import type { Grant } from "./grant.ts";
import type { Pool } from "./pool.ts";
import { type Party, type PoolWaiter, partyOf, type Want } from "./pool-waiter.ts";
import { itemInWords, wantsInWords } from "./pool-wording.ts";
import { choose } from "./slot-choice.ts";
import type { Selection } from "./tag-index.ts";

/** Somebody who stands in a waiter's way, and what that one waits for itself. */
export interface Obstacle {
  readonly party: string;
  readonly waiters: readonly PoolWaiter[];
  readonly because: string;
}

/** What is kept, in either mode, for those that are not served. */
type Claims = Map<Pool, { readonly [Mode in PoolMode]: Set<Selection> }>;

export class StuckWaiters {
  /** Whether only owners can be stuck: a session without one may go on elsewhere. */
  readonly #isOwned: boolean;
  readonly #waiters = new Set<PoolWaiter>();
  readonly #visited = new Set<Pool>();
  /** How many waits keep each party from going on. */
  readonly #waitsByParty = new Map<string, number>();
  /** Who is left, in the order they came, and which of its wants cannot be met, even alone; all when each could be. */
  #stuck = new Map<PoolWaiter, readonly Want[]>();

  constructor(isOwned: boolean) {
    this.#isOwned = isOwned;
  }

  /** False when it is known already. */
  add(waiter: PoolWaiter): boolean {
    if (this.#waiters.has(waiter)) return false;
    this.#waiters.add(waiter);
    const party = partyOf(waiter);
    this.#waitsByParty.set(party, (this.#waitsByParty.get(party) ?? 0) + 1);
    return true;
  }

  visit(pool: Pool): boolean {
    return this.#visited.size < this.#visited.add(pool).size;
  }

  isStuck(waiter: PoolWaiter): boolean {
    return this.#stuck.has(waiter);
  }

  /** Serves all who can be served, as often as that sets others free. */
  reduce(): void {
    const waiters = [...this.#waiters].sort((a, b) => a.arrival - b.arrival);
    for (let before = -1; before !== this.#waiters.size; ) {
      before = this.#waiters.size;
      this.#stuck = new Map();
      const claims: Claims = new Map();
      for (const waiter of waiters) if (this.#waiters.has(waiter)) this.#serve(waiter, claims);
    }
  }

  /** Everybody who stands in the way of a stuck `waiter`, with the words for it. */
  *inTheWayOf(waiter: PoolWaiter, nowMs: number): Generator<Obstacle> {
    const missing = this.#stuck.get(waiter) ?? [];
    for (const want of missing) {
      const { pool, selection } = want;
      for (let slot = selection.slots.next(0); slot >= 0; slot = selection.slots.next(slot + 1)) {
        for (const grant of this.#blockers(want, slot)) {
          const because = `${itemInWords(pool, slot)} held by ${whoIs(grant)} for ${inWords(nowMs - grant.sinceAtMs)}`;
          yield { party: partyOf(grant), waiters: this.#stuckOf(grant), because };
        }
      }
    }
    for (const other of this.#stuck.keys()) {
      if (other === waiter) return;
      if (!other.wants.some((theirs) => missing.some((ours) => overlap(theirs, ours)))) continue;
      yield { party: partyOf(other), waiters: [other], because: `${wantsInWords(waiter)} behind ${whoIs(other)}` };
    }
  }

  /** Serves `waiter`, or notes why not. Who is not served keeps those behind it from what it could use. */
  #serve(waiter: PoolWaiter, claims: Claims): void {
    const slotsFor = (want: Want, atMost: number): readonly number[] => this.#slotsFor(want, { atMost, claims });
    if (choose(waiter.wants, slotsFor) !== undefined) {
      this.#served(waiter);
      return;
    }
    const missing = waiter.wants.filter((want) => slotsFor(want, want.count).length < want.count);
    this.#stuck.set(waiter, missing.length > 0 ? missing : waiter.wants);
    for (const { pool, selection, mode } of waiter.wants) {
      const ofPool = claims.get(pool) ?? { exclusive: new Set(), shared: new Set() };
      claims.set(pool, ofPool);
      ofPool[mode].add(selection);
    }
  }

  #slotsFor(want: Want, { atMost, claims }: { atMost: number; claims: Claims }): readonly number[] {
    const { exclusive = [], shared = [] } = claims.get(want.pool) ?? {};
    const kept = want.mode === "shared" ? [...exclusive] : [...exclusive, ...shared];
    const { slots } = want.selection;
    const found: number[] = [];
    if (kept.some((selection) => selection === want.selection)) return found;
    for (let slot = slots.next(0); slot >= 0 && found.length < atMost; slot = slots.next(slot + 1)) {
      const item = want.pool.itemAt(slot);
      if (item?.quarantine !== undefined || kept.some((selection) => selection.slots.has(slot))) continue;
      if (this.#blockers(want, slot).next().done) found.push(slot);
    }
    return found;
  }

  /** Those who have the item of `slot` in a way that keeps it from `want`, and will not release it. */
  *#blockers({ pool, mode }: Want, slot: number): Generator<Grant, undefined> {
    const item = pool.itemAt(slot);
    if (item === undefined || (mode === "shared" && item.isShared)) return;
    for (const grant of item.holders()) if (this.#isHeldFast(grant)) yield grant;
  }

  /** Whether the holder of `grant` waits, and so will not release it. */
  #isHeldFast(grant: Grant): boolean {
    if (this.#isOwned && grant.owner === undefined) return false;
    return this.#waitsByParty.has(partyOf(grant));
  }

  #served(waiter: PoolWaiter): void {
    this.#waiters.delete(waiter);
    const party = partyOf(waiter);
    const left = (this.#waitsByParty.get(party) ?? 1) - 1;
    if (left === 0) this.#waitsByParty.delete(party);
    else this.#waitsByParty.set(party, left);
  }

  #stuckOf(party: Party): readonly PoolWaiter[] {
    const name = partyOf(party);
    return [...this.#stuck.keys()].filter((waiter) => partyOf(waiter) === name);
  }
}

/** Whether one keeps the other from an item both could use. */
function contend(a: Want, b: Want): boolean {
  return a.pool === b.pool && (a.mode === "exclusive" || b.mode === "exclusive");
}

function overlap(a: Want, b: Want): boolean {
  return contend(a, b) && a.selection.slots.next(0, b.selection.slots) >= 0;
}

/** `checkout.spec.ts`, or `pid 12 (owner "a1")`. */
export function whoIs({ caller, owner }: Party): string {
  return owner === undefined ? nameOf(caller) : `${nameOf(caller)} (owner ${JSON.stringify(owner)})`;
}
