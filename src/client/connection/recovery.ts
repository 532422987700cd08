/**
 * What follows the end of a connection: which of its calls are said again and which have failed, when to dial again, and who
 * we say we are. Loaded with the first dial, so that it is there when the network is not.
 */
import type { HelloReply } from "../../protocol/greeting.ts";
import { EphemeralError } from "../client.ts";
import { processVariables } from "../environment.ts";
import { ownLabel } from "../own-label.ts";
import { Backoff, pipeReconnectBounds, webReconnectBounds } from "./backoff.ts";
import type { Call, Outgoing } from "./call.ts";
import type { Reason } from "./failures.ts";
import type { Introduction } from "./greeting.ts";
import type { Link } from "./link.ts";
import { reads } from "./reads.ts";
import { Resumption, type ResumptionOptions } from "./resumption.ts";

export interface RecoveryOptions extends ResumptionOptions {
  readonly endpoint: string;
  readonly timeoutMs: number;
  /** Null for none; what this process is unless told. */
  readonly label?: string | null | undefined;
  readonly token?: string | undefined;
  readonly isUrl?: boolean | undefined;
  /** Has a call fail. */
  readonly fail: (call: Call, reason: Reason) => void;
}

export class Recovery {
  readonly resumption: Resumption;
  readonly #options: RecoveryOptions;
  readonly #backoff: Backoff;
  #lastLoss: Error | undefined;

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.resumption = new Resumption(options);
    this.#backoff = new Backoff(options.isUrl ? webReconnectBounds : pipeReconnectBounds);
  }

  /** What is said of us to each broker. */
  get introduction(): Introduction {
    const { label = ownLabel(processVariables()), token } = this.#options;
    return { label: label ?? undefined, token, ...this.resumption.introduction };
  }

  /** Whether the broker may have run `call`, and running it twice would matter. */
  mayHaveRun(call: Call, link: Link | undefined): boolean {
    return call.mayHaveRun || (link?.wasSent(call) === true && !reads.has(call.action));
  }

  /** The broker has answered `hello`. Answers those of the `waiting` calls whose answer the session tells, fails those that may
   *  have run in another, and returns what is to be said before all others. */
  greeted(hello: HelloReply, waiting: readonly Call[]): readonly Outgoing[] {
    this.#backoff.greeted(this.#options.clock.nowMs());
    const undo = this.resumption.greeted(hello, waiting);
    if (undo === undefined) for (const call of waiting) if (call.mayHaveRun) this.#cutOff(call);
    return undo ?? [];
  }

  /** `link` is gone; undefined when none was to be had. Returns those of its calls that are to be said again; the others have
   *  failed. */
  lost(loss: Error, link: Link | undefined): readonly Call[] {
    this.#lastLoss = loss;
    const again: Call[] = [];
    for (const call of link?.unanswered() ?? []) {
      call.mayHaveRun = this.mayHaveRun(call, link);
      if (call.mayHaveRun && !this.resumption.canRepeat(call.action)) this.#cutOff(call);
      else again.push(call);
    }
    const { clock, timeoutMs } = this.#options;
    for (const call of again) {
      call.id = 0;
      if (call.waits) call.deadlineMs = clock.nowMs() + timeoutMs;
    }
    return again;
  }

  /** How long to stay away after the loss that was told last; the broker's own wish wins. To be asked once. */
  delayMs(): number {
    const { clock } = this.#options;
    const delayMs = this.#backoff.lost(clock.nowMs(), clock.random());
    return (this.#lastLoss instanceof EphemeralError ? this.#lastLoss.retryAfterMs : undefined) ?? delayMs;
  }

  #cutOff(call: Call): void {
    const text = `the connection to ${this.#options.endpoint} was cut before the answer; whether it took effect is unknown`;
    this.#options.fail(call, { code: "unavailable", message: `${text} (${this.#lastLoss?.message})` });
  }
}
