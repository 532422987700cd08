/**
 * What a queue's handle does: pushes jobs in frames the broker takes, and hands them out one by one, each ended by the end
 * of what is done with it. Loaded with the first call of a queue.
 */
import type { DeadJob, JobInput, QueueCounts, QueueInfo, TakenJob } from "../../protocol/sharing.ts";
import { EphemeralError } from "../client.ts";
import type { ClientClock } from "../client-clock.ts";
import type { QueueItem, QueueOptions } from "../command-options.ts";
import type { Connection } from "../connection/connection.ts";
import { Job } from "./job.ts";

export interface JobsParts {
  readonly connection: Connection;
  readonly clock: ClientClock;
  readonly name: string;
  readonly options: QueueOptions;
}

/** Jobs pushed by one command: a frame holds twice as much, whatever their characters take, and one large job behind it. */
const pushed = { countMax: 5000, lengthMax: 128 * 1024 } as const;
/** What stands around a job's id and its data. */
const marginLength = 64;

export class Jobs<Data> {
  readonly #parts: JobsParts;

  constructor(parts: JobsParts) {
    this.#parts = parts;
  }

  async push(items: Iterable<QueueItem<Data>>, closes?: boolean): Promise<number> {
    let counts: Promise<number>[] = [];
    let records: JobInput[] = [];
    let length = 0;
    // A text is a list of its characters, which nobody means.
    for (const item of typeof items === "string" ? [items] : items) {
      if (records.length === pushed.countMax || length > pushed.lengthMax) {
        counts.push(this.#push(records, undefined));
        [records, length] = [[], 0];
      }
      const { record, size } = this.#recordOf(item);
      records.push(record);
      length += size;
    }
    counts = [...counts, this.#push(records, closes)];
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  close(): Promise<QueueCounts> {
    const { connection, name: queue } = this.#parts;
    return connection.call({ command: { action: "queue.close", queue }, read: countsOf });
  }

  info(): Promise<QueueInfo> {
    const { connection, name: queue } = this.#parts;
    return connection.call({
      command: { action: "queue.info", queue },
      read: (reply) => {
        // Only the broker's own side of it is encoded already.
        const dead = reply.deadJobs as readonly DeadJob[];
        const deadJobs = dead.map((job) => ({ ...job, data: connection.codec.fromMember(job.data) }));
        return { ...countsOf(reply), waiting: reply.waiting, deadJobs };
      },
    });
  }

  /** Every job this client gets, until there are no more. */
  async *all(): AsyncGenerator<Job<Data>, void, undefined> {
    const loop = new AbortController();
    const { signal } = this.#parts.options;
    signal?.throwIfAborted();
    signal?.addEventListener("abort", () => loop.abort(signal.reason), { signal: loop.signal });
    try {
      for (let job = await this.#take(loop.signal); job !== undefined; job = await this.#ackAndTake(job, loop.signal)) {
        let isLeft = true;
        try {
          yield job;
          isLeft = false;
        } finally {
          if (isLeft) await job.nack({ reason: "its worker left the loop" });
        }
      }
    } finally {
      // Nothing waits for a job that nobody will do.
      loop.abort();
    }
  }

  /** Says both in one breath, of which the broker does the ack first, and waits for both answers: half the round trips. Taking
   *  more ahead would keep from others, at the end of the queue, what they are free for. What the caller has done about the job
   *  already stands. */
  async #ackAndTake(job: Job<Data>, signal: AbortSignal): Promise<Job<Data> | undefined> {
    const acked = job.ack();
    const taken = this.#take(signal);
    // Told behind the ack, whichever fails first.
    taken.catch(() => {});
    try {
      await acked;
    } catch (error) {
      // Nobody does it: it is given back unharmed.
      taken.then((next) => next?.giveBack()).catch(() => {});
      throw error;
    }
    return taken;
  }

  /** Undefined when there is none and none can come. */
  #take(signal: AbortSignal): Promise<Job<Data> | undefined> {
    const { connection, clock, name: queue, options } = this.#parts;
    const { ackMs, waitMs = -1 } = options;
    return connection.call({
      command: { action: "queue.take", queue, count: 1, ackMs },
      read: (reply) => {
        // Only the broker's own side of it is encoded already.
        const [taken] = reply.jobs as readonly TakenJob[];
        return taken && new Job<Data>({ connection, clock, queue, taken, ackMs });
      },
      waitMs,
      signal,
    });
  }

  #push(records: readonly JobInput[], closes: boolean | undefined): Promise<number> {
    const { connection, name: queue } = this.#parts;
    const command = { action: "queue.push", queue, items: records, closes } as const;
    return connection.call({ command, read: ({ count }) => count });
  }

  #recordOf(item: QueueItem<Data>): { readonly record: JobInput; readonly size: number } {
    const { id, data, priority } = typeof item === "string" ? { id: item, data: item, priority: undefined } : item;
    if (data === undefined) {
      const actual = "wanted texts or jobs { data, id?, priority? }, got one without data";
      throw new EphemeralError("bad_command", `Cannot push to queue ${JSON.stringify(this.#parts.name)}: ${actual}`);
    }
    const { codec } = this.#parts.connection;
    const record = { id, data: codec.toMember(data), priority };
    return { record, size: codec.prepare(record).length + marginLength };
  }
}

function countsOf({ depth, inFlight, dead, done, closed }: QueueCounts): QueueCounts {
  return { depth, inFlight, dead, done, closed };
}
