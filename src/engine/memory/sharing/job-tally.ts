/**
 * The jobs of all queues as numbers, the bounds they are held to, and the ids of jobs that are done. Knows nothing of where
 * a job is.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { Limits } from "../../../protocol/limits.ts";
import type { JobDefinition } from "../../sharing.ts";
import { bytesOf, type Job } from "./job.ts";

export class JobTally {
  readonly #limits: Limits;
  /** Done ids with their queues, those done longest ago first. */
  readonly #doneIds = new Set<string>();
  #count = 0;
  #bytes = 0;
  #inFlight = 0;
  #dead = 0;
  #done = 0;
  #givenBack = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }
  /** Jobs that are not done: those that can be taken, that rest, that somebody has, and dead ones. */
  get count(): number {
    return this.#count;
  }
  get deadCount(): number {
    return this.#dead;
  }
  get doneCount(): number {
    return this.#done;
  }
  /** Takings that ended without an ack. */
  get givenBackCount(): number {
    return this.#givenBack;
  }

  /** @throws {EphemeralError} `max_items` when so many more, or so large ones, are too many */
  requireRoom(queue: string, jobs: readonly JobDefinition[]): void {
    const { queueJobsMax, queueBytesMax } = this.#limits;
    const where = `Cannot push ${jobs.length} jobs to queue ${JSON.stringify(queue)}`;
    if (jobs.length > 0 && this.#count + jobs.length > queueJobsMax) {
      const text = `${where}: ${this.#count} jobs are in queues, limit is ${queueJobsMax}`;
      throw new EphemeralError("max_items", text, { details: { queueJobsMax } });
    }
    let bytes = 0;
    for (const { id, data } of jobs) bytes += bytesOf(id, data);
    if (bytes === 0 || this.#bytes + bytes <= queueBytesMax) return;
    const text = `${where}: jobs in queues take ${this.#bytes} bytes, these take ${bytes}, limit is ${queueBytesMax}`;
    throw new EphemeralError("max_items", text, { details: { queueBytesMax } });
  }

  isDone(queue: string, id: string): boolean {
    return this.#doneIds.has(doneId(queue, id));
  }

  added(job: Job): void {
    this.#count += 1;
    this.#bytes += job.bytes;
  }

  taken(): void {
    this.#inFlight += 1;
  }

  released(): void {
    this.#inFlight -= 1;
  }

  givenBack(): void {
    this.#givenBack += 1;
  }

  died(): void {
    this.#dead += 1;
  }

  done(job: Job): void {
    this.#done += 1;
    this.#count -= 1;
    this.#bytes -= job.bytes;
    if (!job.isNamed) return;
    this.#doneIds.add(doneId(job.queue.name, job.id));
    if (this.#doneIds.size <= this.#limits.jobIdsRemembered) return;
    for (const oldest of this.#doneIds) {
      this.#doneIds.delete(oldest);
      return;
    }
  }

  clear(): void {
    this.#doneIds.clear();
    this.#count = 0;
    this.#bytes = 0;
    this.#inFlight = 0;
    this.#dead = 0;
  }
}

/** No two of them are alike: the length tells where the queue's name ends. */
function doneId(queue: string, id: string): string {
  return `${queue.length}:${queue}${id}`;
}
