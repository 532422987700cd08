/**
 * What outlives a connection: the session to go on with, how long it is there to go on with, and handles of what is held in
 * it. What else is to be known of holds is loaded with the first of them. Knows nothing of sockets or frames.
 */
import type { CommandName } from "../protocol/commands.ts";
import type { HelloReply } from "../protocol/greeting.ts";
import type { Call, Outgoing } from "./call.ts";
import type { CancelTimer, ClientClock } from "./client-clock.ts";
import type { Introduction } from "./greeting.ts";
import type { HeldGrant } from "./held-grant.ts";
import type { LostHold } from "./holds.ts";
import type { Reconciliation } from "./reconciliation.ts";

export interface ResumptionOptions {
  readonly clock: ClientClock;
  /** How long the session outlives its connection; undefined leaves it to the broker, for whom it is not at all on a pipe. */
  readonly lingerMs: number | undefined;
  /** Told of holds that ended with their session. */
  readonly onLost: ((holds: readonly LostHold[]) => void) | undefined;
  /** `lingerMs` have passed without a connection. */
  readonly onOver: () => void;
  /** Somebody was granted what he waits for no more, and this gives it back. */
  readonly onUnclaimed: (undo: Outgoing) => void;
}

/** Commands whose replies grant something to hold. */
const granting: ReadonlySet<CommandName> = new Set(["lease", "once", "acquire", "queue.take"]);

/** Commands that may be said again in the session they were said in: its holds tell whether they took effect, or they name
 *  a fence. */
const repeatable = /^(lease|release|once(\.\w+)?|acquire|renew|respond|publish|queue\.(ack|nack|renew))$/;

export class Resumption {
  /** What was acquired and not given back, by id. */
  readonly grants = new Map<string, HeldGrant>();
  /** Jobs that are neither acked nor given back, by fence. */
  readonly jobs = new Map<number, HeldGrant>();
  readonly #options: ResumptionOptions;
  #session: { readonly id: string; readonly secret: string } | undefined;
  #stopTimer: CancelTimer | undefined;
  #reconciliation: Reconciliation | undefined;
  /** What is to be done once it is loaded, in this order. */
  readonly #steps: ((reconciliation: Reconciliation) => void)[] = [];
  #loading: Promise<Reconciliation> | undefined;

  constructor(options: ResumptionOptions) {
    this.#options = options;
  }

  /** What `hello` says of sessions. */
  get introduction(): Pick<Introduction, "lingerMs" | "session"> {
    return { lingerMs: this.#options.lingerMs, session: this.#session };
  }

  /** Whether the connection is gone and the session waits for the next. */
  get isAwaited(): boolean {
    return this.#stopTimer !== undefined;
  }

  /** What must have been loaded before a session is greeted: it may be gone on with, or what ended with the one before is to be
   *  told before the same is held again. */
  get loading(): Promise<unknown> | undefined {
    return this.#options.lingerMs ? this.#load() : this.#loading;
  }

  /** Whether a command that may have run can be said again once the session goes on. */
  canRepeat(action: CommandName): boolean {
    return this.#session !== undefined && repeatable.test(action);
  }

  /** Notes an answer; `reply` is undefined where the broker says that we do not hold what the command ends. */
  answered({ call, reply, others }: { call: Call; reply: object | undefined; others: () => readonly Call[] }): void {
    const { command } = call;
    const isTaken = call.outcome === "answered";
    if (command.action === "acquire" && isTaken) return; // the handle knows of it
    if ("grant" in command && command.grant !== undefined && command.action !== "renew") {
      this.grants.delete(command.grant);
      return;
    }
    if (this.#loading === undefined) {
      // All but a few clients hold nothing, and have nothing to note.
      const isGranting = granting.has(command.action) || ("scope" in command && command.scope === "session");
      if (!isGranting) return;
    }
    if (isTaken || !granting.has(command.action)) {
      this.#do((reconciliation) => reconciliation.answered({ call, reply }));
      return;
    }
    // Looked at behind all else that was answered meanwhile: the caller may have asked again, and got the same.
    void this.#load().then((reconciliation) => {
      const undo = reconciliation.unclaimed({ call, reply }, others());
      if (undo !== undefined) this.#options.onUnclaimed(undo);
    });
  }

  /** The connection is gone. */
  cut(): void {
    const { clock, lingerMs = 0, onOver } = this.#options;
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
    if (this.#options.lingerMs) this.#session = { id: session.id, secret: session.secret };
    if (session.resumed) return this.#reconciliation?.resumed(holds, waiting);
    this.#lose();
    return undefined;
  }

  /** There is no connection any more. What was held `isLost` where the caller did not close it himself. */
  close(isLost: boolean): void {
    this.#stop();
    if (isLost) this.#lose();
    else this.#loseGrants();
  }

  #lose(): void {
    this.#stop();
    const grants = this.#loseGrants();
    if (this.#loading === undefined) this.#tellLost(grants);
    else this.#do((reconciliation) => this.#tellLost([...grants, ...reconciliation.lose()]));
  }

  #tellLost(lost: readonly LostHold[]): void {
    const { onLost } = this.#options;
    // What a caller's code throws is not ours to handle.
    if (lost.length > 0 && onLost !== undefined) queueMicrotask(() => onLost(lost));
  }

  #loseGrants(): readonly LostHold[] {
    const lost = [...this.grants.values()];
    for (const handle of [...lost, ...this.jobs.values()]) handle.lose();
    return lost.map(({ id, fence }) => ({ kind: "grant", key: id, fence }));
  }

  #stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #do(step: (reconciliation: Reconciliation) => void): void {
    if (this.#reconciliation !== undefined) step(this.#reconciliation);
    else {
      this.#steps.push(step);
      void this.#load();
    }
  }

  #load(): Promise<Reconciliation> {
    this.#loading ??= import("./reconciliation.ts").then(({ Reconciliation }) => {
      const reconciliation = new Reconciliation(this);
      this.#reconciliation = reconciliation;
      for (const step of this.#steps.splice(0)) step(reconciliation);
      return reconciliation;
    });
    return this.#loading;
  }
}
