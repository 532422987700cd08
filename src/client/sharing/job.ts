/**
 * The handle of a job that was taken: what there is to do, a signal that says when it is no longer ours, and the ways to end
 * it. Where a time was asked for within which to ack it, it is renewed from here.
 */
import type { TakenJob } from "../../protocol/sharing.ts";
import { EphemeralError } from "../client.ts";
import type { CancelTimer, ClientClock } from "../client-clock.ts";
import type { Outgoing } from "../connection/call.ts";
import type { Connection } from "../connection/connection.ts";
import type { HeldGrant } from "../turns/held-grant.ts";

/** @internal */
export interface JobParts {
  readonly connection: Connection;
  readonly clock: ClientClock;
  readonly queue: string;
  readonly taken: TakenJob;
  /** What was asked for; undefined to have it as long as the session. */
  readonly ackMs: number | undefined;
}

export interface NackOptions {
  /** Nobody takes it again before so many milliseconds have passed. */
  readonly delayMs?: number | undefined;
  /** Told of it where it is dead: why the last attempt failed. */
  readonly reason?: string | undefined;
}

/** So many renewals are tried within one `ackMs`. */
const renewalsPerAck = 3;

export class Job<Data = unknown> implements HeldGrant {
  readonly id: string;
  readonly data: Data;
  /** How often it has been taken, this time included. */
  readonly attempt: number;
  /** Larger than that of every taking before: a resource that remembers it can refuse one that has lost the job. */
  readonly fence: number;
  readonly #parts: JobParts;
  readonly #loss = new AbortController();
  #cancelTimer: CancelTimer | undefined;
  #ending: Promise<boolean> | undefined;

  /** @internal */
  constructor(parts: JobParts) {
    const { connection, taken } = parts;
    this.id = taken.id;
    // The caller says what is in the queue; a codec cannot tell.
    this.data = connection.codec.fromMember(taken.data) as Data;
    this.attempt = taken.attempt;
    this.fence = taken.fence;
    this.#parts = parts;
    connection.handles.jobs.set(this.fence, this);
    this.#arm();
  }

  /** Aborts when the job has gone back to the queue though nobody gave it back: the session has ended, or `ackMs` have passed
   *  without a renewal. Somebody else may do it now. */
  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  /** The job is done. Resolves to false when it was lost before: then it is done again elsewhere. Of what is said to a job
   *  only the first counts. */
  ack(): Promise<boolean> {
    return this.#end({ action: "queue.ack", ...this.#taking });
  }

  /** The job failed: it is tried again, by whoever takes it next, or dead after too many attempts. */
  nack({ delayMs, reason }: NackOptions = {}): Promise<boolean> {
    return this.#end({ action: "queue.nack", ...this.#taking, delayMs, reason, pass: undefined });
  }

  /** Gives the job back unharmed: this attempt does not count. */
  giveBack(): Promise<boolean> {
    return this.#end({ action: "queue.nack", ...this.#taking, delayMs: undefined, reason: undefined, pass: true });
  }

  lose(): void {
    this.#stop();
    if (this.#ending !== undefined) return;
    const text = `Lost job ${JSON.stringify(this.id)} of queue ${JSON.stringify(this.#parts.queue)}: it has gone back`;
    this.#loss.abort(new EphemeralError("unavailable", text));
  }

  get #taking(): { readonly queue: string; readonly job: string; readonly fence: number } {
    return { queue: this.#parts.queue, job: this.id, fence: this.fence };
  }

  #end(command: Outgoing<"queue.ack" | "queue.nack">): Promise<boolean> {
    this.#ending ??= this.lost.aborted ? Promise.resolve(false) : this.#say(command);
    return this.#ending;
  }

  async #say(command: Outgoing<"queue.ack" | "queue.nack">): Promise<boolean> {
    const { jobs } = this.#parts.connection.handles;
    this.#cancelTimer?.();
    try {
      await this.#parts.connection.call({ command });
      return true;
    } catch (error) {
      // With its session the job has gone back.
      if (!isOver(error) && jobs.has(this.fence)) throw error;
      return false;
    } finally {
      this.#stop();
    }
  }

  #stop(): void {
    this.#cancelTimer?.();
    this.#parts.connection.handles.jobs.delete(this.fence);
  }

  /** Renews it in time, until it is ended or lost. */
  #arm(): void {
    const { clock, ackMs } = this.#parts;
    if (ackMs === undefined || this.#ending !== undefined || this.lost.aborted) return;
    const alarm = (): void => {
      this.#renew(ackMs).then(
        () => this.#arm(),
        (error: unknown) => (isOver(error) ? this.lose() : this.#arm()),
      );
    };
    this.#cancelTimer = clock.after(ackMs / renewalsPerAck, { alarm, keepsAlive: false });
  }

  async #renew(ackMs: number): Promise<void> {
    const command = { action: "queue.renew", ...this.#taking, ackMs } as const;
    await this.#parts.connection.call({ command });
  }
}

function isOver(error: unknown): boolean {
  return error instanceof EphemeralError && error.code === "not_owner";
}
