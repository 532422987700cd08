/**
 * The client's time in a test's hands: it stands still until the test moves it, and draws the number the test gave.
 * Alarms due at the same instant go off in the order they were set.
 */
import type { CancelTimer, ClientClock } from "../../src/client/client-clock.ts";

interface Alarm {
  readonly atMs: number;
  readonly keepsAlive: boolean;
  readonly alarm: () => void;
}

export class ManualClientClock implements ClientClock {
  readonly #alarms = new Set<Alarm>();
  readonly #draw: number;
  readonly #watchers: (() => void)[] = [];
  #nowMs = 0;

  constructor(options: { readonly random?: number } = {}) {
    this.#draw = options.random ?? 0;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  random(): number {
    return this.#draw;
  }

  after(delayMs: number, timer: { readonly alarm: () => void; readonly keepsAlive: boolean }): CancelTimer {
    const alarm = { ...timer, atMs: this.#nowMs + delayMs };
    this.#alarms.add(alarm);
    for (const watcher of this.#watchers.splice(0)) watcher();
    return () => this.#alarms.delete(alarm);
  }

  /** Milliseconds until the alarms that would keep a process alive: the reconnects. */
  get reconnectsInMs(): readonly number[] {
    return [...this.#alarms].filter((alarm) => alarm.keepsAlive).map((alarm) => alarm.atMs - this.#nowMs);
  }

  /** How many alarms are set. */
  get alarmsCount(): number {
    return this.#alarms.size;
  }

  /** Resolves to how long the client wants to stay away, once it has decided. */
  async reconnectPlanned(): Promise<number> {
    for (;;) {
      const [inMs] = this.reconnectsInMs;
      if (inMs !== undefined) return inMs;
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const due = [...this.#alarms].filter((alarm) => alarm.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#alarms.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.alarm();
    }
    this.#nowMs = endMs;
  }
}
