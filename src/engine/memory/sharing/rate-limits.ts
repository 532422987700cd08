/**
 * Rate limits: for each key what was granted within the window, until when nobody may pass, and who waits. Whoever waits is
 * served in the order of arrival, at the instant there is room. Counts on its caller to have swept.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { Limits } from "../../../protocol/limits.ts";
import type { LimitGrant } from "../../../protocol/sharing.ts";
import type { Awaitable, Waiting } from "../../engine.ts";
import { Expiring, type ExpiryHeap } from "../../expiry-heap.ts";
import type { LimitRequest } from "../../sharing.ts";
import { type Wait, WaitQueues, type Waits } from "../../wait-queue.ts";
import { inWords } from "../../wording.ts";
import { SlidingLog } from "./sliding-log.ts";

export interface RateLimitsOptions {
  readonly expiries: ExpiryHeap;
  readonly limits: Limits;
  readonly waits: Waits;
  /** Throws `too_many_names` when no further name can be kept. */
  readonly requireName: (name: string) => void;
}

/** One key. Its own node in the heap: due when the first who waits can pass, or when there is nothing left to remember. */
class RateLimit extends Expiring {
  readonly key: string;
  readonly #due: (limit: RateLimit, nowMs: number) => void;
  /** So much within the log's window; 0 while only a penalty is known. */
  limit = 0;
  log = new SlidingLog(1);
  penaltyEndsAtMs = Number.NEGATIVE_INFINITY;
  /** What those who wait want, in all. */
  awaited = 0;

  constructor(key: string, due: (limit: RateLimit, nowMs: number) => void) {
    super();
    this.key = key;
    this.#due = due;
  }

  get isAwaited(): boolean {
    return this.awaited > 0;
  }

  /** From when on `cost` fits behind all who wait: never now while one waits, as who can pass has passed. Exact while they fit into one window; a lower bound when they do not. */
  opensAtMs(cost: number): number {
    const lacking = this.awaited + cost - (this.limit - this.log.used);
    const freedAtMs = lacking > 0 ? this.log.freedAtMs(lacking) : Number.NEGATIVE_INFINITY;
    return Math.max(freedAtMs, this.penaltyEndsAtMs);
  }

  /** When the first who waits, for `cost`, can pass. */
  firstPassesAtMs(cost: number): number {
    const lacking = this.log.used + cost - this.limit;
    const freedAtMs = lacking > 0 ? this.log.freedAtMs(lacking) : Number.NEGATIVE_INFINITY;
    return Math.max(freedAtMs, this.penaltyEndsAtMs);
  }

  override expire(nowMs: number): void {
    this.#due(this, nowMs);
  }
}

export class RateLimits {
  readonly #options: RateLimitsOptions;
  readonly #limits = new Map<string, RateLimit>();
  readonly #waiting: WaitQueues<LimitRequest, LimitGrant>;
  /** Entries of all logs. */
  #entries = 0;

  constructor(options: RateLimitsOptions) {
    this.#options = options;
    this.#waiting = new WaitQueues({
      waits: options.waits,
      action: "limit",
      timedOut: (wait) => this.#timedOut(wait),
      left: (wait) => this.#left(wait),
    });
  }

  get size(): number {
    return this.#limits.size;
  }

  has(key: string): boolean {
    return this.#limits.has(key);
  }

  /** Grants, refuses or makes wait. */
  take(request: LimitRequest, waiting: Waiting, nowMs: number): Awaitable<LimitGrant> {
    const limit = this.#open(request, nowMs);
    const opensAtMs = limit.opensAtMs(request.cost);
    if (opensAtMs <= nowMs) return this.#grant(limit, request.cost, nowMs);
    if (waiting.waitMs === 0) throw rateLimited(limit, { opensAtMs, nowMs });
    const { answer } = this.#waiting.enqueue({ name: request.key, request, waiting, nowMs });
    limit.awaited += request.cost;
    this.#arm(limit);
    return answer;
  }

  penalize({ key, forMs }: { readonly key: string; readonly forMs: number }, nowMs: number): void {
    const limit = this.#limits.get(key) ?? this.#add(key);
    limit.penaltyEndsAtMs = Math.max(limit.penaltyEndsAtMs, nowMs + forMs);
    this.#arm(limit);
  }

  clear(): void {
    this.#limits.clear();
    this.#entries = 0;
  }

  /** The limit of that key, with the numbers of `request`: it has none of its own while nothing is in its window. */
  #open({ key, limit: wanted, windowMs }: LimitRequest, nowMs: number): RateLimit {
    const limit = this.#limits.get(key) ?? this.#add(key);
    this.#trim(limit, nowMs);
    if (limit.limit === wanted && limit.log.windowMs === windowMs) return limit;
    if (limit.log.size > 0 || limit.isAwaited) throw otherNumbers(limit, { limit: wanted, windowMs });
    limit.limit = wanted;
    limit.log = new SlidingLog(windowMs);
    return limit;
  }

  #add(key: string): RateLimit {
    this.#options.requireName(key);
    const limit = new RateLimit(key, this.#due);
    this.#limits.set(key, limit);
    this.#options.expiries.set(limit, this.#options.expiries.sweptAtMs);
    return limit;
  }

  #grant(limit: RateLimit, cost: number, nowMs: number): LimitGrant {
    const { log } = limit;
    const { rateGrantsMax } = this.#options.limits;
    if (this.#entries >= rateGrantsMax) throw tooManyGrants(limit.key, rateGrantsMax);
    this.#entries -= log.size;
    log.add(nowMs, cost);
    this.#entries += log.size;
    return { remaining: limit.limit - log.used, resetAtMs: log.endsAtMs };
  }

  readonly #due = (limit: RateLimit, nowMs: number): void => {
    this.#trim(limit, nowMs);
    for (let wait = this.#waiting.first(limit.key); wait !== undefined; wait = this.#waiting.first(limit.key)) {
      const { cost } = wait.request;
      if (limit.firstPassesAtMs(cost) > nowMs) break;
      this.#serve(wait, () => this.#grant(limit, cost, nowMs));
    }
    this.#arm(limit);
  };

  #serve(wait: Wait<LimitRequest, LimitGrant>, grant: () => LimitGrant): void {
    try {
      wait.settle(grant());
    } catch (error) {
      if (!(error instanceof EphemeralError)) throw error;
      wait.fail(error);
    }
  }

  #trim({ log }: RateLimit, nowMs: number): void {
    this.#entries -= log.size;
    log.trim(nowMs);
    this.#entries += log.size;
  }

  #left({ name, request }: Wait<LimitRequest, LimitGrant>): void {
    const limit = this.#limits.get(name);
    if (limit === undefined) return;
    limit.awaited -= request.cost;
    this.#arm(limit);
  }

  /** Sees that the limit is looked at again when there is something to do: never within this call, so that whoever makes way
   *  has gone for good by then. */
  #arm(limit: RateLimit): void {
    const first = this.#waiting.first(limit.key);
    const { expiries } = this.#options;
    if (first !== undefined)
      expiries.set(limit, Math.max(limit.firstPassesAtMs(first.request.cost), expiries.sweptAtMs));
    else if (limit.log.size > 0 || limit.penaltyEndsAtMs > expiries.sweptAtMs) {
      expiries.set(limit, Math.max(limit.log.endsAtMs, limit.penaltyEndsAtMs));
    } else {
      expiries.remove(limit);
      this.#limits.delete(limit.key);
    }
  }

  #timedOut({ name, request, waitMs, sinceAtMs }: Wait<LimitRequest, LimitGrant>): EphemeralError {
    const nowMs = sinceAtMs + waitMs;
    const limit = this.#limits.get(name);
    const opensAtMs = limit?.firstPassesAtMs(request.cost) ?? nowMs;
    const actual = limit === undefined ? "it is unused" : stateOf(limit, { opensAtMs, nowMs });
    return new EphemeralError(
      "timeout",
      `Timed out after ${waitMs} ms waiting for limit ${JSON.stringify(name)}: ${actual}`,
      {
        retryAfterMs: Math.max(opensAtMs - nowMs, 0),
      },
    );
  }
}

interface Opening {
  readonly opensAtMs: number;
  readonly nowMs: number;
}

function stateOf(limit: RateLimit, { opensAtMs, nowMs }: Opening): string {
  const { log } = limit;
  const penalty = limit.penaltyEndsAtMs > nowMs ? `held back for ${inWords(limit.penaltyEndsAtMs - nowMs)} more, ` : "";
  const used = `${log.used} of ${limit.limit} are used within ${inWords(log.windowMs)}`;
  return `${penalty}${used}, there is room in ${inWords(Math.max(opensAtMs - nowMs, 0))}`;
}

function rateLimited(limit: RateLimit, opening: Opening): EphemeralError {
  const text = `Cannot pass limit ${JSON.stringify(limit.key)}: ${stateOf(limit, opening)}`;
  return new EphemeralError("rate_limited", text, { retryAfterMs: Math.max(opening.opensAtMs - opening.nowMs, 1) });
}

function otherNumbers(limit: RateLimit, wanted: Pick<LimitRequest, "limit" | "windowMs">): EphemeralError {
  const { windowMs } = limit.log;
  const actual = `it is in use with ${limit.limit} in ${windowMs} ms`;
  const text = `Cannot pass limit ${JSON.stringify(limit.key)} with ${wanted.limit} in ${wanted.windowMs} ms: ${actual}`;
  return new EphemeralError("size_mismatch", text, { details: { limit: limit.limit, windowMs } });
}

function tooManyGrants(key: string, rateGrantsMax: number): EphemeralError {
  const actual = `${rateGrantsMax} grants of rate limits are within their windows, that is as many as can be remembered`;
  return new EphemeralError("too_many_names", `Cannot pass limit ${JSON.stringify(key)}: ${actual}`);
}
