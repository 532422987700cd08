/**
 * A clock whose time a test decides. `advance` lets alarms go off in their order, each at its own instant; `skip` lets time
 * pass while nothing runs, as a busy process would.
 */
import type { CancelAlarm, Clock } from "../../src/engine/clock.ts";

interface Alarm {
  readonly atMs: number;
  readonly ring: () => void;
}

export class ManualClock implements Clock {
  #nowMs: number;
  readonly #alarms = new Set<Alarm>();

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  /** Alarms that have not gone off. */
  get alarmsPending(): number {
    return this.#alarms.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  schedule(atMs: number, ring: () => void): CancelAlarm {
    const alarm: Alarm = { atMs, ring };
    this.#alarms.add(alarm);
    return () => void this.#alarms.delete(alarm);
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let alarm = this.#next(untilMs); alarm !== undefined; alarm = this.#next(untilMs)) {
      this.#alarms.delete(alarm);
      this.#nowMs = Math.max(this.#nowMs, alarm.atMs);
      alarm.ring();
    }
    this.#nowMs = untilMs;
  }

  skip(ms: number): void {
    this.#nowMs += ms;
  }

  #next(untilMs: number): Alarm | undefined {
    let soonest: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.atMs <= untilMs && (soonest === undefined || alarm.atMs < soonest.atMs)) soonest = alarm;
    }
    return soonest;
  }
}
