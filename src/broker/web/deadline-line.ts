/**
 * Deadlines of many that all come the same time after they were set: they stand in line, and one alarm goes off for the
 * first. Ten thousand cost one timer. Knows nothing of who stands in it.
 */
import type { CancelAlarm, Clock } from "../../engine/clock.ts";

export interface DeadlineLineOptions<Member> {
  readonly clock: Clock;
  /** From the setting of a deadline to its coming, in milliseconds. */
  readonly afterMs: number;
  /** The deadline of `member` has come; it stands in line no more. */
  readonly due: (member: Member) => void;
}

export class DeadlineLine<Member> {
  readonly #options: DeadlineLineOptions<Member>;
  /** When each is due, soonest first: a map keeps the order in which its keys were added. */
  readonly #dueAtMs = new Map<Member, number>();
  #cancelAlarm: CancelAlarm | undefined;

  constructor(options: DeadlineLineOptions<Member>) {
    this.#options = options;
  }

  has(member: Member): boolean {
    return this.#dueAtMs.has(member);
  }

  /** Sets the deadline of `member`, anew if it has one. */
  set(member: Member): void {
    const { clock, afterMs } = this.#options;
    this.#dueAtMs.delete(member);
    this.#dueAtMs.set(member, clock.nowMs() + afterMs);
    if (this.#cancelAlarm === undefined) this.#arm();
  }

  /** Takes `member` out of the line. The alarm may go off for nobody, once. */
  delete(member: Member): void {
    this.#dueAtMs.delete(member);
  }

  clear(): void {
    this.#dueAtMs.clear();
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
  }

  #arm(): void {
    this.#cancelAlarm = undefined;
    for (const firstAtMs of this.#dueAtMs.values()) {
      this.#cancelAlarm = this.#options.clock.schedule(firstAtMs, this.#ring);
      return;
    }
  }

  readonly #ring = (): void => {
    const { clock, due } = this.#options;
    const nowMs = clock.nowMs();
    for (const [member, dueAtMs] of this.#dueAtMs) {
      if (dueAtMs > nowMs) break;
      this.#dueAtMs.delete(member);
      due(member);
    }
    this.#arm();
  };
}
