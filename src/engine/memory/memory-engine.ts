/**
 * The engine of one broker, in its memory. Wires the parts and sweeps before every command, so that what has passed its
 * deadline is gone for all of them alike. Synchronous: a method answers with a plain value, and with a promise only when
 * the command really waits. No code of a caller runs inside a call: waits are settled through promises.
 */
import type { Hold } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import type { WhyHolder, WhyReply } from "../../protocol/pools.ts";
import type { KeyEvent } from "../../protocol/pushes.ts";
import type { Clock } from "../clock.ts";
import type {
  Awaitable,
  Caller,
  Engine,
  EngineStats,
  GetRequest,
  HeldBySession,
  IncrRequest,
  Lease,
  LeaseReleaseRequest,
  LeaseRequest,
  ListPage,
  ListRequest,
  OnceOutcome,
  OnceRejection,
  OnceResolution,
  SetRequest,
  StoredValue,
  TouchRequest,
  WaitInfo,
  Waiting,
} from "../engine.ts";
import { ExpiryHeap } from "../expiry-heap.ts";
import type { Acquired, AcquireRequest, PoolItems, PoolSlot, PoolSlots, Renewed, WhyRequest } from "../pooling.ts";
import { Waits } from "../wait-queue.ts";
import { Channels } from "./channels/channels.ts";
import { Keyspace } from "./keys/keyspace.ts";
import { Leases } from "./keys/leases.ts";
import { Onces } from "./keys/once.ts";
import { Pools } from "./pools/pools.ts";
import { MemorySharing, sharingWaits } from "./sharing/memory-sharing.ts";
import { explain } from "./why.ts";

/** Fences grow across restarts: a broker would have to grant a thousand holds a millisecond to be overtaken. */
const fencesPerMs = 1000;

export class MemoryEngine implements Engine {
  readonly #limits: Limits;
  readonly #expiries: ExpiryHeap;
  /** Whatever waits elsewhere in the broker stands here too: it counts, is shown and ends as all the others do. */
  readonly waits: Waits;
  readonly #keyspace: Keyspace;
  readonly #leases: Leases;
  readonly #onces: Onces;
  readonly #pools: Pools;
  readonly sharing: MemorySharing;
  readonly channels: Channels;
  /** The last one given out. */
  #fence: number;
  #isClosed = false;

  /** Epochs of channels begin with `epoch`, which no other engine has; without one, with the instant it was made. */
  constructor({ clock, limits, epoch }: { clock: Clock; limits: Limits; epoch?: string }) {
    const expiries = new ExpiryHeap(clock);
    const waits = new Waits({ expiries, limits });
    const nextFence = (): number => ++this.#fence;
    const requireName = (name: string): void => this.#requireName(name);
    this.#fence = clock.nowMs() * fencesPerMs;
    this.#limits = limits;
    this.#expiries = expiries;
    this.waits = waits;
    this.#keyspace = new Keyspace({ expiries, limits, waits });
    this.#leases = new Leases({ expiries, limits, waits, nextFence, requireName });
    this.#onces = new Onces({ expiries, waits, keyspace: this.#keyspace, nextFence, requireName });
    this.#pools = new Pools({ expiries, limits, waits, nextFence, requireName });
    const now = (): number => this.#now();
    this.sharing = new MemorySharing({ expiries, limits, waits, nextFence, requireName, now });
    this.channels = new Channels({ expiries, limits, epoch: epoch ?? clock.nowMs().toString(36), requireName, now });
  }

  set(request: SetRequest): { readonly version: number } {
    const nowMs = this.#now();
    const answer = this.#keyspace.set(request, nowMs);
    this.#onces.valueSet(request.key, nowMs);
    return answer;
  }

  get(request: GetRequest, waiting: Waiting): Awaitable<StoredValue> {
    return this.#keyspace.get(request, waiting, this.#now());
  }

  touch(request: TouchRequest): { readonly expiresAtMs: number } {
    return this.#keyspace.touch(request, this.#now());
  }

  incr(request: IncrRequest): { readonly value: number; readonly version: number } {
    const nowMs = this.#now();
    const answer = this.#keyspace.incr(request, nowMs);
    this.#onces.valueSet(request.key, nowMs);
    return answer;
  }

  del(key: string, version: number | undefined): { readonly deleted: boolean } {
    this.#now();
    return this.#keyspace.del(key, version);
  }

  list(request: ListRequest): ListPage {
    this.#now();
    return this.#keyspace.list(request);
  }

  lease(request: LeaseRequest, waiting: Waiting): Awaitable<Lease> {
    return this.#leases.lease(request, waiting, this.#now());
  }

  release(request: LeaseReleaseRequest, caller: Caller): { readonly released: boolean } {
    return this.#leases.release(request, caller, this.#now());
  }

  once(key: string, waiting: Waiting): Awaitable<OnceOutcome> {
    return this.#onces.once(key, waiting, this.#now());
  }

  /** When the value cannot be stored, the turn stays with its leader. */
  onceResolve({ key, fence, value, ttlMs }: OnceResolution): { readonly version: number } {
    const nowMs = this.#now();
    const turn = this.#onces.requireTurn(key, fence);
    const answer = this.#keyspace.set({ key, value, ttlMs, compressed: false }, nowMs);
    this.#onces.resolved(turn);
    this.#onces.valueSet(key, nowMs);
    return answer;
  }

  onceReject(rejection: OnceRejection): void {
    this.#onces.reject(rejection, this.#now());
  }

  definePool(request: PoolItems): { readonly size: number } {
    this.#now();
    return this.#pools.define(request);
  }

  addToPool(request: PoolItems): { readonly size: number } {
    this.#now();
    return this.#pools.add(request);
  }

  removeFromPool(request: PoolSlots): { readonly size: number } {
    this.#now();
    return this.#pools.remove(request);
  }

  acquire(request: AcquireRequest, waiting: Waiting): Awaitable<Acquired> {
    return this.#pools.acquire(request, waiting, this.#now());
  }

  renewGrant(request: { readonly grant: string; readonly ttlMs: number }, caller: Caller): Renewed {
    return this.#pools.renew(request, caller, this.#now());
  }

  releaseGrant(grant: string, caller: Caller): { readonly released: boolean } {
    this.#now();
    return this.#pools.release(grant, caller);
  }

  quarantineGrant(request: { readonly grant: string; readonly reason: string }, caller: Caller): void {
    this.#pools.quarantine(request, caller, this.#now());
  }

  quarantineItem(item: PoolSlot & { readonly reason: string }, caller: Caller): void {
    this.#pools.quarantineItem(item, caller, this.#now());
  }

  why({ name, isPoolOnly }: WhyRequest): WhyReply {
    const nowMs = this.#now();
    return explain({
      name,
      holders: isPoolOnly ? [] : this.#holdersOf(name),
      waits: isPoolOnly ? [] : this.waits.for(name, ["lease", "once", "get", "request", ...sharingWaits]),
      pool: this.#pools.find(name),
      cycleOf: (pool) => this.#pools.cycleOf(pool, nowMs),
      isKnown: !isPoolOnly && (this.#keyspace.find(name, nowMs) !== undefined || this.sharing.has(name)),
    });
  }

  #holdersOf(name: string): readonly WhyHolder[] {
    return [this.#leases, this.#onces, this.sharing].flatMap((part) => part.holdersOf(name));
  }

  /** Waits end first, so that nothing is handed to the session that goes. */
  endSession(caller: Caller): void {
    const { id, label } = caller;
    const nowMs = this.#expiries.sweep();
    const reason = new EphemeralError("cancelled", `Cannot go on waiting: the session ${label ?? id} has ended`);
    this.#pools.together(() => {
      this.waits.endSession(id, reason);
      this.#pools.endSession(id);
    });
    this.#leases.endSession(id, nowMs);
    this.#onces.endSession(id, nowMs);
    this.sharing.endSession(caller);
    this.channels.endSession(id);
    this.#keyspace.endSession(id);
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    this.#expiries.sweep();
    const parts = [this.#leases, this.#onces, this.#pools, this.sharing, this.#keyspace];
    const holds = parts.flatMap((part) => part.holdsOf(sessionId));
    return holds.sort((a, b) => a.sinceAtMs - b.sinceAtMs || fenceOf(a) - fenceOf(b));
  }

  waitsOf(sessionId: string): readonly WaitInfo[] {
    this.#expiries.sweep();
    return this.waits.of(sessionId);
  }

  observe(listener: ((event: KeyEvent) => void) | undefined): void {
    this.#keyspace.observer = listener;
  }

  stats(): EngineStats {
    this.#expiries.sweep();
    return {
      items: this.#keyspace.size,
      leases: this.#leases.size,
      onces: this.#onces.size,
      grants: this.#pools.size,
      waits: this.waits.size,
      storeBytes: this.#keyspace.storeBytes,
      itemsExpired: this.#keyspace.expiredCount,
      leasesExpired: this.#leases.expiredCount,
      grantsExpired: this.#pools.expiredCount,
      sharing: this.sharing.stats,
      channels: this.channels.stats,
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#pools.closing();
    this.waits.failAll(closed());
    this.#expiries.clear();
    const parts = [this.#keyspace, this.#leases, this.#onces, this.#pools, this.sharing, this.channels];
    for (const part of parts) part.clear();
  }

  /** The instant a command takes effect, with everything gone that ended before it. */
  #now(): number {
    if (this.#isClosed) throw closed();
    return this.#expiries.sweep();
  }

  #requireName(name: string): void {
    // Asked with each lock that is taken: a list of the parts would cost more than the question.
    const held = this.#leases.namesCount + this.#onces.namesCount + this.#pools.namesCount;
    const names = held + this.sharing.namesCount + this.channels.namesCount;
    if (names < this.#limits.namesMax) return;
    const actual = `${names} names are in use, limit is ${this.#limits.namesMax}`;
    throw new EphemeralError("too_many_names", `Cannot use name ${JSON.stringify(name)}: ${actual}`);
  }
}

/** Of two holds of one millisecond the fences tell the older; what has none comes last. */
function fenceOf(hold: Hold): number {
  return "fence" in hold ? hold.fence : Number.MAX_SAFE_INTEGER;
}

function closed(): EphemeralError {
  return new EphemeralError("unavailable", "Cannot run the command: the broker has stopped");
}
