/**
 * How long the broker lives: who joined its run, how long nobody has been connected, who asked it to end, and the wait for
 * the joiners once it is about to. Ends nothing itself: whoever started the broker is told, and stops it.
 */

import type { CancelAlarm, Clock } from "../engine/clock.ts";
import { deferred } from "../engine/deferred.ts";
import { type BrokerEvent, type BrokerState, type EndReason, nextBrokerState } from "./broker-state.ts";
import type { Session } from "./sessions/session.ts";

export interface LifetimeOptions {
  readonly clock: Clock;
  /** How long the broker may be without a connection; 0 for as long as it takes. */
  readonly idleTimeoutMs: number;
  /** Told once, when the broker is no longer one to join. */
  readonly draining: () => void;
}

export class Lifetime {
  readonly #options: LifetimeOptions;
  readonly #endAsked = deferred<EndReason>();
  /** Ids of the sessions that joined. */
  readonly #joiners = new Set<string>();
  /** What waits for the joiners to have gone. */
  readonly #drained = new Set<() => void>();
  #state: BrokerState = "running";
  #cancelIdleAlarm: CancelAlarm | undefined;

  /** Nobody is connected yet: the idle time begins. */
  constructor(options: LifetimeOptions) {
    this.#options = options;
    this.connectionsOpen(0);
  }

  get state(): BrokerState {
    return this.#state;
  }

  get joiners(): number {
    return this.#joiners.size;
  }

  /** Resolves, once, when somebody asks for the end. */
  get endAsked(): Promise<EndReason> {
    return this.#endAsked.promise;
  }

  /** From now on `session` holds the broker's end up, until it ends itself. */
  join(session: Session): void {
    this.#joiners.add(session.id);
  }

  /** Asks whoever started the broker to end it. No one can join any more. */
  askToEnd(reason: EndReason): void {
    this.#advance("drain");
    this.#endAsked.resolve(reason);
  }

  /** A session has ended, and with it what it joined. */
  sessionEnded(session: Session): void {
    if (this.#joiners.delete(session.id) && this.#joiners.size === 0) this.#tellDrained();
  }

  /** So many connections are open now. */
  connectionsOpen(count: number): void {
    this.#cancelIdleAlarm?.();
    this.#cancelIdleAlarm = undefined;
    const { clock, idleTimeoutMs } = this.#options;
    if (count > 0 || idleTimeoutMs === 0 || this.#state !== "running") return;
    this.#cancelIdleAlarm = clock.schedule(clock.nowMs() + idleTimeoutMs, () => this.askToEnd("idle"));
  }

  /** Refuses new joiners and resolves when those there are have gone, at most `graceMs` later. */
  async drain(graceMs: number): Promise<void> {
    this.#advance("drain");
    if (this.#joiners.size === 0 || this.#state === "stopped") return;
    const { clock } = this.#options;
    const { promise, resolve } = deferred<void>();
    this.#drained.add(resolve);
    const cancelGrace = clock.schedule(clock.nowMs() + graceMs, resolve);
    await promise;
    cancelGrace();
    this.#drained.delete(resolve);
  }

  /** The broker ends now. */
  stop(): void {
    this.#advance("stop");
    this.#tellDrained();
  }

  #advance(event: BrokerEvent): void {
    const before = this.#state;
    this.#state = nextBrokerState(before, event);
    if (before === "running") this.#options.draining();
    this.#cancelIdleAlarm?.();
    this.#cancelIdleAlarm = undefined;
  }

  #tellDrained(): void {
    for (const resolve of this.#drained) resolve();
  }
}
