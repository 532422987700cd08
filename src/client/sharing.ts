/**
 * The part of the client that shares work: rate limits, barriers, queues, and what is left to do when all is over. What it
 * needs is loaded with the first of its calls.
 */
import type { LimitGrant, QueueCounts, QueueInfo } from "../protocol/sharing.ts";
import type { ClientClock } from "./client-clock.ts";
import type { BarrierOptions, LimitOptions, OnEndOptions, QueueItem, QueueOptions } from "./command-options.ts";
import type { Connection } from "./connection.ts";
import type { Job } from "./job.ts";
import { Messaging } from "./messaging.ts";
import type { SharedWork } from "./shared-work.ts";

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

export class Sharing extends Messaging {
  readonly #loaded: () => Promise<SharedWork>;

  /** @internal */
  constructor(connection: Connection, clock: ClientClock) {
    super(connection, clock);
    const load = async () => new (await import("./shared-work.ts")).SharedWork(connection, clock);
    let loading: Promise<SharedWork> | undefined;
    // One for all: the first calls are said in the order they were made in.
    this.#loaded = () => {
      loading ??= load();
      return loading;
    };
  }

  /** Waits until this may go on without there being more than `limit` in any `windowMs` milliseconds, over all processes of the
   *  run that use `key`, in the order they came.
   *  @throws {EphemeralError} `rate_limited` with `waitMs` 0, `timeout`, both with `retryAfterMs`; `size_mismatch` when others use
   *  the key with other numbers */
  async rateLimit(key: string, options: LimitOptions): Promise<LimitGrant> {
    return (await this.#loaded()).rateLimit(key, options);
  }

  /** Lets nobody of the run pass the limit of `key` for `forMs` milliseconds: one was told 429, all hold back. */
  async penalize(key: string, forMs: number): Promise<void> {
    return (await this.#loaded()).penalize(key, forMs);
  }

  /** Waits until `parties` have come, and resolves to how many came before. Whoever goes away meanwhile breaks it for all. With
   *  `join` it only says that this process will come, and does not wait: its death before that is then known at once. A connection
   *  that is cut counts as going away, also where the session goes on; it is not come again by itself, as nobody may be there.
   *  @throws {EphemeralError} `barrier_broken` naming who went away, `timeout` with who came, `size_mismatch` */
  async barrier(key: string, parties: number, options: BarrierOptions = {}): Promise<number> {
    return (await this.#loaded()).barrier(key, parties, options);
  }

  /** Has a program run once when the run ends, however it ends: `argv` is its name and its arguments, for no shell. The last one
   *  registered runs first. The same `argv`, `cwd` and `env` again count once, so that all may register what is shared.
   *  @throws {EphemeralError} `forbidden` where the broker runs nothing at the end, `max_items`, `draining` when it has begun */
  async onEnd(argv: readonly string[], options: OnEndOptions = {}): Promise<void> {
    return (await this.#loaded()).onEnd(argv, options);
  }

  /** The queue `name`, whether there are jobs in it or not. */
  queue<Data = unknown>(name: string, options: QueueOptions = {}): Queue<Data> {
    const load = async () => (await this.#loaded()).jobs<Data>(name, options);
    return {
      name,
      push: async (items, { closes } = {}) => (await load()).push(items, closes),
      close: async () => (await load()).close(),
      info: async () => (await load()).info(),
      async *[Symbol.asyncIterator]() {
        yield* (await load()).all();
      },
    };
  }
}
