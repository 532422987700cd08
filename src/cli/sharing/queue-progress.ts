/**
 * How a run of a queue goes, for people: a line that is kept at the foot of a terminal, or now and then a line of its own
 * where stderr is none; and the sum of it at the end. Asks for the queue's counts, as others work at it too.
 */
import type { QueueInfo } from "../../protocol/sharing.ts";
import { formatDuration } from "../units.ts";
import { say } from "../wrapper/say.ts";
import { StatusLine } from "./status-line.ts";

/** Five times a second is as much as an eye follows. */
const redrawMs = 200;
/** A log is not to be full of it. */
const plainLineMs = 5000;
/** Dead jobs the sum names. */
const namedMax = 5;

/** What became of a job that was taken here. */
export type Outcome = "done" | "failed" | "givenBack" | "lost";

export class QueueProgress {
  readonly here: Record<Outcome, number> = { done: 0, failed: 0, givenBack: 0, lost: 0 };
  readonly #queue: string;
  readonly #info: () => Promise<QueueInfo>;
  #startedAtMs = 0;
  #doneBefore = 0;
  #running = 0;
  #shown = "";
  #line: StatusLine | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(queue: string, info: () => Promise<QueueInfo>) {
    this.#queue = queue;
    this.#info = info;
  }

  start({ done }: QueueInfo): void {
    this.#startedAtMs = performance.now();
    this.#doneBefore = done;
    this.#line = StatusLine.onTerminal();
    this.#timer = setInterval(() => this.#show(), this.#line === undefined ? plainLineMs : redrawMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#line?.remove();
  }

  began(): void {
    this.#running += 1;
  }

  ended(outcome: Outcome): void {
    this.#running -= 1;
    this.here[outcome] += 1;
  }

  /** Says what has become of the queue, and of its first dead jobs. */
  sum(info: QueueInfo): void {
    const { done, dead, depth, inFlight, deadJobs } = info;
    const total = done + dead + depth + inFlight;
    const lasted = formatDuration(this.#elapsedMs);
    say(`Queue ${JSON.stringify(this.#queue)}: ${done} of ${total} done in ${lasted}, ${this.#hereInWords}`);
    for (const { id, attempts, reason, label } of deadJobs.slice(0, namedMax)) {
      say(`Dead after ${attempts} attempts: ${JSON.stringify(id)} (${reason}, by ${label})`);
    }
    if (dead > namedMax) say(`${dead - Math.min(namedMax, deadJobs.length)} more are dead: ephemeral queue info`);
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedAtMs;
  }

  get #hereInWords(): string {
    const { done, failed, givenBack, lost } = this.here;
    const rest = { failed, "given back": givenBack, lost };
    const named = Object.entries(rest).filter(([, count]) => count > 0);
    return [`here ${done} done`, ...named.map(([name, count]) => `${count} ${name}`)].join(", ");
  }

  #show(): void {
    // A broker that does not answer is not asked again meanwhile: its client keeps what was asked.
    this.#info().then(
      (info) => this.#draw(info),
      () => {},
    );
  }

  #draw(info: QueueInfo): void {
    if (this.#timer === undefined) return;
    const text = this.#textOf(info);
    if (this.#line !== undefined) this.#line.draw(text);
    else if (text !== this.#shown) say(text);
    this.#shown = text;
  }

  #textOf({ done, dead, depth, inFlight, closed }: QueueInfo): string {
    const perSecond = ((done - this.#doneBefore) * 1000) / this.#elapsedMs;
    const left = depth + inFlight;
    const parts = [`${done} of ${done + dead + left} done`, `${this.#running} running`, `${this.here.failed} failed`];
    if (dead > 0) parts.push(`${dead} dead`);
    if (left === 0 && !closed) parts.push("waiting for more until it is closed");
    else if (perSecond > 0)
      parts.push(`${perSecond.toPrecision(2)}/s`, `${formatDuration((left / perSecond) * 1000)} left`);
    return parts.join(", ");
  }
}
