/**
 * Single flight: who produces the value of a key, who waits for the outcome, and failures that are kept for a while. The
 * value itself is an ordinary key of the keyspace. A turn ends with its session and passes to the first who waits.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { WhyHolder } from "../../../protocol/pools.ts";
import type { Awaitable, Caller, HeldBySession, OnceOutcome, OnceRejection, Waiting } from "../../engine.ts";
import { Expiring, type ExpiryHeap } from "../../expiry-heap.ts";
import { OwnerIndex } from "../../owner-index.ts";
import { type Wait, WaitQueues, type Waits } from "../../wait-queue.ts";
import { inWords, nameOf } from "../../wording.ts";
import type { Keyspace } from "./keyspace.ts";

/** The turn to produce a key. */
interface Turn {
  readonly key: string;
  readonly caller: Caller;
  readonly fence: number;
  readonly sinceAtMs: number;
}

/** A producer's failure that is everyone's answer until it is forgotten; its own node in the heap. */
class KeptFailure extends Expiring {
  readonly key: string;
  readonly reason: EphemeralError;
  readonly #onces: Onces;

  constructor(onces: Onces, key: string, reason: EphemeralError) {
    super();
    this.#onces = onces;
    this.key = key;
    this.reason = reason;
  }

  override expire(): void {
    this.#onces.forget(this.key);
  }
}

export interface OncesOptions {
  readonly expiries: ExpiryHeap;
  readonly waits: Waits;
  readonly keyspace: Keyspace;
  readonly nextFence: () => number;
  /** Throws `too_many_names` when no further name can be kept. */
  readonly requireName: (name: string) => void;
}

export class Onces {
  readonly #options: OncesOptions;
  readonly #turns = new Map<string, Turn>();
  readonly #failures = new Map<string, KeptFailure>();
  readonly #bySession = new OwnerIndex<Turn>();
  readonly #waiting: WaitQueues<undefined, OnceOutcome>;

  constructor(options: OncesOptions) {
    this.#options = options;
    this.#waiting = new WaitQueues({
      waits: options.waits,
      action: "once",
      timedOut: (wait) => this.#timedOut(wait),
    });
  }

  /** Keys somebody produces now. */
  get size(): number {
    return this.#turns.size;
  }
  get namesCount(): number {
    return this.#turns.size + this.#failures.size;
  }

  /** The value, the turn, the kept failure, or a place in the queue. */
  once(key: string, waiting: Waiting, nowMs: number): Awaitable<OnceOutcome> {
    const stored = this.#options.keyspace.find(key, nowMs);
    if (stored !== undefined) return { role: "follower", stored };
    const failure = this.#failures.get(key);
    if (failure !== undefined) throw failure.reason;
    const turn = this.#turns.get(key);
    if (turn === undefined) {
      this.#options.requireName(key);
      return this.#lead(key, waiting.caller, nowMs);
    }
    if (waiting.waitMs === 0) throw producedElsewhere("Did not wait for", turn, nowMs);
    return this.#waiting.enqueue({ name: key, request: undefined, waiting, nowMs }).answer;
  }

  /** @throws {EphemeralError} `not_owner` when `fence` does not lead `key` */
  requireTurn(key: string, fence: number): Turn {
    const turn = this.#turns.get(key);
    if (turn?.fence === fence) return turn;
    const actual = turn === undefined ? "nobody produces it" : `the turn has fence ${turn.fence}`;
    throw new EphemeralError("not_owner", `Cannot end once ${JSON.stringify(key)} with fence ${fence}: ${actual}`);
  }

  /** The turn of `key` is over: its value is set. */
  resolved(turn: Turn): void {
    this.#end(turn);
  }

  /** A value stands under `key` now, whoever set it: it serves all who wait, and outdates a kept failure. */
  valueSet(key: string, nowMs: number): void {
    if (this.#failures.size > 0) this.forget(key);
    if (this.#waiting.first(key) === undefined) return;
    const stored = this.#options.keyspace.find(key, nowMs);
    if (stored !== undefined) this.#waiting.settleAll(key, { role: "follower", stored });
  }

  /** The turn of `rejection.key` is over: it passes on, or all who wait fail with its reason. */
  reject({ key, fence, reason, cacheMs, pass }: OnceRejection, nowMs: number): void {
    const turn = this.requireTurn(key, fence);
    if (pass) {
      this.#pass(turn, nowMs);
      return;
    }
    const text = `Cannot use once ${JSON.stringify(key)}: ${nameOf(turn.caller)} could not produce it: ${reason}`;
    const error = new EphemeralError("producer_failed", text, { details: { reason } });
    this.#end(turn);
    this.#waiting.failAll(key, error);
    if (cacheMs === 0) return;
    const failure = new KeptFailure(this, key, error);
    this.#failures.set(key, failure);
    this.#options.expiries.set(failure, nowMs + cacheMs);
  }

  forget(key: string): void {
    const failure = this.#failures.get(key);
    if (failure === undefined) return;
    this.#failures.delete(key);
    this.#options.expiries.remove(failure);
  }

  /** Passes every turn of the session to the first who waits for it. Its own waits must be over already. */
  endSession(sessionId: string, nowMs: number): void {
    for (const turn of this.#bySession.of(sessionId)) this.#pass(turn, nowMs);
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return this.#bySession
      .of(sessionId)
      .map(({ key, fence, sinceAtMs }) => ({ kind: "once", id: key, fence, sinceAtMs }));
  }

  /** Who produces `key`. */
  holdersOf(key: string): readonly WhyHolder[] {
    const turn = this.#turns.get(key);
    if (turn === undefined) return [];
    const { caller, fence, sinceAtMs } = turn;
    return [{ kind: "once", session: caller.id, label: caller.label, fence, sinceAtMs }];
  }

  clear(): void {
    this.#turns.clear();
    this.#failures.clear();
    this.#bySession.clear();
  }

  #lead(key: string, caller: Caller, nowMs: number): OnceOutcome {
    const turn: Turn = { key, caller, fence: this.#options.nextFence(), sinceAtMs: nowMs };
    this.#turns.set(key, turn);
    this.#bySession.add(caller.id, turn);
    return { role: "leader", fence: turn.fence };
  }

  #pass(turn: Turn, nowMs: number): void {
    this.#end(turn);
    const heir = this.#waiting.first(turn.key);
    heir?.settle(this.#lead(turn.key, heir.caller, nowMs));
  }

  #end(turn: Turn): void {
    this.#turns.delete(turn.key);
    this.#bySession.delete(turn.caller.id, turn);
  }

  #timedOut({ name, sinceAtMs, waitMs }: Wait<undefined, OnceOutcome>): EphemeralError {
    const turn = this.#turns.get(name);
    const action = `Timed out after ${waitMs} ms waiting for`;
    if (turn !== undefined) return producedElsewhere(action, turn, sinceAtMs + waitMs);
    return new EphemeralError("timeout", `${action} once ${JSON.stringify(name)}: nobody produces it`);
  }
}

function producedElsewhere(action: string, { key, caller, sinceAtMs }: Turn, nowMs: number): EphemeralError {
  const actual = `${nameOf(caller)} has been producing it for ${inWords(nowMs - sinceAtMs)}`;
  return new EphemeralError("timeout", `${action} once ${JSON.stringify(key)}: ${actual}`);
}
