/**
 * Those who wait for items of pools: in which lanes they stand, until when, for whom. Enters and leaves, settles and fails;
 * who is served is decided elsewhere.
 */
import type { EphemeralError } from "../../../protocol/errors.ts";
import type { Waiting } from "../../engine.ts";
import { OwnerIndex } from "../../owner-index.ts";
import type { Acquired } from "../../pooling.ts";
import { WaitQueues, type Waits } from "../../wait-queue.ts";
import { type Party, PoolWaiter } from "./pool-waiter.ts";
import { namesOf } from "./pool-wording.ts";

export interface PoolWaitersOptions {
  readonly waits: Waits;
  /** Says why, when a waiter's time is over. */
  readonly timedOut: (wait: { readonly request: PoolWaiter; readonly waitMs: number }) => EphemeralError;
  /** Called when a waiter has left its lanes, for whatever reason. */
  readonly left: (waiter: PoolWaiter) => void;
}

export class PoolWaiters {
  /** A queue here is only where a deadline and a cancelling live: the wants' lanes say what is waited for. */
  readonly #queues: WaitQueues<PoolWaiter, Acquired>;
  readonly #waits: Waits;
  readonly #byOwner = new OwnerIndex<PoolWaiter>();

  constructor({ waits, timedOut, left }: PoolWaitersOptions) {
    this.#waits = waits;
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
    waiter.wait = wait;
    if (waiter.owner !== undefined) this.#byOwner.add(waiter.owner, waiter);
    for (const want of waiter.wants) want.pool.lanes.enter(want);
    return wait.answer;
  }

  settle(waiter: PoolWaiter, answer: Acquired): void {
    waiter.wait?.settle(answer);
  }

  fail(waiter: PoolWaiter, reason: EphemeralError): void {
    waiter.wait?.fail(reason);
  }

  ofParty({ caller, owner }: Party): readonly PoolWaiter[] {
    if (owner !== undefined) return this.#byOwner.of(owner);
    return this.#waits.pending(caller.id).flatMap(({ request }) => {
      return request instanceof PoolWaiter && request.owner === undefined ? [request] : [];
    });
  }

  #leave(waiter: PoolWaiter): void {
    waiter.wait = undefined;
    if (waiter.owner !== undefined) this.#byOwner.delete(waiter.owner, waiter);
    for (const want of waiter.wants) want.pool.lanes.leave(want);
  }
}
