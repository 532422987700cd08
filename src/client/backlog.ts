/**
 * The calls that wait for a connection, or for room on it, in the order they are to be sent. Bounded. Calls that were
 * settled meanwhile are passed over when their turn comes.
 */
import { EphemeralError } from "../protocol/errors.ts";
import type { Call } from "./call.ts";

/** Calls one client holds back. */
export const backlogCallsMax = 100_000;

export class Backlog {
  #calls: Call[] = [];
  /** Where the first call stands: taking one moves this, not the others. */
  #head = 0;

  get isEmpty(): boolean {
    return this.#head === this.#calls.length;
  }

  /** @throws {EphemeralError} `too_many_commands` when the bound is reached */
  add(call: Call): void {
    if (this.#calls.length >= backlogCallsMax) this.dropSettled();
    if (this.#calls.length >= backlogCallsMax) {
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
      if (this.isEmpty) this.#reset([]);
      if (call !== undefined && !call.isSettled) return call;
    }
    return undefined;
  }

  /** Those that still want an answer, in order. */
  waiting(): readonly Call[] {
    return this.#calls.slice(this.#head).filter((call) => !call.isSettled);
  }

  dropSettled(): void {
    this.#reset([...this.waiting()]);
  }

  #reset(calls: Call[]): void {
    this.#calls = calls;
    this.#head = 0;
  }
}
