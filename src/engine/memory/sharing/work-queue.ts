/**
 * The jobs of one queue: those that can be taken in the order they are taken, those that rest, those somebody has, and those
 * that are dead. Moves jobs between these places and counts them. Knows nothing of sessions, deadlines or bounds.
 */
import { whyListedMax } from "../../../protocol/limits.ts";
import type { QueueCounts } from "../../../protocol/sharing.ts";
import type { DeadJobInfo } from "../../sharing.ts";
import { WaitQueue } from "../../wait-queue.ts";
import type { Job } from "./job.ts";

/** The jobs of one priority. */
interface Lane {
  readonly priority: number;
  readonly jobs: WaitQueue<Job>;
}

export class WorkQueue {
  readonly name: string;
  /** Every job that is not done, by id. */
  readonly jobs = new Map<string, Job>();
  readonly inFlight = new Set<Job>();
  readonly dead = new Set<Job>();
  isClosed = false;
  /** Whether jobs were ever pushed: its counts are worth remembering then. */
  isUsed = false;
  doneCount = 0;
  /** Commands that wait for its jobs. */
  waitersCount = 0;
  /** Lanes that have jobs, the highest priority first. */
  readonly #lanes: Lane[] = [];
  #lastNumber = 0;

  constructor(name: string) {
    this.name = name;
  }

  get counts(): QueueCounts {
    const { jobs, inFlight, dead, doneCount, isClosed } = this;
    const depth = jobs.size - inFlight.size - dead.size;
    return { depth, inFlight: inFlight.size, dead: dead.size, done: doneCount, closed: isClosed };
  }

  /** Whether nothing is left that can still be taken, now or later, and nothing can come. */
  get isDone(): boolean {
    return this.isClosed && this.jobs.size === this.dead.size;
  }

  /** Whether nobody would miss it. */
  get isIdle(): boolean {
    return !this.isUsed && !this.isClosed && this.waitersCount === 0;
  }

  /** The job that is taken next. */
  get first(): Job | undefined {
    return this.#lanes[0]?.jobs.first;
  }

  /** An id nobody has given. */
  newId(): string {
    for (;;) {
      this.#lastNumber += 1;
      const id = `#${this.#lastNumber}`;
      if (!this.jobs.has(id)) return id;
    }
  }

  /** The job can be taken, after all others of its priority. */
  append(job: Job): void {
    this.#laneOf(job.priority).append(job);
  }

  /** The job can be taken, before all others of its priority. */
  prepend(job: Job): void {
    this.#laneOf(job.priority).prepend(job);
  }

  /** Takes the first job out of its lane. */
  shift(): Job | undefined {
    const lane = this.#lanes[0];
    const job = lane?.jobs.first;
    if (lane === undefined || job === undefined) return undefined;
    lane.jobs.remove(job);
    if (lane.jobs.first === undefined) this.#lanes.shift();
    return job;
  }

  /** Those that died first, as many as there is room for, and one at least. */
  deadJobs(bytesMax: number): readonly DeadJobInfo[] {
    const infos: DeadJobInfo[] = [];
    let bytesLeft = bytesMax;
    for (const { id, data, bytes, attempt, death } of this.dead) {
      const { reason = "", label = "" } = death ?? {};
      bytesLeft -= bytes + 3 * (reason.length + label.length);
      if (infos.length === whyListedMax || (bytesLeft < 0 && infos.length > 0)) break;
      infos.push({ id, data, attempts: attempt, reason, label });
    }
    return infos;
  }

  #laneOf(priority: number): WaitQueue<Job> {
    let [low, high] = [0, this.#lanes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#lanes[middle]?.priority ?? 0) > priority) low = middle + 1;
      else high = middle;
    }
    const found = this.#lanes[low];
    if (found?.priority === priority) return found.jobs;
    const lane = { priority, jobs: new WaitQueue<Job>() };
    this.#lanes.splice(low, 0, lane);
    return lane.jobs;
  }
}
