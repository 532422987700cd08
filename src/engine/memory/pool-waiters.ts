/**
 * Those who wait for items of pools: in which lanes they stand, until when, for whom. Enters and leaves, settles and fails;
 * who is served is decided elsewhere.
 */
import type { EphemeralError } from "../../protocol/errors.ts";
import type { Waiting } from "../engine.ts";
import type { Acquired } from "../pooling.ts";
import { OwnerIndex } from "./owner-index.ts";
import { type Party, type PoolWaiter, partyOf } from "./pool-waiter.ts";
import { namesOf } from "./pool-wording.ts";
import { type Wait, WaitQueues, type Waits } from "./wait-queue.ts";

/** Its queue is only where its deadline and its cancelling live: `places` say what it waits for. */
type PoolWait = Wait<PoolWaiter, Acquired>;

export interface PoolWaitersOptions {
  readonly waits: Waits;
  /** Says why, when a waiter's time is over. */
  readonly timedOut: (wait: { readonly request: PoolWaiter; readonly waitMs: number }) => EphemeralError;
  /** Called when a waiter has left its lanes, for whatever reason. */
  readonly left: (waiter: PoolWaiter) => void;
}

export class PoolWaiters {
  readonly #queues: WaitQueues<PoolWaiter, Acquired>;
  readonly #waits = new Map<PoolWaiter, PoolWait>();
  readonly #byParty = new OwnerIndex<PoolWaiter>();

  constructor({ waits, timedOut, left }: PoolWaitersOptions) {
    this.#queues = new WaitQueues({
      waits,
      action: "acquire",
      timedOut,
      left: ({ request }) => {
        this.#leave(request);
        left(request);
      },
    });
  }

  /** Puts `waiter` at the end of its lanes.
   *  @throws {EphemeralError} `too_many_commands` */
  enter(waiter: PoolWaiter, waiting: Waiting): Promise<Acquired> {
    const name = namesOf(waiter);
    const wait = this.#queues.enqueue({ name, request: waiter, waiting, nowMs: waiter.sinceAtMs });
    this.#waits.set(waiter, wait);
    this.#byParty.add(partyOf(waiter), waiter);
    for (const { pool, selection, mode } of waiter.wants) {
      waiter.places.push(pool.lanes.enter(waiter, { selection, mode, tags: pool.tags }));
    }
    return wait.answer;
  }

  settle(waiter: PoolWaiter, answer: Acquired): void {
    this.#waits.get(waiter)?.settle(answer);
  }

  fail(waiter: PoolWaiter, reason: EphemeralError): void {
    this.#waits.get(waiter)?.fail(reason);
  }

  ofParty(party: Party): readonly PoolWaiter[] {
    return this.#byParty.of(partyOf(party));
  }

  #leave(waiter: PoolWaiter): void {
    this.#waits.delete(waiter);
    this.#byParty.delete(partyOf(waiter), waiter);
    for (const [index, place] of waiter.places.entries()) waiter.wants[index]?.pool.lanes.leave(place);
    waiter.places.length = 0;
  }
}
