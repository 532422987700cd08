/**
 * The part of the client that shares work, as its callers see it: rate limits, barriers, queues, and what is left to do when
 * all is over.
 */
import type { LimitGrant, QueueCounts, QueueInfo } from "../../protocol/sharing.ts";
import type { BarrierOptions, LimitOptions, OnEndOptions, QueueItem, QueueOptions } from "../command-options.ts";
import type { Job } from "./job.ts";

/** A queue of the run. Looping over it takes one job after another until the queue is closed and all of them are done. A job is
 *  acked when the body ends. Leaving the loop early, by whatever is thrown or by `break`, gives its job back, and that
 *  counts as an attempt; `job.giveBack()` before it does not. */
export interface Queue<Data = unknown> extends AsyncIterable<Job<Data>> {
  readonly name: string;
  /** Adds jobs and resolves to how many are new: an id counts once in the run, also when its job is done. A text is a job whose
   *  id and data it is. `closes`: no others come after these, so that those who loop know the end.
   *  @throws {EphemeralError} `bad_command` for new jobs of a closed queue, `max_items` */
  push(items: Iterable<QueueItem<Data>>, options?: { readonly closes?: boolean | undefined }): Promise<number>;
  /** Lets no new jobs come; what is there is still done. */
  close(): Promise<QueueCounts>;
  /** How many jobs wait, are taken, done and dead, and why the dead ones died. */
  info(): Promise<QueueInfo>;
}

export interface Sharing {
  /** Waits until this may go on without there being more than `limit` in any `windowMs` milliseconds, over all processes of the
   *  run that use `key`, in the order they came.
   *  @throws {EphemeralError} `rate_limited` with `waitMs` 0, `timeout`, both with `retryAfterMs`; `size_mismatch` when others use
   *  the key with other numbers */
  rateLimit(key: string, options: LimitOptions): Promise<LimitGrant>;

  /** Lets nobody of the run pass the limit of `key` for `forMs` milliseconds: one was told 429, all hold back. */
  penalize(key: string, forMs: number): Promise<void>;

  /** Waits until `parties` have come, and resolves to how many came before. Whoever goes away meanwhile breaks it for all. With
   *  `join` it only says that this process will come, and does not wait: its death before that is then known at once. A connection
   *  that is cut counts as going away, also where the session goes on; it is not come again by itself, as nobody may be there.
   *  @throws {EphemeralError} `barrier_broken` naming who went away, `timeout` with who came, `size_mismatch` */
  barrier(key: string, parties: number, options?: BarrierOptions): Promise<number>;

  /** Has a program run once when the run ends, however it ends: `argv` is its name and its arguments, for no shell. The last one
   *  registered runs first. The same `argv`, `cwd` and `env` again count once, so that all may register what is shared.
   *  @throws {EphemeralError} `forbidden` where the broker runs nothing at the end, `max_items`, `draining` when it has begun */
  onEnd(argv: readonly string[], options?: OnEndOptions): Promise<void>;

  /** The queue `name`, whether there are jobs in it or not. */
  queue<Data = unknown>(name: string, options?: QueueOptions): Queue<Data>;
}
