/**
 * Addresses from which wrong tokens and proofs came lately. One that fails too often is not listened to for the rest of its
 * minute, so that nobody can try them out. Knows nothing of what they tried.
 */
import type { Clock } from "../../engine/clock.ts";

const minuteMs = 60_000;
/** Past it the oldest is forgotten. */
const addressesMax = 10_000;

interface Minute {
  readonly endsAtMs: number;
  failures: number;
}

export class FailedAddresses {
  readonly #clock: Clock;
  readonly #failuresMax: number;
  readonly #minutes = new Map<string, Minute>();

  constructor(options: { readonly clock: Clock; readonly failuresMax: number }) {
    this.#clock = options.clock;
    this.#failuresMax = options.failuresMax;
  }

  add(address: string): void {
    const nowMs = this.#clock.nowMs();
    const minute = this.#minutes.get(address);
    if (minute !== undefined && minute.endsAtMs > nowMs) minute.failures++;
    else {
      this.#minutes.delete(address);
      this.#minutes.set(address, { endsAtMs: nowMs + minuteMs, failures: 1 });
    }
    if (this.#minutes.size > addressesMax)
      for (const oldest of this.#minutes.keys()) return void this.#minutes.delete(oldest);
  }

  /** For how long `address` is not listened to, in milliseconds; 0 when it is. */
  refusedForMs(address: string): number {
    const minute = this.#minutes.get(address);
    if (minute === undefined || minute.failures < this.#failuresMax) return 0;
    return Math.max(minute.endsAtMs - this.#clock.nowMs(), 0);
  }
}
