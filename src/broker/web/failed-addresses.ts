/**
 * Addresses from which wrong tokens and proofs came lately. One that fails too often is not listened to for the rest of its
 * minute, so that nobody can try them out. Knows nothing of what they tried.
 */
import type { Clock } from "../../engine/clock.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Gate } from "../gates/gate.ts";

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

  /** Why `address` is not listened to, and for how long; undefined when it is. */
  refusal(address: string): EphemeralError | undefined {
    const minute = this.#minutes.get(address);
    if (minute === undefined || minute.failures < this.#failuresMax) return undefined;
    const retryAfterMs = minute.endsAtMs - this.#clock.nowMs();
    if (retryAfterMs <= 0) return undefined;
    const text = "Cannot take request: too many wrong tokens or proofs came from this address";
    return new EphemeralError("rate_limited", text, { retryAfterMs });
  }

  /** `gate` for who comes from `address`: a thousand sockets that were opened before the first failure are not a thousand
   *  tries. */
  guard(gate: Gate, address: string): Gate {
    return {
      admits: (frame) => gate.admits(frame),
      enter: (shown, nonce) => {
        const refusal = this.refusal(address);
        if (refusal !== undefined) throw refusal;
        return gate.enter(shown, nonce);
      },
    };
  }
}
