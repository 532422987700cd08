/**
 * What outlives a connection: the session to go on with, how long it is there to go on with, and what is held in it. Loaded
 * with the first dial. Knows nothing of sockets or frames.
 */
import type { CommandName } from "../../protocol/commands.ts";
import type { HelloReply } from "../../protocol/greeting.ts";
import type { CancelTimer, ClientClock } from "../client-clock.ts";
import type { Handles } from "../turns/held-grant.ts";
import type { Call, Outgoing } from "./call.ts";
import type { Introduction } from "./greeting.ts";
import type { LostHold } from "./holds.ts";
import { type Answer, Reconciliation } from "./reconciliation.ts";

export interface ResumptionOptions {
  readonly clock: ClientClock;
  readonly handles: Handles;
  /** How long the session outlives its connection; undefined leaves it to the broker, for whom it is not at all on a pipe. */
  readonly lingerMs?: number | undefined;
  /** Told of holds that ended with their session. */
  readonly onLost?: ((holds: readonly LostHold[]) => void) | undefined;
  /** `lingerMs` have passed without a connection. */
  readonly onOver: () => void;
}

/** Commands whose replies grant something to hold. */
const granting: ReadonlySet<CommandName> = new Set(["lease", "once", "acquire", "queue.take"]);

/** Commands that may be said again in the session they were said in: its holds tell whether they took effect, or they name
 *  a fence. */
const repeatable = /^(lease|release|once(\.\w+)?|acquire|renew|respond|publish|queue\.(ack|nack|renew))$/;

export class Resumption {
  readonly #options: ResumptionOptions;
  readonly #reconciliation: Reconciliation;
  #session: { readonly id: string; readonly secret: string } | undefined;
  #stopTimer: CancelTimer | undefined;
  /** All but a few clients hold nothing, and have nothing to note. */
  #hasHeld = false;

  constructor(options: ResumptionOptions) {
    this.#options = options;
    this.#reconciliation = new Reconciliation(options.handles);
  }

  /** What `hello` says of sessions. */
  get introduction(): Pick<Introduction, "lingerMs" | "session"> {
    return { lingerMs: this.#options.lingerMs, session: this.#session };
  }

  /** Whether the connection is gone and the session waits for the next. */
  get isAwaited(): boolean {
    return this.#stopTimer !== undefined;
  }

  /** Whether a command that may have run can be said again once the session goes on. */
  canRepeat(action: CommandName): boolean {
    return this.#session !== undefined && repeatable.test(action);
  }

  /** Notes an answer. Where its caller has gone, and none of the `others` is about the same, returns what gives back what was
   *  granted. */
  answered(answer: Answer, others: () => readonly Call[]): Outgoing | undefined {
    const { command, outcome } = answer.call;
    const isTaken = outcome === "answered";
    if (command.action === "acquire" && isTaken) return undefined; // the handle knows of it
    if ("grant" in command && command.grant !== undefined && command.action !== "renew") {
      this.#options.handles.grants.delete(command.grant);
      return undefined;
    }
    const isGranting = granting.has(command.action);
    this.#hasHeld ||= isGranting || ("scope" in command && command.scope === "session");
    if (!this.#hasHeld) return undefined;
    if (!isTaken && isGranting) return this.#reconciliation.unclaimed(answer, others());
    this.#reconciliation.answered(answer);
    return undefined;
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
    if (session.resumed) return this.#reconciliation.resumed(holds, waiting);
    this.#lose();
    return undefined;
  }

  /** There is no connection any more. What was held `isLost` where the caller did not close it himself. */
  close(isLost: boolean): void {
    this.#stop();
    if (isLost) this.#lose();
    else this.#loseHandles();
  }

  #lose(): void {
    this.#stop();
    const lost = [...this.#loseHandles(), ...this.#reconciliation.lose()];
    const { onLost } = this.#options;
    // What a caller's code throws is not ours to handle.
    if (lost.length > 0 && onLost !== undefined) queueMicrotask(() => onLost(lost));
  }

  #loseHandles(): readonly LostHold[] {
    const { grants, jobs } = this.#options.handles;
    const lost = [...grants.values()];
    for (const handle of [...lost, ...jobs.values()]) handle.lose();
    return lost.map(({ id, fence }) => ({ kind: "grant", key: id, fence }));
  }

  #stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }
}
