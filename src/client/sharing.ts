/**
 * The part of the client that shares work: rate limits, barriers and queues. What a queue needs is loaded with the first of
 * its calls.
 */
import type { LimitGrant, QueueCounts, QueueInfo } from "../protocol/sharing.ts";
import type { ClientClock } from "./client-clock.ts";
import type { BarrierOptions, LimitOptions, QueueItem, QueueOptions } from "./command-options.ts";
import type { Connection } from "./connection.ts";
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

export class Sharing {
  readonly #connection: Connection;
  readonly #clock: ClientClock;

  constructor(connection: Connection, clock: ClientClock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** Waits until this may go on without there being more than `limit` in any `windowMs` milliseconds, over all processes of the
   *  run that use `key`, in the order they came.
   *  @throws {EphemeralError} `rate_limited` with `waitMs` 0, `timeout`, both with `retryAfterMs`; `size_mismatch` when others use
   *  the key with other numbers */
  rateLimit(key: string, { limit, windowMs, cost, waitMs = -1, signal }: LimitOptions): Promise<LimitGrant> {
    const command = { action: "limit", key, limit, windowMs, cost } as const;
    const read = ({ remaining, resetAtMs }: LimitGrant): LimitGrant => ({ remaining, resetAtMs });
    return this.#connection.call({ command, read, waitMs, signal });
  }

  /** Lets nobody of the run pass the limit of `key` for `forMs` milliseconds: one was told 429, all hold back. */
  penalize(key: string, forMs: number): Promise<void> {
    return this.#connection.call({ command: { action: "limit.penalize", key, forMs }, read: () => undefined });
  }

  /** Waits until `parties` have come, and resolves to how many came before. Whoever goes away meanwhile breaks it for all. With
   *  `join` it only says that this process will come, and does not wait: its death before that is then known at once.
   *  @throws {EphemeralError} `barrier_broken` naming who went away, `timeout` with who came, `size_mismatch` */
  barrier(key: string, parties: number, options: BarrierOptions = {}): Promise<number> {
    const { join, waitMs = -1, signal } = options;
    const command = { action: "barrier", key, parties, join } as const;
    return this.#connection.call({ command, read: ({ index }) => index, waitMs: join ? undefined : waitMs, signal });
  }

  /** The queue `name`, whether there are jobs in it or not. */
  queue<Data = unknown>(name: string, options: QueueOptions = {}): Queue<Data> {
    const parts = { connection: this.#connection, clock: this.#clock, name, options };
    const load = async () => new (await import("./jobs.ts")).Jobs<Data>(parts);
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
