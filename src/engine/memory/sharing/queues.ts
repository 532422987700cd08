/**
 * Work queues: who takes which job, until when, and what becomes of it then. A job goes back to the front of its priority
 * when it is given back, when its time is over and when its session ends, and is dead after too many attempts. Counts on
 * its caller to have swept, so a taking that is here is alive.
 */
import { assert } from "../../../protocol/errors.ts";
import type { Limits } from "../../../protocol/limits.ts";
import type { WhyHolder } from "../../../protocol/pools.ts";
import type { QueueCounts } from "../../../protocol/sharing.ts";
import type { Awaitable, Caller, HeldBySession, Waiting } from "../../engine.ts";
import type { ExpiryHeap } from "../../expiry-heap.ts";
import { OwnerIndex } from "../../owner-index.ts";
import type {
  JobDefinition,
  NackRequest,
  PushRequest,
  QueueReading,
  TakeAnswer,
  Taken,
  TakeRequest,
  TakingName,
} from "../../sharing.ts";
import { WaitQueues, type Waits } from "../../wait-queue.ts";
import { inWords, nameOf } from "../../wording.ts";
import { Job } from "./job.ts";
import { JobTally } from "./job-tally.ts";
import { closedQueue, nothingToTake, notTaken, timedOut } from "./queue-wording.ts";
import { WorkQueue } from "./work-queue.ts";

export interface QueuesOptions {
  readonly expiries: ExpiryHeap;
  readonly limits: Limits;
  readonly waits: Waits;
  readonly nextFence: () => number;
  /** Throws `too_many_names` when no further name can be kept. */
  readonly requireName: (name: string) => void;
}

/** How a taking ended without an ack. */
interface GivenBack {
  readonly reason: string;
  readonly delayMs?: number;
  readonly pass?: boolean;
}

export class Queues {
  readonly #options: QueuesOptions;
  readonly #queues = new Map<string, WorkQueue>();
  readonly #bySession = new OwnerIndex<Job>();
  readonly #waiting: WaitQueues<TakeRequest, TakeAnswer>;
  readonly tally: JobTally;

  constructor(options: QueuesOptions) {
    this.#options = options;
    this.tally = new JobTally(options.limits);
    this.#waiting = new WaitQueues({
      waits: options.waits,
      action: "queue.take",
      timedOut: ({ name, waitMs, sinceAtMs }) => timedOut(this.#open(name), { waitMs, nowMs: sinceAtMs + waitMs }),
      left: ({ name }) => {
        const queue = this.#open(name);
        queue.waitersCount -= 1;
        this.#dropIdle(queue);
      },
    });
  }

  get size(): number {
    return this.#queues.size;
  }

  has(name: string): boolean {
    return this.#queues.has(name);
  }

  push({ queue: name, jobs, closes }: PushRequest): { readonly count: number } {
    return this.#with(name, (queue) => {
      const news = this.#newOf(queue, jobs);
      if (queue.isClosed && news.length > 0) throw closedQueue(name, news.length);
      this.tally.requireRoom(name, news);
      for (const definition of news) this.#add(queue, definition);
      queue.isUsed ||= news.length > 0;
      queue.isClosed ||= closes;
      this.#serve(queue);
      return { count: news.length };
    });
  }

  /** Gives, makes wait, or says that there is nothing more. */
  take(request: TakeRequest, waiting: Waiting, nowMs: number): Awaitable<TakeAnswer> {
    return this.#with(request.queue, (queue) => {
      const answer = this.#takeNow(queue, request, waiting.caller);
      if (answer !== undefined) return answer;
      if (waiting.waitMs === 0) throw nothingToTake(queue, nowMs);
      const wait = this.#waiting.enqueue({ name: queue.name, request, waiting, nowMs });
      queue.waitersCount += 1;
      return wait.answer;
    });
  }

  ack(name: TakingName): void {
    const job = this.#require(name, "ack");
    const { queue } = job;
    this.#endTaking(job);
    queue.jobs.delete(job.id);
    queue.doneCount += 1;
    this.tally.done(job);
    if (queue.isDone) this.#serve(queue);
  }

  nack(request: NackRequest): void {
    const job = this.#require(request, "give back");
    const { reason = "it was given back", delayMs, pass } = request;
    this.#giveBack(job, { reason, delayMs, pass });
    this.#serve(job.queue);
  }

  renew(request: TakingName & { readonly ackMs: number }, nowMs: number): { readonly expiresAtMs: number } {
    const job = this.#require(request, "renew");
    this.#options.expiries.set(job, nowMs + request.ackMs);
    return { expiresAtMs: job.expiresAtMs };
  }

  close(name: string): QueueCounts {
    return this.#with(name, (queue) => {
      queue.isClosed = true;
      this.#serve(queue);
      return queue.counts;
    });
  }

  read(name: string): QueueReading {
    const queue = this.#queues.get(name) ?? new WorkQueue(name);
    return { ...queue.counts, waiting: queue.waitersCount, deadJobs: queue.deadJobs(this.#replyBytesMax) };
  }

  /** Gives back what the session has taken, in the order it had. Its own waits must be over already. */
  endSession({ id }: Caller): void {
    const jobs = this.#bySession.of(id);
    for (const job of jobs.toReversed()) this.#giveBack(job, { reason: "its session ended" });
    for (const queue of new Set(jobs.map((job) => job.queue))) this.#serve(queue);
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return this.#bySession.of(sessionId).map((job) => {
      const { fence, sinceAtMs } = takingOf(job);
      return { kind: "job", id: job.queue.name, job: job.id, fence, expiresAtMs: job.endsAtMs, sinceAtMs };
    });
  }

  /** Who has which job of the queue. */
  holdersOf(name: string): readonly WhyHolder[] {
    return [...(this.#queues.get(name)?.inFlight ?? [])].map((job) => {
      const { caller, fence, sinceAtMs } = takingOf(job);
      const who = { session: caller.id, label: caller.label };
      return { kind: "job", ...who, fence, sinceAtMs, expiresAtMs: job.endsAtMs, job: job.id };
    });
  }

  clear(): void {
    this.#queues.clear();
    this.#bySession.clear();
    this.tally.clear();
  }

  /** Does `work` with the queue of that name, made for it when there is none. */
  #with<Result>(name: string, work: (queue: WorkQueue) => Result): Result {
    const known = this.#queues.get(name);
    if (known === undefined) this.#options.requireName(name);
    const queue = known ?? this.#open(name);
    try {
      return work(queue);
    } finally {
      this.#dropIdle(queue);
    }
  }

  #open(name: string): WorkQueue {
    const queue = this.#queues.get(name) ?? new WorkQueue(name);
    this.#queues.set(name, queue);
    return queue;
  }

  #dropIdle(queue: WorkQueue): void {
    if (queue.isIdle) this.#queues.delete(queue.name);
  }

  /** Those of `jobs` that are not there, have not been there, and do not stand before in the same list. */
  #newOf(queue: WorkQueue, jobs: readonly JobDefinition[]): readonly JobDefinition[] {
    const ids = new Set<string>();
    return jobs.filter(({ id }) => {
      if (id === undefined) return true;
      const isNew = !ids.has(id) && !queue.jobs.has(id) && !this.tally.isDone(queue.name, id);
      ids.add(id);
      return isNew;
    });
  }

  #add(queue: WorkQueue, { id, data, priority }: JobDefinition): void {
    const about = { queue, id: id ?? queue.newId(), isNamed: id !== undefined, data, priority };
    const job = new Job(about, this.#due);
    queue.jobs.set(job.id, job);
    queue.append(job);
    this.tally.added(job);
  }

  /** Gives jobs to whoever waits, as long as there are any, and says so to all when none can come. */
  #serve(queue: WorkQueue): void {
    for (let wait = this.#waiting.first(queue.name); wait !== undefined; wait = this.#waiting.first(queue.name)) {
      const answer = this.#takeNow(queue, wait.request, wait.caller);
      if (answer === undefined) return;
      wait.settle(answer);
    }
  }

  /** Undefined when it would have to wait. */
  #takeNow(queue: WorkQueue, request: TakeRequest, caller: Caller): TakeAnswer | undefined {
    if (queue.first === undefined) return queue.isDone ? { jobs: [], isDone: true } : undefined;
    const jobs: Taken[] = [];
    let bytesLeft = this.#replyBytesMax;
    for (let job = queue.first; job !== undefined && jobs.length < request.count; job = queue.first) {
      bytesLeft -= job.bytes;
      if (bytesLeft < 0 && jobs.length > 0) break;
      jobs.push(this.#give(queue, request, caller));
    }
    return { jobs, isDone: false };
  }

  /** Half a frame: in the other codec data may take more room. */
  get #replyBytesMax(): number {
    return this.#options.limits.frameBytesMax / 2;
  }

  #give(queue: WorkQueue, { ackMs, outlivesSession }: TakeRequest, caller: Caller): Taken {
    const job = queue.shift();
    assert(job !== undefined, "a queue gives only what it has");
    const { expiries, nextFence } = this.#options;
    const who = outlivesSession ? { id: caller.id, label: caller.label } : caller;
    const taking = { caller: who, fence: nextFence(), sinceAtMs: expiries.sweptAtMs, outlivesSession };
    job.attempt += 1;
    job.taking = taking;
    queue.inFlight.add(job);
    this.tally.taken();
    if (!outlivesSession) this.#bySession.add(caller.id, job);
    if (ackMs !== undefined) expiries.set(job, taking.sinceAtMs + ackMs);
    return job.answer(taking.fence);
  }

  #endTaking(job: Job): void {
    const { caller } = takingOf(job);
    this.#bySession.delete(caller.id, job);
    job.queue.inFlight.delete(job);
    job.taking = undefined;
    this.#options.expiries.remove(job);
    this.tally.released();
  }

  /** Nobody is served yet: several may come back together. */
  #giveBack(job: Job, { reason, delayMs = 0, pass = false }: GivenBack): void {
    const label = nameOf(takingOf(job).caller);
    const { expiries, limits } = this.#options;
    this.#endTaking(job);
    this.tally.givenBack();
    if (pass) job.attempt -= 1;
    else if (job.attempt >= limits.jobAttemptsMax) {
      job.death = { reason, label };
      job.queue.dead.add(job);
      this.tally.died();
      return;
    }
    if (delayMs > 0) expiries.set(job, expiries.sweptAtMs + delayMs);
    else job.queue.prepend(job);
  }

  /** The time it may be kept, or is to rest, is over. */
  readonly #due = (job: Job): void => {
    if (job.taking === undefined) job.queue.prepend(job);
    else {
      const keptMs = this.#options.expiries.sweptAtMs - job.taking.sinceAtMs;
      this.#giveBack(job, { reason: `it was kept for ${inWords(keptMs)} without an ack` });
    }
    this.#serve(job.queue);
  };

  #require({ queue: name, job: id, fence }: TakingName, action: string): Job {
    const job = this.#queues.get(name)?.jobs.get(id);
    if (job?.taking?.fence === fence) return job;
    throw notTaken({ name, id, fence, action, job });
  }
}

function takingOf(job: Job): NonNullable<Job["taking"]> {
  assert(job.taking !== undefined, "a job in flight is taken");
  return job.taking;
}
