/**
 * Which keys have expired, remembered for a while and up to a number, so that a reader can be told "expired" from "never
 * there". Knows only keys and instants.
 */
import type { Limits } from "../../../protocol/limits.ts";

export class ExpiredKeys {
  readonly #limits: Limits;
  /** The instant each is forgotten, soonest first: keys come in the order of their deadlines. */
  readonly #forgetAtMs = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** `key` came to its deadline at `endedAtMs`, which is no earlier than any before it. A key that lives is not remembered here,
   *  so it takes the last place. */
  add(key: string, endedAtMs: number): void {
    const { expiredRememberedMs, expiredRememberedMax } = this.#limits;
    const all = this.#forgetAtMs;
    all.set(key, endedAtMs + expiredRememberedMs);
    for (const [oldest, forgetAtMs] of all) {
      if (all.size <= expiredRememberedMax && forgetAtMs > endedAtMs) break;
      all.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#forgetAtMs.delete(key);
  }

  /** When `key` ended; undefined for one that is not remembered. */
  endedAtMs(key: string, nowMs: number): number | undefined {
    const forgetAtMs = this.#forgetAtMs.get(key);
    const isRemembered = forgetAtMs !== undefined && forgetAtMs > nowMs;
    return isRemembered ? forgetAtMs - this.#limits.expiredRememberedMs : undefined;
  }

  clear(): void {
    this.#forgetAtMs.clear();
  }
}
