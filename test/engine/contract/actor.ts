/**
 * One session, as the contract's sentences speak of it. Its methods never reject: a refusal is an answer like any other,
 * so that it may come while nobody looks. A wait can be cancelled by the handle it was given.
 */
import type {
  Awaitable,
  Caller,
  Engine,
  IncrRequest,
  LeaseRequest,
  ListRequest,
  SetRequest,
  WaitHandle,
  Waiting,
} from "../../../src/engine/engine.ts";
import { EphemeralError } from "../../../src/protocol/errors.ts";
import type { Limits } from "../../../src/protocol/limits.ts";

/** An engine with its time in the test's hands. */
export interface EngineUnderTest {
  readonly engine: Engine;
  nowMs(): number;
  /** Time passes; what falls due in it happens. */
  advance(ms: number): void | Promise<void>;
  /** Time passes, and no alarm has gone off yet. An engine without alarms may do the same as in `advance`. */
  skip(ms: number): void | Promise<void>;
}

export type EngineFactory = (limits?: Partial<Limits>) => EngineUnderTest | Promise<EngineUnderTest>;

/** A refusal, as an answer. */
export interface Refusal {
  readonly error: string;
  readonly message: string;
  readonly details: unknown;
}

/** Fields of any answer; the one expected is the one that is there. */
export type Answer = Partial<Refusal> & {
  readonly value?: unknown;
  readonly fence?: number | undefined;
  readonly version?: number | undefined;
  readonly role?: string;
  readonly [field: string]: unknown;
};

export class Actor {
  readonly engine: Engine;
  readonly caller: Caller;

  constructor(engine: Engine, id: string, label?: string) {
    this.engine = engine;
    this.caller = { id, label };
  }

  set(key: string, value: string, request?: Partial<SetRequest>): Promise<Answer> {
    return answerOf(() => this.engine.set({ key, value, ttlMs: 60_000, compressed: false, ...request }));
  }

  get(key: string, waitMs = 0, handle: WaitHandle = {}): Promise<Answer> {
    return answerOf(() => this.engine.get({ key }, this.#waiting(waitMs, handle)));
  }

  /** A `get` that gives the key its whole time to live again. */
  refresh(key: string): Promise<Answer> {
    return answerOf(() => this.engine.get({ key, refresh: true }, this.#waiting(0, {})));
  }

  touch(key: string, ttlMs: number): Promise<Answer> {
    return answerOf(() => this.engine.touch({ key, ttlMs }));
  }

  incr(key: string, by = 1, request?: Partial<IncrRequest>): Promise<Answer> {
    return answerOf(() => this.engine.incr({ key, by, ttlMs: undefined, ttlMsIfNew: 60_000, ...request }));
  }

  /** Sets a key that ends with this session. */
  own(key: string, value: string, request?: Partial<SetRequest>): Promise<Answer> {
    return this.set(key, value, { ttlMs: undefined, owner: this.caller, ...request });
  }

  del(key: string, version?: number): Promise<Answer> {
    return answerOf(() => this.engine.del(key, version));
  }

  list(request?: Partial<ListRequest>): Promise<Answer> {
    return answerOf(() => this.engine.list({ prefix: "", cursor: undefined, limit: 100, ...request }));
  }

  lease(
    key: string,
    workerId: string,
    request?: Partial<LeaseRequest> & { waitMs?: number; handle?: WaitHandle },
  ): Promise<Answer> {
    const { waitMs = 0, handle = {}, ...rest } = request ?? {};
    const whole = { key, workerId, ttlMs: 60_000, size: undefined, scope: undefined, ...rest };
    return answerOf(() => this.engine.lease(whole, this.#waiting(waitMs, handle)));
  }

  release(workerId: string, key?: string): Promise<Answer> {
    return answerOf(() => this.engine.release({ workerId, key }, this.caller));
  }

  once(key: string, waitMs = 0, handle: WaitHandle = {}): Promise<Answer> {
    return answerOf(() => this.engine.once(key, this.#waiting(waitMs, handle)));
  }

  resolve(key: string, fence: number | undefined, value: string, ttlMs = 60_000): Promise<Answer> {
    return answerOf(() => this.engine.onceResolve({ key, fence: fence ?? -1, value, ttlMs }));
  }

  /** Gives the turn back: nobody fails. */
  pass(key: string, fence: number | undefined): Promise<Answer> {
    return answerOf(() => this.engine.onceReject({ key, fence: fence ?? -1, reason: "", cacheMs: 1000, pass: true }));
  }

  reject(key: string, fence: number | undefined, reason: string, cacheMs = 0): Promise<Answer> {
    return answerOf(() => this.engine.onceReject({ key, fence: fence ?? -1, reason, cacheMs }));
  }

  end(): Promise<Answer> {
    return answerOf(() => this.engine.endSession(this.caller));
  }

  async holds(): Promise<readonly string[]> {
    const holds = await this.engine.holdsOf(this.caller.id);
    return holds.map((hold) => `${hold.kind} ${hold.id}${hold.kind === "lease" ? `/${hold.workerId}` : ""}`);
  }

  async waits(): Promise<readonly string[]> {
    return (await this.engine.waitsOf(this.caller.id)).map(({ action, key }) => `${action} ${key}`);
  }

  #waiting(waitMs: number, handle: WaitHandle): Waiting {
    return { caller: this.caller, waitMs, handle };
  }
}

/** Runs `command` at once and gives its answer or its refusal; anything else that is thrown stays an error. */
export async function answerOf(command: () => Awaitable<unknown>): Promise<Answer> {
  try {
    return Object(await command()) as Answer; // every answer is an object; of nothing, an empty one
  } catch (error) {
    if (!(error instanceof EphemeralError)) throw error;
    return { error: error.code, message: error.message, details: error.details };
  }
}

/** Gives `answer` when it is there already, "waits" when not. */
export function now(answer: Promise<Answer>): Promise<Answer | "waits"> {
  return Promise.race([answer, new Promise<"waits">((resolve) => setImmediate(() => resolve("waits")))]);
}

export function cancelled(): EphemeralError {
  return new EphemeralError("cancelled", "Cancelled by the test");
}
