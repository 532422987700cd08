/**
 * Work queues as one would explain them: every job in one list, looked through from the start for every question. Slow and
 * plain; the model the real ones are compared with. Knows no priorities but "the highest first", no deadlines but "look".
 */
import type { Clock } from "../../src/engine/clock.ts";

/** What a command is answered in the end. */
export type NaiveOutcome = string;

export interface NaiveJob {
  readonly queue: string;
  readonly id: string;
  readonly priority: number;
  attempt: number;
  state: "ready" | "resting" | "taken" | "dead" | "done";
  session: string | undefined;
  fence: number;
  endsAtMs: number | undefined;
  /** Which deadline was set before which. */
  order: number;
}

interface NaiveWait {
  readonly command: number;
  readonly session: string;
  readonly queue: string;
  readonly count: number;
  readonly ackMs: number | undefined;
  readonly endsAtMs: number | undefined;
  readonly order: number;
}

export interface NaiveTake {
  readonly command: number;
  readonly session: string;
  readonly queue: string;
  readonly count: number;
  readonly ackMs: number | undefined;
  readonly waitMs: number;
}

export class NaiveQueues {
  readonly outcomes = new Map<number, NaiveOutcome>();
  /** All there ever were, in the order in which those that are ready are taken. */
  jobs: NaiveJob[] = [];
  waits: NaiveWait[] = [];
  /** How often each job was acked. */
  readonly acks = new Map<string, number>();
  readonly closed = new Set<string>();
  readonly #clock: Clock;
  readonly #attemptsMax: number;
  #fence: number;
  #order = 0;

  constructor({ clock, attemptsMax }: { readonly clock: Clock; readonly attemptsMax: number }) {
    this.#clock = clock;
    this.#attemptsMax = attemptsMax;
    this.#fence = clock.nowMs() * 1000;
  }

  push(queue: string, jobs: readonly { id: string | undefined; priority: number }[], closes: boolean): NaiveOutcome {
    this.sweep();
    const seen = new Set(this.jobs.filter((job) => job.queue === queue).map(({ id }) => id));
    const news = jobs.filter(({ id }) => id === undefined || (!seen.has(id) && seen.add(id)));
    if (this.closed.has(queue) && news.length > 0) return "bad_command";
    let number = this.jobs.filter((job) => job.queue === queue && job.id.startsWith("#")).length;
    for (const { id = `#${++number}`, priority } of news) {
      const rest = { attempt: 0, state: "ready", session: undefined, fence: 0, endsAtMs: undefined, order: 0 } as const;
      this.jobs.push({ queue, id, priority, ...rest });
    }
    if (closes) this.closed.add(queue);
    this.#serve();
    return `count ${news.length}`;
  }

  take(request: NaiveTake): NaiveOutcome | undefined {
    this.sweep();
    const { waitMs, ...wait } = request;
    const given = this.#giveTo(wait);
    if (given !== undefined) return given;
    if (waitMs === 0) return "timeout";
    const endsAtMs = waitMs > 0 ? this.#clock.nowMs() + waitMs : undefined;
    this.waits.push({ ...wait, endsAtMs, order: this.#order++ });
    return undefined;
  }

  ack(job: NaiveJob, fence: number): NaiveOutcome {
    this.sweep();
    if (job.state !== "taken" || job.fence !== fence) return "not_owner";
    this.#release(job, "done");
    const name = `${job.queue} ${job.id}`;
    this.acks.set(name, (this.acks.get(name) ?? 0) + 1);
    this.#serve();
    return "ok";
  }

  nack(job: NaiveJob, { fence, delayMs, pass }: { fence: number; delayMs: number; pass: boolean }): NaiveOutcome {
    this.sweep();
    if (job.state !== "taken" || job.fence !== fence) return "not_owner";
    this.#giveBack(job, { delayMs, pass });
    this.#serve();
    return "ok";
  }

  renew(job: NaiveJob, fence: number, ackMs: number): NaiveOutcome {
    this.sweep();
    if (job.state !== "taken" || job.fence !== fence) return "not_owner";
    this.#setEnd(job, ackMs);
    return `until ${job.endsAtMs}`;
  }

  cancel(command: number): boolean {
    this.sweep();
    const wait = this.waits.find((one) => one.command === command);
    if (wait === undefined) return false;
    this.#refuse(wait, "cancelled");
    return true;
  }

  endSession(session: string): void {
    this.sweep();
    for (const wait of this.waits.filter((one) => one.session === session)) this.#refuse(wait, "cancelled");
    const held = this.jobs.filter((job) => job.session === session).sort((a, b) => a.fence - b.fence);
    for (const job of held.toReversed()) this.#giveBack(job, { delayMs: 0, pass: false });
    for (const job of held) this.#serve(job.queue);
  }

  /** When the next thing happens by itself. */
  nextEndingAtMs(): number | undefined {
    const ends = [...this.jobs, ...this.waits].flatMap(({ endsAtMs }) => (endsAtMs === undefined ? [] : [endsAtMs]));
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (;;) {
      const due = [...this.jobs, ...this.waits]
        .filter(({ endsAtMs }) => endsAtMs !== undefined && endsAtMs <= nowMs)
        .sort((a, b) => Number(a.endsAtMs) - Number(b.endsAtMs) || a.order - b.order)
        .at(0);
      if (due === undefined) return;
      if ("command" in due) this.#refuse(due, "timeout");
      else if (due.state === "resting") this.#toFront(due);
      else this.#giveBack(due, { delayMs: 0, pass: false });
      this.#serve();
    }
  }

  counts(queue: string) {
    const of = (...states: string[]): number =>
      this.jobs.filter((job) => job.queue === queue && states.includes(job.state)).length;
    return {
      depth: of("ready", "resting"),
      inFlight: of("taken"),
      dead: of("dead"),
      done: of("done"),
      closed: this.closed.has(queue),
      waiting: this.waits.filter((wait) => wait.queue === queue).length,
    };
  }

  #serve(queue?: string): void {
    for (const wait of this.waits.filter((one) => queue === undefined || one.queue === queue)) {
      const isFirst = this.waits.find((one) => one.queue === wait.queue) === wait;
      const given = isFirst ? this.#giveTo(wait) : undefined;
      if (given !== undefined) this.#refuse(wait, given);
    }
  }

  #giveTo({ session, queue, count, ackMs }: Omit<NaiveTake, "waitMs">): NaiveOutcome | undefined {
    const given: string[] = [];
    while (given.length < count) {
      const ready = this.jobs.filter((job) => job.queue === queue && job.state === "ready");
      const highest = Math.max(...ready.map(({ priority }) => priority));
      const job = ready.find(({ priority }) => priority === highest);
      if (job === undefined) break;
      Object.assign(job, { state: "taken", session, fence: ++this.#fence, attempt: job.attempt + 1 });
      if (ackMs !== undefined) this.#setEnd(job, ackMs);
      given.push(`${job.id}/${job.attempt}/${job.fence}`);
    }
    if (given.length > 0) return given.join(" ");
    const { depth, inFlight, closed } = this.counts(queue);
    return closed && depth + inFlight === 0 ? "done" : undefined;
  }

  #giveBack(job: NaiveJob, { delayMs, pass }: { delayMs: number; pass: boolean }): void {
    if (pass) job.attempt -= 1;
    if (!pass && job.attempt >= this.#attemptsMax) this.#release(job, "dead");
    else if (delayMs > 0) {
      this.#release(job, "resting");
      this.#setEnd(job, delayMs);
    } else this.#toFront(job);
  }

  #toFront(job: NaiveJob): void {
    this.#release(job, "ready");
    this.jobs = [job, ...this.jobs.filter((other) => other !== job)];
  }

  #release(job: NaiveJob, state: NaiveJob["state"]): void {
    Object.assign(job, { state, session: undefined, endsAtMs: undefined });
  }

  #setEnd(job: NaiveJob, ms: number): void {
    job.endsAtMs = this.#clock.nowMs() + ms;
    job.order = this.#order++;
  }

  #refuse(wait: NaiveWait, outcome: NaiveOutcome): void {
    this.waits = this.waits.filter((one) => one !== wait);
    this.outcomes.set(wait.command, outcome);
  }
}
