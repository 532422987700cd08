/**
 * What outlives a connection: the session to go on with and what is held in it. After a cut decides what of the broker's
 * list is given back, what of ours is lost, and which calls can be said again. Knows nothing of sockets or frames.
 */
import type { CommandName, HelloReply } from "../protocol/commands.ts";
import type { Call, Outgoing } from "./call.ts";
import type { CancelTimer, ClientClock } from "./client-clock.ts";
import type { Introduction } from "./greeting.ts";
import type { HeldGrant } from "./held-grant.ts";
import { type Grant, grantOf, Holds, isAbout, isGrant, type LostHold, undoOf } from "./holds.ts";

export interface ResumptionOptions {
  readonly clock: ClientClock;
  /** How long the session outlives its connection; 0 for not at all. */
  readonly lingerMs: number;
  /** Told of holds that ended with their session. */
  readonly onLost: ((holds: readonly LostHold[]) => void) | undefined;
  /** `lingerMs` have passed without a connection. */
  readonly onOver: () => void;
}

/** Commands that may be said again in the session they were said in: its holds tell whether they took effect, or they name
 *  a fence. */
const repeatable: ReadonlySet<CommandName> = new Set([
  "lease",
  "release",
  "once",
  "once.resolve",
  "once.reject",
  "acquire",
  "renew",
  "queue.ack",
  "queue.nack",
  "queue.renew",
]);

/** Commands that end a hold, as its absence shows. */
const ending = /release|ack$/;

export class Resumption {
  /** What was acquired and not given back, by id; jobs by their fence. Handles come and go by themselves. */
  readonly grants = new Map<string, HeldGrant>();
  readonly #options: ResumptionOptions;
  readonly #holds = new Holds();
  #session: { readonly id: string; readonly secret: string } | undefined;
  #stopTimer: CancelTimer | undefined;

  constructor(options: ResumptionOptions) {
    this.#options = options;
  }

  /** What `hello` says of sessions. */
  get introduction(): Omit<Introduction, "label"> {
    return { lingerMs: this.#options.lingerMs || undefined, session: this.#session };
  }

  /** Whether the connection is gone and the session waits for the next. */
  get isAwaited(): boolean {
    return this.#stopTimer !== undefined;
  }

  /** Whether a command that may have run can be said again once the session goes on. */
  canRepeat(action: CommandName): boolean {
    return this.#session !== undefined && repeatable.has(action);
  }

  /** Notes an answer; `reply` is undefined where the broker says that we do not hold what the command ends. Returns what gives
   *  back a grant whose caller has gone, unless one of `others` is about the same. */
  answered(
    call: Call,
    answer: { reply: object | undefined; isTaken: boolean; others: () => readonly Call[] },
  ): Outgoing | undefined {
    const { reply, isTaken, others } = answer;
    const grant = reply && grantOf(call.command, reply);
    if (reply === undefined || grant === undefined) this.#holds.note(call.command, reply);
    else if (isTaken) this.#holds.add(call.command, grant, reply);
    else if (!this.#isExpected(grant, others())) return undoOf(grant);
    return undefined;
  }

  /** The connection is gone. */
  cut(): void {
    const { clock, lingerMs, onOver } = this.#options;
    if (this.#session === undefined) {
      this.#lose();
      return;
    }
    const alarm = (): void => {
      this.#lose();
      onOver();
    };
    this.#stopTimer ??= clock.after(lingerMs, { alarm, keepsAlive: false });
  }

  /** The broker has answered `hello`. Answers those of the `waiting` calls whose answer the session tells, and returns what is to
   *  be said before them. Undefined: the session is a new one. */
  greeted({ session, holds }: HelloReply, waiting: readonly Call[]): readonly Outgoing[] | undefined {
    this.#stop();
    if (this.#options.lingerMs > 0) this.#session = { id: session.id, secret: session.secret };
    if (!session.resumed) {
      this.#lose();
      return undefined;
    }
    for (const ended of this.#holds.retain(holds)) {
      for (const call of waiting) {
        if (call.mayHaveRun && ending.test(call.action) && isAbout(call.command, ended))
          call.succeed({ released: true });
      }
      if (ended.kind === "grant") this.grants.get(ended.id)?.lose();
      else if (ended.kind === "job") this.grants.get(`job ${ended.fence}`)?.lose();
    }
    const unexpected = holds.filter((hold): hold is Grant => isGrant(hold) && !this.#isExpected(hold, waiting));
    return unexpected.map(undoOf);
  }

  /** There is no connection any more. What was held `isLost` where the caller did not close it himself. */
  close(isLost: boolean): void {
    this.#stop();
    if (isLost) this.#lose();
    else this.#loseGrants();
  }

  #lose(): void {
    this.#stop();
    const lost = this.#holds.lose();
    this.#loseGrants();
    const { onLost } = this.#options;
    // What a caller's code throws is not ours to handle.
    if (lost.length > 0 && onLost !== undefined) queueMicrotask(() => onLost(lost));
  }

  #loseGrants(): void {
    for (const grant of [...this.grants.values()]) grant.lose();
  }

  #stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  /** Whether a caller knows of `grant`, or one of the `waiting` will: a lease is renewed by the command that was granted it,
   *  a turn answers one that waits for it. */
  #isExpected(grant: Grant, waiting: readonly Call[]): boolean {
    if (this.#holds.has(grant)) return true;
    const call = waiting.find((one) => isAbout(one.command, grant));
    if (call !== undefined && grant.kind === "once") {
      const reply = { leader: true, fence: grant.fence };
      call.succeed(reply);
      this.#holds.add(call.command, grant, reply);
    }
    return call !== undefined;
  }
}
