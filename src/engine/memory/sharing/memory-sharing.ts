/**
 * Rate limits, barriers and queues of one engine, wired together: the face they show to the engine's callers, and what the
 * rest of the engine needs of all three. Every command goes by the instant it is given, with everything swept before.
 */
import type { WhyHolder } from "../../../protocol/pools.ts";
import type { LimitGrant, QueueCounts } from "../../../protocol/sharing.ts";
import type { Awaitable, Caller, HeldBySession, Waiting } from "../../engine.ts";
import type {
  BarrierRequest,
  LimitRequest,
  NackRequest,
  PushRequest,
  QueueReading,
  SharingEngine,
  SharingStats,
  TakeAnswer,
  TakeRequest,
  TakingName,
} from "../../sharing.ts";
import { Barriers } from "./barriers.ts";
import { Queues, type QueuesOptions } from "./queues.ts";
import { RateLimits } from "./rate-limits.ts";

export interface MemorySharingOptions extends QueuesOptions {
  /** The instant a command takes effect, with everything gone that ended before it. Throws where there is no engine any more. */
  readonly now: () => number;
}

/** What waits here, as `why` looks for it. */
export const sharingWaits = ["limit", "barrier", "queue.take"] as const;

export class MemorySharing implements SharingEngine {
  readonly #now: () => number;
  readonly #rateLimits: RateLimits;
  readonly #barriers: Barriers;
  readonly #queues: Queues;

  constructor(options: MemorySharingOptions) {
    this.#now = options.now;
    this.#rateLimits = new RateLimits(options);
    this.#barriers = new Barriers(options);
    this.#queues = new Queues(options);
  }

  takeLimit(request: LimitRequest, waiting: Waiting): Awaitable<LimitGrant> {
    return this.#rateLimits.take(request, waiting, this.#now());
  }

  penalizeLimit(request: { readonly key: string; readonly forMs: number }): void {
    this.#rateLimits.penalize(request, this.#now());
  }

  awaitBarrier(request: BarrierRequest, waiting: Waiting): Awaitable<{ readonly index: number }> {
    return this.#barriers.arrive(request, waiting, this.#now());
  }

  joinBarrier(request: BarrierRequest, caller: Caller): { readonly index: number } {
    return this.#barriers.join(request, caller, this.#now());
  }

  pushJobs(request: PushRequest): { readonly count: number } {
    this.#now();
    return this.#queues.push(request);
  }

  takeJobs(request: TakeRequest, waiting: Waiting): Awaitable<TakeAnswer> {
    return this.#queues.take(request, waiting, this.#now());
  }

  ackJob(taking: TakingName): void {
    this.#now();
    this.#queues.ack(taking);
  }

  nackJob(request: NackRequest): void {
    this.#now();
    this.#queues.nack(request);
  }

  renewJob(request: TakingName & { readonly ackMs: number }): { readonly expiresAtMs: number } {
    return this.#queues.renew(request, this.#now());
  }

  closeQueue(queue: string): QueueCounts {
    this.#now();
    return this.#queues.close(queue);
  }

  readQueue(queue: string): QueueReading {
    this.#now();
    return this.#queues.read(queue);
  }

  get namesCount(): number {
    return this.#rateLimits.size + this.#barriers.size + this.#queues.size;
  }

  has(name: string): boolean {
    return this.#rateLimits.has(name) || this.#barriers.has(name) || this.#queues.has(name);
  }

  get stats(): SharingStats {
    const { tally } = this.#queues;
    return {
      limits: this.#rateLimits.size,
      barriers: this.#barriers.size,
      queues: this.#queues.size,
      jobs: tally.count,
      jobsInFlight: tally.inFlight,
      jobsDead: tally.deadCount,
      jobsDone: tally.doneCount,
      jobsGivenBack: tally.givenBackCount,
    };
  }

  /** Its waits must be over already, so that nothing is handed to the session that goes. */
  endSession(caller: Caller): void {
    this.#barriers.endSession(caller);
    this.#queues.endSession(caller);
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return [...this.#barriers.holdsOf(sessionId), ...this.#queues.holdsOf(sessionId)];
  }

  holdersOf(name: string): readonly WhyHolder[] {
    return [...this.#barriers.holdersOf(name), ...this.#queues.holdersOf(name)];
  }

  clear(): void {
    for (const part of [this.#rateLimits, this.#barriers, this.#queues]) part.clear();
  }
}
