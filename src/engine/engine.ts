/**
 * The contract every engine keeps: what the run's processes agree on, and who holds it. Comments here are the rules;
 * `test/engine/engine-contract.ts` checks them for each implementation.
 *
 * Atomicity: a method takes effect at one instant; what it answered is visible to every later call.
 * Order: waiters of one name are served in the order they came, and a newcomer never overtakes them.
 * Expiry: a deadline counts from the instant it passes by the engine's clock, before any sweep.
 * Death: `endSession` frees all that the session held, and hands it on, before it returns.
 */
import type { EncodedValue, Hold, LeaseScope, ListedItem, WaitMs } from "../protocol/commands.ts";
import type { EphemeralError } from "../protocol/errors.ts";
import type { KeyEvent } from "../protocol/pushes.ts";
import type { ChannelEngine, ChannelStats } from "./channels.ts";
import type { PoolEngine } from "./pooling.ts";
import type { SharingEngine, SharingStats } from "./sharing.ts";

export type Awaitable<T> = T | Promise<T>;

/** Who asks: the session that will hold what is granted. */
export interface Caller {
  readonly id: string;
  /** For people; read when a message names the holder, so it may change. */
  readonly label: string | undefined;
}

/** The caller's end of one wait. The engine fills `cancel` while the command waits. */
export interface WaitHandle {
  /** Takes the wait out of its queue and fails it with `reason`; absent or false when it was over already. */
  cancel?: ((reason: EphemeralError) => boolean) | undefined;
}

/** What every command that may wait brings along. */
export interface Waiting {
  readonly caller: Caller;
  readonly waitMs: WaitMs;
  readonly handle: WaitHandle;
}

export interface SetRequest {
  readonly key: string;
  readonly value: EncodedValue;
  /** Milliseconds to live, already checked; undefined for as long as the broker lives. */
  readonly ttlMs: number | undefined;
  readonly compressed: boolean;
  readonly if?: "absent" | "present" | undefined;
  readonly version?: number | undefined;
  /** The session whose end ends the key too; undefined for none. Each set decides anew. */
  readonly owner?: Caller | undefined;
}

export interface GetRequest {
  readonly key: string;
  /** Whether the key gets the time to live it was last given once more, from now on. */
  readonly refresh?: boolean | undefined;
}

export interface TouchRequest {
  readonly key: string;
  readonly ttlMs: number;
}

export interface IncrRequest {
  readonly key: string;
  /** Any finite number; integers add up exactly. */
  readonly by: number;
  /** Undefined: a key that exists keeps its deadline. */
  readonly ttlMs: number | undefined;
  /** What a new key lives when `ttlMs` says nothing; undefined refuses to make one then. */
  readonly ttlMsIfNew: number | undefined;
}

export interface StoredValue {
  readonly value: EncodedValue;
  readonly version: number;
  readonly compressed: boolean;
  /** Milliseconds left to live; undefined without a deadline. */
  readonly ttlMs: number | undefined;
}

export interface ListRequest {
  readonly prefix: string;
  /** Where the page before this one ended. */
  readonly cursor: string | undefined;
  readonly limit: number;
}

export interface ListPage {
  readonly items: Record<string, ListedItem>;
  /** Present when there is more. */
  readonly cursor: string | undefined;
}

export interface LeaseRequest {
  readonly key: string;
  readonly workerId: string;
  readonly ttlMs: number | undefined;
  /** How many numbers the key has: the first size given holds while one of them is held. Without it the lease never waits. */
  readonly size: number | undefined;
  /** Undefined: "ttl" for a new lease; a renewal keeps the scope it has, and only the session it was granted to changes it. */
  readonly scope: LeaseScope | undefined;
}

export interface Lease {
  readonly value: number;
  readonly fence: number;
  readonly expiresAtMs: number | undefined;
}

export interface LeaseReleaseRequest {
  readonly workerId: string;
  /** One key, `*` for all of the worker's, undefined for its only one. */
  readonly key: string | undefined;
}

export type OnceOutcome =
  | { readonly role: "follower"; readonly stored: StoredValue }
  | { readonly role: "leader"; readonly fence: number };

export interface OnceResolution {
  readonly key: string;
  readonly fence: number;
  readonly value: EncodedValue;
  readonly ttlMs: number;
}

export interface OnceRejection {
  readonly key: string;
  readonly fence: number;
  readonly reason: string;
  /** How long the failure is everyone's answer; 0 lets the next caller try at once. */
  readonly cacheMs: number;
  /** Fails nobody and keeps no failure: the first who waits leads. */
  readonly pass?: boolean | undefined;
}

export type HeldBySession = Hold & { readonly sinceAtMs: number };

/** One wait, as `ps` shows it. */
export interface WaitInfo {
  readonly action: string;
  readonly key: string;
  readonly sinceAtMs: number;
}

export interface EngineStats {
  readonly items: number;
  readonly leases: number;
  readonly onces: number;
  /** Of pools, locks and semaphores. */
  readonly grants: number;
  readonly waits: number;
  /** Keys, values and what the tables cost around them, estimated. */
  readonly storeBytes: number;
  readonly itemsExpired: number;
  readonly leasesExpired: number;
  readonly grantsExpired: number;
  readonly sharing: SharingStats;
  readonly channels: ChannelStats;
}

export interface Engine extends PoolEngine {
  /** Rate limits, barriers and work queues. */
  readonly sharing: SharingEngine;
  readonly channels: ChannelEngine;

  /** Stores `value` under `key` and wakes whoever waits for it, in `get` or in `once`. Replaces value, ttl and version of a key that exists.
   *  @throws {EphemeralError} `exists` with `if: "absent"`, `not_found` with `if: "present"` or a version on no key,
   *  `version_mismatch`, `max_items` for a new key past the bound */
  set(request: SetRequest): Awaitable<{ readonly version: number }>;

  /** Reads `key`; with `waitMs` waits until somebody sets it. All waiters of a key get the value.
   *  @throws {EphemeralError} `not_found`, `expired` for 30 s after the deadline, `timeout`, `cancelled`, `too_many_commands` */
  get(request: GetRequest, waiting: Waiting): Awaitable<StoredValue>;

  /** Gives `key` a new time to live from now on; its value and version stay.
   *  @throws {EphemeralError} `not_found`, `expired` for 30 s after the deadline */
  touch(request: TouchRequest): Awaitable<{ readonly expiresAtMs: number }>;

  /** Adds `by` to the number under `key`; a key that is absent is made, and stands at `by`. Owner and, unless `ttlMs` says
   *  otherwise, deadline stay. Adding is atomic; a sum beyond ±(2^53−1), where numbers stop being exact, is refused.
   *  @throws {EphemeralError} `not_a_number` for a value that is none, and for such a sum, `ttl_required`, `max_items` */
  incr(request: IncrRequest): Awaitable<{ readonly value: number; readonly version: number }>;

  /** @throws {EphemeralError} `version_mismatch` */
  del(key: string, version: number | undefined): Awaitable<{ readonly deleted: boolean }>;

  /** Live keys in the order they were first set, a page at a time. Keys set while paging may or may not be seen. */
  list(request: ListRequest): Awaitable<ListPage>;

  /** Takes the lowest free number of `key` for `workerId`, or renews the one it holds: same number, same fence, new ttl.
   *  A worker that waits and comes to hold the key meanwhile is answered with a renewal. A number whose lease ended goes to
   *  the first waiter in the same call.
   *  @throws {EphemeralError} `pool_exhausted` when all `size` numbers are held and it may not wait, `timeout`, `cancelled`,
   *  `size_mismatch` when the live size differs, `not_owner` for another session's session-scoped lease of that worker,
   *  `too_many_names`, `too_many_commands` */
  lease(request: LeaseRequest, waiting: Waiting): Awaitable<Lease>;

  /** Frees all that is named, or nothing when one of them belongs to another session.
   *  @throws {EphemeralError} `bad_command` naming the keys when the worker holds several and none is named, `not_owner` */
  release(request: LeaseReleaseRequest, caller: Caller): Awaitable<{ readonly released: boolean }>;

  /** The value of `key`, or the turn to produce it. Exactly one session leads; the others wait for its outcome, and when it
   *  ends without one the first of them leads. A value set under the key by other means serves the waiters too. With
   *  `waitMs` 0 the answer to all but the leader is `timeout` at once.
   *  @throws {EphemeralError} `producer_failed` with the leader's reason, `timeout`, `cancelled`, `too_many_names`,
   *  `too_many_commands` */
  once(key: string, waiting: Waiting): Awaitable<OnceOutcome>;

  /** Publishes the leader's value as an ordinary key. When it cannot be stored the leader goes on leading.
   *  @throws {EphemeralError} `not_owner` when `fence` does not lead, and what `set` throws */
  onceResolve(resolution: OnceResolution): Awaitable<{ readonly version: number }>;

  /** Fails whoever waits for the leader, and with `cacheMs` whoever asks so long after, unless a value is set meanwhile.
   *  With `pass` the turn goes to the first who waits instead, as at the end of a session.
   *  @throws {EphemeralError} `not_owner` when `fence` does not lead */
  onceReject(rejection: OnceRejection): Awaitable<void>;

  /** Frees everything `caller` holds in the session's name, deletes the keys it owns and ends its waits, handing on what
   *  others wait for. */
  endSession(caller: Caller): Awaitable<void>;

  /** What `sessionId` was granted and holds, oldest first: leaderships, grants, jobs, leases of either scope (one of scope "ttl" is
   *  nobody's once the session has ended), and the keys it owns. */
  holdsOf(sessionId: string): Awaitable<readonly HeldBySession[]>;
  /** What `sessionId` waits for, oldest first. */
  waitsOf(sessionId: string): Awaitable<readonly WaitInfo[]>;

  /** Tells `listener`, the only one, what becomes of keys from now on, in the order it happens; undefined tells nobody. A
   *  version is told of at most twice: as it is set and as it ends; a version replaced by another ends untold. New deadlines
   *  are not told. Called in the middle of commands: it must not throw, nor call the engine; it only notes. */
  observe(listener: ((event: KeyEvent) => void) | undefined): void;

  stats(): Awaitable<EngineStats>;

  /** Ends every wait with `unavailable` and drops all state; every later command is refused the same way. */
  close(): Awaitable<void>;
}
