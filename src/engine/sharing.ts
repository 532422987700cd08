/**
 * The contract of rate limits, barriers and work queues, a part of every engine's. `test/engine/contract/` checks it in
 * `rate-limits.ts`, `barriers.ts` and `queues.ts`.
 *
 * Jobs: one is lost never, taken by one session at a time, and done once by whoever acks the taking that counts.
 */
import type { EncodedValue } from "../protocol/commands.ts";
import type { LimitGrant, QueueCounts } from "../protocol/sharing.ts";
import type { Awaitable, Caller, Waiting } from "./engine.ts";

export interface LimitRequest {
  readonly key: string;
  readonly limit: number;
  readonly windowMs: number;
  /** At most `limit`. */
  readonly cost: number;
}

export interface BarrierRequest {
  readonly key: string;
  readonly parties: number;
}

export interface JobDefinition {
  /** Undefined: the queue gives it one. */
  readonly id: string | undefined;
  readonly data: EncodedValue;
  readonly priority: number;
}

export interface PushRequest {
  readonly queue: string;
  readonly jobs: readonly JobDefinition[];
  readonly closes: boolean;
}

export interface TakeRequest {
  readonly queue: string;
  readonly count: number;
  /** Undefined: until the session ends. */
  readonly ackMs: number | undefined;
  /** Whether the jobs outlive the session; only with `ackMs`. */
  readonly outlivesSession: boolean;
}

export interface Taken {
  readonly id: string;
  readonly data: EncodedValue;
  readonly attempt: number;
  readonly fence: number;
  readonly expiresAtMs: number | undefined;
}

export interface TakeAnswer {
  readonly jobs: readonly Taken[];
  /** True when there are none and none can come. */
  readonly isDone: boolean;
}

/** One taking of one job. */
export interface TakingName {
  readonly queue: string;
  readonly job: string;
  readonly fence: number;
}

export interface NackRequest extends TakingName {
  readonly delayMs: number;
  readonly reason: string | undefined;
  /** The attempt does not count. */
  readonly pass: boolean;
}

export interface DeadJobInfo {
  readonly id: string;
  readonly data: EncodedValue;
  readonly attempts: number;
  readonly reason: string;
  readonly label: string;
}

export interface QueueReading extends QueueCounts {
  readonly waiting: number;
  /** Those that died first; as many as `whyListedMax` and a frame have room for. */
  readonly deadJobs: readonly DeadJobInfo[];
}

export interface SharingStats {
  /** Names of rate limits, barriers and queues. */
  readonly limits: number;
  readonly barriers: number;
  readonly queues: number;
  /** Jobs to be taken, taken, and dead. */
  readonly jobs: number;
  readonly jobsInFlight: number;
  readonly jobsDead: number;
  /** Jobs acked so far, and takings that ended without. */
  readonly jobsDone: number;
  readonly jobsGivenBack: number;
}

export interface SharingEngine {
  /** Takes `cost` of what `key` allows: at most `limit` in any `windowMs`, by the engine's clock, whichever instant one looks
   *  at. Who waits is served in the order of arrival: a small cost does not overtake a large one.
   *  @throws {EphemeralError} `rate_limited` with `retryAfterMs` when it may not wait, `timeout`, `cancelled`, `size_mismatch` when
   *  the key is in use with other numbers, `too_many_names`, `too_many_commands` */
  takeLimit(request: LimitRequest, waiting: Waiting): Awaitable<LimitGrant>;

  /** Lets nobody pass the limit of `key` for `forMs` from now on; a longer penalty that stands stays.
   *  @throws {EphemeralError} `too_many_names` */
  penalizeLimit(request: { readonly key: string; readonly forMs: number }): Awaitable<void>;

  /** Waits until `parties` have come, and answers all of them at once, each with how many came before it. Who leaves earlier, for
   *  whatever reason, breaks it for all who wait, and for as many who are still to come within `brokenBarrierMs`. A session that
   *  was there when it opened last, or has joined, is a party: its end before it comes breaks the barrier too, now
   *  for those who wait, for the other parties when they come next.
   *  @throws {EphemeralError} `timeout`, also without time to wait, `cancelled`, `barrier_broken` naming who left,
   *  `size_mismatch` when others wait for another number of parties, `too_many_names`, `too_many_commands` */
  awaitBarrier(request: BarrierRequest, waiting: Waiting): Awaitable<{ readonly index: number }>;

  /** Makes the caller's session a party of the barrier, and answers how many wait there.
   *  @throws {EphemeralError} `barrier_broken`, `size_mismatch`, `too_many_names` */
  joinBarrier(request: BarrierRequest, caller: Caller): Awaitable<{ readonly index: number }>;

  /** Adds jobs, all or none, and answers how many are new: an id that is in the queue, taken, dead or among the last
   *  `jobIdsRemembered` done counts for nothing.
   *  @throws {EphemeralError} `bad_command` for a new job of a closed queue, `max_items` past `queueJobsMax` or `queueBytesMax`,
   *  `too_many_names` */
  pushJobs(request: PushRequest): Awaitable<{ readonly count: number }>;

  /** Takes jobs: those of high priority first, of one priority in the order of their pushing, given back ones before. Waits for
   *  the first only. Waiters are served in the order they came.
   *  @throws {EphemeralError} `timeout`, also without time to wait, `cancelled`, `too_many_names`, `too_many_commands` */
  takeJobs(request: TakeRequest, waiting: Waiting): Awaitable<TakeAnswer>;

  /** The job is done.
   *  @throws {EphemeralError} `not_owner` when that taking has ended */
  ackJob(taking: TakingName): Awaitable<void>;

  /** Gives the job back, to the front of its priority. After `jobAttemptsMax` attempts it is dead instead.
   *  @throws {EphemeralError} `not_owner` when that taking has ended */
  nackJob(request: NackRequest): Awaitable<void>;

  /** Lets the taking last `ackMs` from now.
   *  @throws {EphemeralError} `not_owner` when that taking has ended */
  renewJob(request: TakingName & { readonly ackMs: number }): Awaitable<{ readonly expiresAtMs: number }>;

  /** From now on no new jobs can come.
   *  @throws {EphemeralError} `too_many_names` */
  closeQueue(queue: string): Awaitable<QueueCounts>;

  /** A queue nobody has used has nothing. */
  readQueue(queue: string): Awaitable<QueueReading>;
}
