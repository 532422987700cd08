/**
 * Who waits for whom. A wait closes a circle when it could not be served even if everybody who is not kept waiting released
 * all they hold: then those that hold it up wait, one behind the other, for its own party. Reads pools, changes nothing.
 */
import type { Grant } from "./grant.ts";
import type { Pool } from "./pool.ts";
import { type Party, type PoolWaiter, partyOf } from "./pool-waiter.ts";
import { waitersOf } from "./pool-wording.ts";
import { StuckWaiters, whoIs } from "./stuck-waiters.ts";

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
    const situation = new StuckWaiters(about.isOwned);
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
    return grants.some(({ items }) => items.some(({ pool }) => pool.isWanted || wanted.has(pool)));
  }

  /** Gathers everybody who may hold up `waiter`, and whoever may hold up those. */
  #collect(waiter: PoolWaiter, situation: StuckWaiters): void {
    const pools: Pool[] = [];
    const add = (found: PoolWaiter): void => {
      if (situation.add(found)) pools.push(...found.wants.map(({ pool }) => pool));
    };
    add(waiter);
    for (let pool = pools.pop(); pool !== undefined; pool = pools.pop()) {
      if (!situation.visit(pool)) continue;
      for (const other of waitersOf(pool)) add(other);
      for (const item of pool.items()) {
        for (const grant of item.holders()) for (const other of this.#options.waitersOf(grant)) add(other);
      }
    }
  }
}

/** The shortest way from `waiter` back to its own party, in words. */
function circle(
  waiter: PoolWaiter,
  { situation, nowMs }: { readonly situation: StuckWaiters; readonly nowMs: number },
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
