/** A session that uses rate limits, barriers and queues: requests are written short, answers are what `Actor` gives. */
import type { WaitHandle } from "../../../src/engine/engine.ts";
import type { TakeRequest } from "../../../src/engine/sharing.ts";
import { Actor, type Answer, answerOf } from "./actor.ts";

export interface WaitOptions {
  readonly waitMs?: number;
  readonly handle?: WaitHandle;
}

export interface JobAnswer extends Answer {
  readonly jobs?: readonly {
    readonly id: string;
    readonly data: string;
    readonly attempt: number;
    readonly fence: number;
    readonly expiresAtMs?: number | undefined;
  }[];
  readonly isDone?: boolean;
}

/** `a` is a job of that id, `a:5` one of priority 5, `:5` one without an id; its data is the same text. */
function jobOf(text: string) {
  const [id, priority = "0"] = text.split(":");
  return { id: id === "" ? undefined : id, data: JSON.stringify(text), priority: Number(priority) };
}

export class SharingActor extends Actor {
  limit(
    key: string,
    options: WaitOptions & { limit?: number; windowMs?: number; cost?: number } = {},
  ): Promise<Answer> {
    const { limit = 3, windowMs = 1000, cost = 1 } = options;
    return answerOf(() => this.engine.sharing.takeLimit({ key, limit, windowMs, cost }, this.#waiting(options)));
  }

  penalize(key: string, forMs: number): Promise<Answer> {
    return answerOf(() => this.engine.sharing.penalizeLimit({ key, forMs }));
  }

  barrier(key: string, parties: number, options: WaitOptions = { waitMs: -1 }): Promise<Answer> {
    return answerOf(() => this.engine.sharing.awaitBarrier({ key, parties }, this.#waiting(options)));
  }

  join(key: string, parties: number): Promise<Answer> {
    return answerOf(() => this.engine.sharing.joinBarrier({ key, parties }, this.caller));
  }

  push(queue: string, ...jobs: readonly string[]): Promise<Answer> {
    return answerOf(() => this.engine.sharing.pushJobs({ queue, jobs: jobs.map(jobOf), closes: false }));
  }

  pushAndClose(queue: string, ...jobs: readonly string[]): Promise<Answer> {
    return answerOf(() => this.engine.sharing.pushJobs({ queue, jobs: jobs.map(jobOf), closes: true }));
  }

  take(queue: string, options: WaitOptions & Partial<TakeRequest> = {}): Promise<JobAnswer> {
    const { count = 1, ackMs, outlivesSession = false } = options;
    return answerOf(() =>
      this.engine.sharing.takeJobs({ queue, count, ackMs, outlivesSession }, this.#waiting(options)),
    );
  }

  /** Takes the next job, which is there. */
  async next(queue: string, options: Partial<TakeRequest> = {}): Promise<NonNullable<JobAnswer["jobs"]>[number]> {
    const { jobs: [job] = [], ...answer } = await this.take(queue, options);
    if (job === undefined) throw new Error(`there is no job: ${answer.error}`);
    return job;
  }

  ack(queue: string, { id: job, fence }: { readonly id: string; readonly fence: number }): Promise<Answer> {
    return answerOf(() => this.engine.sharing.ackJob({ queue, job, fence }));
  }

  nack(
    queue: string,
    { id: job, fence }: { readonly id: string; readonly fence: number },
    options: { delayMs?: number; reason?: string; pass?: boolean } = {},
  ): Promise<Answer> {
    const request = { delayMs: 0, reason: undefined, pass: false, ...options };
    return answerOf(() => this.engine.sharing.nackJob({ queue, job, fence, ...request }));
  }

  renew(queue: string, { id: job, fence }: { readonly id: string; readonly fence: number }, ackMs: number) {
    return answerOf(() => this.engine.sharing.renewJob({ queue, job, fence, ackMs }));
  }

  close(queue: string): Promise<Answer> {
    return answerOf(() => this.engine.sharing.closeQueue(queue));
  }

  info(queue: string): Promise<Answer> {
    return answerOf(() => this.engine.sharing.readQueue(queue));
  }

  #waiting({ waitMs = 0, handle = {} }: WaitOptions) {
    return { caller: this.caller, waitMs, handle };
  }
}

/** Which jobs were taken, how often each: `a/1 b/2`; else `waits`, `done` or the error's code. */
export function taken(answer: JobAnswer | "waits"): string {
  if (answer === "waits") return answer;
  if (answer.isDone) return "done";
  return answer.error ?? (answer.jobs ?? []).map(({ id, attempt }) => `${id}/${attempt}`).join(" ");
}
