/**
 * Who waits for whom. A wait closes a circle when it could not be served even if everybody who is not kept waiting released
 * all they hold: then those that hold it up wait, one behind the other, for its own party. Reads pools, changes nothing.
 */
import type { Grant } from "./grant.ts";
import type { Pool } from "./pool.ts";
import { type Party, type PoolWaiter, partyOf, type Want } from "./pool-waiter.ts";
import { itemInWords, waitersOf, wantsInWords } from "./pool-wording.ts";
import { choose } from "./slot-choice.ts";
import type { Selection } from "./tag-index.ts";
import { inWords, nameOf } from "./wording.ts";

export interface DeadlocksOptions {
  readonly waitersOf: (party: Party) => readonly PoolWaiter[];
  readonly grantsOf: (party: Party) => readonly Grant[];
}

/** One step of a circle: who waits, and for what that somebody has. */
interface Step {
  readonly waiter: PoolWaiter;
  readonly because: string;
  readonly before: Step | undefined;
}

/** Somebody who stands in a waiter's way, and what that one waits for itself. */
interface Obstacle {
  readonly party: string;
  readonly waiters: readonly PoolWaiter[];
  readonly because: string;
}

export class Deadlocks {
  readonly #options: DeadlocksOptions;

  constructor(options: DeadlocksOptions) {
    this.#options = options;
  }

  /** The circle that `waiter`, who does not wait yet, would close among owners, in words. */
  closedBy(waiter: PoolWaiter, nowMs: number): string | undefined {
    return waiter.owner === undefined ? undefined : this.#find(waiter, { nowMs, isOwned: true });
  }

  /** The circle `waiter` may be in when a session is taken for one thread of work wherever no owner is named. */
  suspected(waiter: PoolWaiter, nowMs: number): string | undefined {
    return this.#find(waiter, { nowMs, isOwned: false });
  }

  #find(waiter: PoolWaiter, about: { readonly nowMs: number; readonly isOwned: boolean }): string | undefined {
    if (!this.#mayHoldUp(waiter)) return undefined;
    const situation = new Situation(about.isOwned);
    this.#collect(waiter, situation);
    situation.reduce();
    return situation.isStuck(waiter) ? circle(waiter, { situation, nowMs: about.nowMs }) : undefined;
  }

  /** Whether anybody can wait for the party of `waiter` at all: most hold nothing that is wanted. */
  #mayHoldUp(waiter: PoolWaiter): boolean {
    const party = waiter;
    if (this.#options.waitersOf(party).some((other) => other !== waiter)) return true;
    const wanted = new Set(waiter.wants.map(({ pool }) => pool));
    const grants = this.#options.grantsOf(waiter);
    return grants.some(({ holdings }) => holdings.some(({ pool }) => !pool.lanes.isEmpty || wanted.has(pool)));
  }

  /** Gathers everybody who may hold up `waiter`, and whoever may hold up those. */
  #collect(waiter: PoolWaiter, situation: Situation): void {
    const pools: Pool[] = [];
    const add = (found: PoolWaiter): void => {
      if (situation.add(found)) pools.push(...found.wants.map(({ pool }) => pool));
    };
    add(waiter);
    for (let pool = pools.pop(); pool !== undefined; pool = pools.pop()) {
      if (!situation.visit(pool)) continue;
      for (const other of waitersOf(pool)) {
        add(other);
        for (const twin of this.#options.waitersOf(other)) add(twin);
      }
      for (const item of pool.items()) {
        for (const grant of item.holders()) for (const other of this.#options.waitersOf(grant)) add(other);
      }
    }
  }
}

/** Some waiters, and who of them is left when all that can be served are, again and again, and release what they hold. */
class Situation {
  /** Whether only owners can be stuck: a session without one may go on elsewhere. */
  readonly #isOwned: boolean;
  readonly #waiters = new Set<PoolWaiter>();
  readonly #visited = new Set<Pool>();
  /** How many waits keep each party from going on. */
  readonly #waitsByParty = new Map<string, number>();

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
    return this.#waiters.has(waiter);
  }

  /** Those that are left, in the order they came. */
  stuck(): readonly PoolWaiter[] {
    return [...this.#waiters].sort((a, b) => a.arrival - b.arrival);
  }

  /** Whether the holder of `grant` waits, and so will not release it. */
  isHeldFast(grant: Grant): boolean {
    if (this.#isOwned && grant.owner === undefined) return false;
    return this.#waitsByParty.has(partyOf(grant));
  }

  reduce(): void {
    for (let before = -1; before !== this.#waiters.size; ) {
      before = this.#waiters.size;
      this.#serveOnce();
    }
  }

  /** In the order they came; whoever is not served keeps the others from what it could use. */
  #serveOnce(): void {
    const claims = new Map<Pool, { readonly selection: Selection; readonly mode: string }[]>();
    for (const waiter of this.stuck()) {
      const isClaimed = ({ pool, mode }: Want, slot: number): boolean =>
        claims.get(pool)?.some((c) => excludes(c.mode, mode) && c.selection.slots.has(slot)) ?? false;
      if (choose(waiter.wants, (want, atMost) => this.#slotsFor(want, { atMost, isClaimed })) !== undefined) {
        this.#served(waiter);
        continue;
      }
      for (const { pool, selection, mode } of waiter.wants) {
        const ofPool = claims.get(pool) ?? [];
        claims.set(pool, ofPool);
        if (!ofPool.some((claim) => claim.selection === selection && claim.mode === mode))
          ofPool.push({ selection, mode });
      }
    }
  }

  #slotsFor(
    want: Want,
    { atMost, isClaimed }: { atMost: number; isClaimed: (want: Want, slot: number) => boolean },
  ): readonly number[] {
    const { slots } = want.selection;
    const found: number[] = [];
    for (let slot = slots.next(0); slot >= 0 && found.length < atMost; slot = slots.next(slot + 1)) {
      const item = want.pool.itemAt(slot);
      if (item?.quarantine === undefined && !this.#blocker(want, slot) && !isClaimed(want, slot)) found.push(slot);
    }
    return found;
  }

  /** Who has the item of `slot` in a way that keeps it from `want`, and will not release it. */
  #blocker({ pool, mode }: Want, slot: number): Grant | undefined {
    const item = pool.itemAt(slot);
    if (item === undefined || (mode === "shared" && item.isShared)) return undefined;
    for (const grant of item.holders()) if (this.isHeldFast(grant)) return grant;
    return undefined;
  }

  #served(waiter: PoolWaiter): void {
    this.#waiters.delete(waiter);
    const party = partyOf(waiter);
    const left = (this.#waitsByParty.get(party) ?? 1) - 1;
    if (left === 0) this.#waitsByParty.delete(party);
    else this.#waitsByParty.set(party, left);
  }

  /** Everybody who stands in the way of `waiter`, with the words for it. */
  *inTheWayOf(waiter: PoolWaiter, nowMs: number): Generator<Obstacle> {
    for (const want of waiter.wants) {
      const { pool, selection } = want;
      for (let slot = selection.slots.next(0); slot >= 0; slot = selection.slots.next(slot + 1)) {
        const grant = this.#blocker(want, slot);
        if (grant === undefined) continue;
        const since = inWords(nowMs - grant.sinceAtMs);
        const because = `${itemInWords(pool, slot)} held by ${whoIs(grant)} for ${since}`;
        yield { party: partyOf(grant), waiters: this.#stuckOf(grant), because };
      }
    }
    for (const other of this.stuck()) {
      if (other.arrival >= waiter.arrival || !other.wants.some((a) => waiter.wants.some((b) => overlap(a, b))))
        continue;
      const waiters = this.#isOwned && other.owner === undefined ? [other] : this.#stuckOf(other);
      yield { party: partyOf(other), waiters, because: `${wantsInWords(waiter)} behind ${whoIs(other)}` };
    }
  }

  #stuckOf(party: Party): readonly PoolWaiter[] {
    return this.stuck().filter((waiter) => partyOf(waiter) === partyOf(party));
  }
}

/** The shortest way from `waiter` back to its own party, in words. */
function circle(
  waiter: PoolWaiter,
  { situation, nowMs }: { readonly situation: Situation; readonly nowMs: number },
): string | undefined {
  const home = partyOf(waiter);
  const seen = new Set([waiter]);
  const steps: { readonly waiter: PoolWaiter; readonly before: Step | undefined }[] = [{ waiter, before: undefined }];
  for (const { waiter: from, before } of steps) {
    for (const { party, waiters, because } of situation.inTheWayOf(from, nowMs)) {
      const step: Step = { waiter: from, because, before };
      if (party === home) return inOrder(step);
      for (const next of waiters) {
        if (seen.has(next)) continue;
        seen.add(next);
        steps.push({ waiter: next, before: step });
      }
    }
  }
  return undefined;
}

function inOrder(last: Step): string {
  const sentences: string[] = [];
  for (let step: Step | undefined = last; step !== undefined; step = step.before) {
    sentences.unshift(`${whoIs(step.waiter)} waits for ${step.because}`);
  }
  return sentences.join(", ");
}

function excludes(a: string, b: string): boolean {
  return a === "exclusive" || b === "exclusive";
}

function overlap(a: Want, b: Want): boolean {
  return a.pool === b.pool && excludes(a.mode, b.mode) && a.selection.slots.next(0, b.selection.slots) >= 0;
}

/** `checkout.spec.ts`, or `pid 12 (owner "a1")`. */
function whoIs({ caller, owner }: Party): string {
  return owner === undefined ? nameOf(caller) : `${nameOf(caller)} (owner ${JSON.stringify(owner)})`;
}
