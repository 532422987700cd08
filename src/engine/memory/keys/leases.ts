/**
 * Numbered leases: for each key the lowest free numbers, who holds which, until when, and who waits for one. A number that
 * becomes free, for whatever reason, goes to the first waiter in the same call, so waiters stand only where all are held.
 * Counts on its caller to have swept, so a lease that is here is alive.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { Limits } from "../../../protocol/limits.ts";
import type { WhyHolder } from "../../../protocol/pools.ts";
import type {
  Awaitable,
  Caller,
  HeldBySession,
  Lease,
  LeaseReleaseRequest,
  LeaseRequest,
  Waiting,
} from "../../engine.ts";
import type { ExpiryHeap } from "../../expiry-heap.ts";
import { OwnerIndex } from "../../owner-index.ts";
import { type Wait, WaitQueues, type Waits } from "../../wait-queue.ts";
import { inWords, listed, nameOf } from "../../wording.ts";
import { HeldLease, NumberedPool } from "./held-lease.ts";

type LeaseWait = Wait<LeaseRequest, Lease>;

export interface LeasesOptions {
  readonly expiries: ExpiryHeap;
  readonly limits: Limits;
  readonly waits: Waits;
  readonly nextFence: () => number;
  /** Throws `too_many_names` when no further name can be kept. */
  readonly requireName: (name: string) => void;
}

export class Leases {
  readonly #options: LeasesOptions;
  readonly #pools = new Map<string, NumberedPool>();
  readonly #byWorker = new OwnerIndex<HeldLease>();
  readonly #bySession = new OwnerIndex<HeldLease>();
  readonly #waiting: WaitQueues<LeaseRequest, Lease>;
  readonly #waitsByWorker = new OwnerIndex<LeaseWait>();
  #size = 0;
  #expiredCount = 0;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#waiting = new WaitQueues({
      waits: options.waits,
      action: "lease",
      timedOut: (wait) => this.#timedOut(wait),
      left: (wait) => this.#waitsByWorker.delete(wait.request.workerId, wait),
    });
  }

  /** Numbers held now. */
  get size(): number {
    return this.#size;
  }
  /** Keys of which a number is held now. */
  get namesCount(): number {
    return this.#pools.size;
  }
  /** How many leases have come to their deadline so far. */
  get expiredCount(): number {
    return this.#expiredCount;
  }

  /** Renews, grants, refuses or makes wait, in this order. */
  lease(request: LeaseRequest, waiting: Waiting, nowMs: number): Awaitable<Lease> {
    const pool = this.#pools.get(request.key);
    refuseOtherSize(request, pool);
    const held = pool?.held.get(request.workerId);
    if (held !== undefined) return this.#renew(held, request, { caller: waiting.caller, nowMs });
    if (pool?.isFull(pool.size ?? request.size)) return this.#waitFor(pool, request, { waiting, nowMs });
    this.#requireRoom(request.key);
    return this.#grant(pool ?? this.#addPool(request.key), request, { caller: waiting.caller, nowMs });
  }

  /** Frees all the request names, or nothing. */
  release({ workerId, key }: LeaseReleaseRequest, caller: Caller, nowMs: number): { readonly released: boolean } {
    const held = this.#byWorker.of(workerId);
    const chosen = key === undefined || key === "*" ? held : held.filter((lease) => lease.pool.key === key);
    if (key === undefined && chosen.length > 1) throw severalHeld(workerId, chosen);
    for (const lease of chosen) if (!lease.isOpenTo(caller)) throw notOwner("release", lease);
    for (const lease of chosen) this.#free(lease, nowMs);
    return { released: chosen.length > 0 };
  }

  /** Frees what ends with the session. What does not stays, under the name the session had. */
  endSession(sessionId: string, nowMs: number): void {
    for (const lease of this.#bySession.of(sessionId)) {
      this.#bySession.delete(sessionId, lease);
      if (lease.scope === "session") this.#free(lease, nowMs);
      else orphan(lease);
    }
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return this.#bySession.of(sessionId).map(({ pool, workerId, fence, sinceAtMs }) => {
      return { kind: "lease", id: pool.key, workerId, fence, sinceAtMs };
    });
  }

  /** Who has which number of `key`. */
  holdersOf(key: string): readonly WhyHolder[] {
    return [...(this.#pools.get(key)?.held.values() ?? [])].map((lease) => lease.asHolder);
  }

  clear(): void {
    this.#pools.clear();
    this.#byWorker.clear();
    this.#bySession.clear();
    this.#size = 0;
  }

  /** The deadline of `lease` has passed; its number goes on at `nowMs`. */
  readonly #expired = (lease: HeldLease, nowMs: number): void => {
    this.#expiredCount += 1;
    this.#free(lease, nowMs);
  };

  #renew(lease: HeldLease, request: LeaseRequest, by: { caller: Caller; nowMs: number }): Lease {
    if (!lease.isOpenTo(by.caller)) throw notOwner("renew", lease);
    lease.pool.size ??= request.size;
    if (lease.sessionId === by.caller.id) lease.scope = request.scope ?? lease.scope;
    this.#options.expiries.set(lease, deadlineOf(request, by.nowMs));
    return lease.answer;
  }

  #waitFor(pool: NumberedPool, request: LeaseRequest, by: { waiting: Waiting; nowMs: number }): Promise<Lease> {
    const { waiting, nowMs } = by;
    if (waiting.waitMs === 0 || request.size === undefined) throw exhausted(pool, pool.size ?? request.size, nowMs);
    const wait = this.#waiting.enqueue({ name: pool.key, request, waiting, nowMs });
    this.#waitsByWorker.add(request.workerId, wait);
    pool.size ??= request.size;
    return wait.answer;
  }

  #grant(pool: NumberedPool, request: LeaseRequest, to: { caller: Caller; nowMs: number }): Lease {
    const { workerId, scope = "ttl" } = request;
    const fence = this.#options.nextFence();
    const value = pool.free.take();
    const lease = new HeldLease(
      { pool, workerId, value, fence, scope, sinceAtMs: to.nowMs, caller: to.caller },
      this.#expired,
    );
    pool.size ??= request.size;
    pool.held.set(workerId, lease);
    this.#byWorker.add(workerId, lease);
    this.#bySession.add(to.caller.id, lease);
    this.#size += 1;
    this.#options.expiries.set(lease, deadlineOf(request, to.nowMs));
    return lease.answer;
  }

  #free(lease: HeldLease, nowMs: number): void {
    const { pool, workerId } = lease;
    pool.held.delete(workerId);
    pool.free.give(lease.value);
    this.#byWorker.delete(workerId, lease);
    if (lease.sessionId !== undefined) this.#bySession.delete(lease.sessionId, lease);
    this.#options.expiries.remove(lease);
    this.#size -= 1;
    this.#handOn(pool, nowMs);
    if (pool.held.size === 0) this.#pools.delete(pool.key);
  }

  #handOn(pool: NumberedPool, nowMs: number): void {
    for (let wait = this.#waiting.first(pool.key); wait !== undefined && !pool.isFull(); ) {
      wait.settle(this.#grant(pool, wait.request, { caller: wait.caller, nowMs }));
      this.#settleTwins(pool, wait.request.workerId, nowMs);
      wait = this.#waiting.first(pool.key);
    }
  }

  /** The worker holds the key now: its other waits for it are renewals. */
  #settleTwins(pool: NumberedPool, workerId: string, nowMs: number): void {
    const lease = pool.held.get(workerId);
    for (const wait of this.#waitsByWorker.of(workerId)) {
      if (lease === undefined || wait.name !== pool.key) continue;
      if (lease.isOpenTo(wait.caller)) wait.settle(this.#renew(lease, wait.request, { caller: wait.caller, nowMs }));
      else wait.fail(notOwner("renew", lease));
    }
  }

  #addPool(key: string): NumberedPool {
    const pool = new NumberedPool(key);
    this.#pools.set(key, pool);
    return pool;
  }

  /** Keys without a size take any number of workers, so what they hold is bounded like the names. */
  #requireRoom(key: string): void {
    const { namesMax } = this.#options.limits;
    if (!this.#pools.has(key)) this.#options.requireName(key);
    if (this.#size < namesMax) return;
    const actual = `${this.#size} numbers are held in all, limit is ${namesMax}`;
    throw new EphemeralError("too_many_names", `Cannot lease a number of ${JSON.stringify(key)}: ${actual}`);
  }

  #timedOut({ name, waitMs, sinceAtMs }: LeaseWait): EphemeralError {
    const pool = this.#pools.get(name);
    const holders = pool === undefined ? "none is held" : holdersOf(pool, sinceAtMs + waitMs);
    const wanted = `a number of ${JSON.stringify(name)} (size ${pool?.size})`;
    return new EphemeralError("timeout", `Timed out after ${waitMs} ms waiting for ${wanted}: ${holders}`);
  }
}

/** Keeps the name the session had, and lets go of the session itself. */
function orphan(lease: HeldLease): void {
  lease.sessionId = undefined;
  lease.caller = { id: lease.caller.id, label: lease.caller.label };
}

function deadlineOf({ ttlMs }: LeaseRequest, nowMs: number): number {
  return ttlMs === undefined ? Number.POSITIVE_INFINITY : nowMs + ttlMs;
}

function refuseOtherSize({ key, size }: LeaseRequest, pool: NumberedPool | undefined): void {
  if (size === undefined || pool?.size === undefined || pool.size === size) return;
  const text = `Cannot lease a number of ${JSON.stringify(key)}: wanted size ${size}, it is in use with size ${pool.size}`;
  throw new EphemeralError("size_mismatch", text, { details: { size: pool.size } });
}

function exhausted(pool: NumberedPool, size: number | undefined, nowMs: number): EphemeralError {
  const wanted = `a number of ${JSON.stringify(pool.key)} (size ${size})`;
  return new EphemeralError("pool_exhausted", `Cannot lease ${wanted}: ${holdersOf(pool, nowMs)}`);
}

function holdersOf({ held }: NumberedPool, nowMs: number): string {
  const sentences = held.values().map((lease) => {
    return `${lease.value} held by ${lease.workerId} (${nameOf(lease.caller)}) for ${inWords(nowMs - lease.sinceAtMs)}`;
  });
  return listed(sentences, held.size);
}

function notOwner(action: string, { pool, workerId, caller }: HeldLease): EphemeralError {
  const wanted = `Cannot ${action} the lease of ${JSON.stringify(pool.key)} for worker ${JSON.stringify(workerId)}`;
  const actual = `it belongs to another session, ${nameOf(caller)}; each worker needs an id of its own`;
  return new EphemeralError("not_owner", `${wanted}: ${actual}`);
}

function severalHeld(workerId: string, leases: readonly HeldLease[]): EphemeralError {
  const keys = leases.map((lease) => JSON.stringify(lease.pool.key));
  const text = `Cannot release worker ${JSON.stringify(workerId)} without a key: it holds ${listed(keys, keys.length)}`;
  return new EphemeralError("bad_command", text, { details: { field: "key" } });
}
