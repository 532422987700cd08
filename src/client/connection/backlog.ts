/**
 * The calls that wait for a connection, or for room on it, in the order they are to be sent. Bounded. Calls that were
 * settled meanwhile are passed over when their turn comes.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import type { Call } from "./call.ts";

/** Calls one client holds back. */
export const backlogCallsMax = 100_000;

export class Backlog {
  /** Whether calls have been settled since they were looked through for the last time. */
  hasSettled = false;
  #calls: Call[] = [];
  /** Where the first call stands: taking one moves this, not the others. */
  #head = 0;

  get isEmpty(): boolean {
    return this.#head === this.#calls.length;
  }

  /** @throws {EphemeralError} `too_many_commands` when the bound is reached */
  add(call: Call): void {
    // Looking through them for each call that is refused would take milliseconds for each.
    if (this.#isFull && this.hasSettled) this.dropSettled();
    if (this.#isFull) {
      throw new EphemeralError(
        "too_many_commands",
        `Cannot ${call.action}: ${backlogCallsMax} commands of this client wait to be sent already, the limit`,
      );
    }
    this.#calls.push(call);
  }

  /** Puts calls that were sent before back in front of those that were not. */
  putBack(calls: readonly Call[]): void {
    this.#reset([...calls, ...this.waiting()]);
  }

  /** Takes the first call that still wants an answer. */
  take(): Call | undefined {
    while (this.#head < this.#calls.length) {
      const call = this.#calls[this.#head++];
      if (2 * this.#head >= this.#calls.length) this.#reset(this.#calls.slice(this.#head));
      if (call !== undefined && !call.isSettled) return call;
    }
    return undefined;
  }

  /** Those that still want an answer, in order. */
  waiting(): readonly Call[] {
    return this.#calls.slice(this.#head).filter((call) => !call.isSettled);
  }

  get #isFull(): boolean {
    return this.#calls.length - this.#head >= backlogCallsMax;
  }

  dropSettled(): void {
    this.hasSettled = false;
    this.#reset([...this.waiting()]);
  }

  #reset(calls: Call[]): void {
    this.#calls = calls;
    this.#head = 0;
  }
}
