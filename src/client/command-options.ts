/**
 * What the methods of a client can be told beside what they are about. Times are milliseconds.
 */
import type { LeaseScope, WaitMs } from "../protocol/commands.ts";
import type { PoolMode } from "../protocol/pools.ts";

/** What every command that may wait takes. */
export interface WaitOptions {
  /** Milliseconds; 0 answers now, −1 waits as long as the connection lives. */
  readonly waitMs?: WaitMs | undefined;
  /** Gives the wait up: the promise rejects with the signal's reason at once. */
  readonly signal?: AbortSignal | undefined;
}

export interface SetOptions {
  /** Milliseconds to live; the client's `defaultTtlMs` when left out. */
  readonly ttl?: number | undefined;
  /** Only when the key is absent, or present. */
  readonly if?: "absent" | "present" | undefined;
  /** Only while the key stands at this version. */
  readonly version?: number | undefined;
  /** `session`: the key ends with this client's session, and has no time to live unless told. The last `set` of a key decides
   *  whose it is. */
  readonly scope?: "session" | undefined;
}

export interface GetOptions extends WaitOptions {
  /** Whether the key gets the time to live it was last given once more, from now on; else as the broker was told. */
  readonly refresh?: boolean | undefined;
}

export interface IncrOptions {
  /** 1 when left out. Integers add up exactly, fractions as numbers in JavaScript do. */
  readonly by?: number | undefined;
  /** A new time to live, in milliseconds. Without it a key keeps the one it has, and a new key gets the client's
   *  `defaultTtlMs`. */
  readonly ttl?: number | undefined;
}

export interface LeaseOptions extends WaitOptions {
  /** How many numbers there are. Without it a lease never waits. */
  readonly size?: number | undefined;
  /** `session`, the default, also ends the lease with this client's connection; `ttl` does not. */
  readonly scope?: LeaseScope | undefined;
}

export interface OnceOptions extends WaitOptions {
  /** Milliseconds the shared value lives; the client's `defaultTtlMs` when left out. */
  readonly ttl?: number | undefined;
}

/** An item to define. */
export interface PoolItem {
  /** JSON or a `Uint8Array`. */
  readonly value: unknown;
  /** What `match` asks for. */
  readonly tags?: readonly string[] | undefined;
}

/** What holds for a pool, a lock and a semaphore. */
interface TurnOptions extends WaitOptions {
  /** Milliseconds after which it ends should this process hang; renewed by itself while it does not. Without it, it lasts until
   *  it is released or this process dies. */
  readonly ttl?: number | undefined;
  /** The thread of work it is for. One that would wait for itself is refused at once. */
  readonly owner?: string | undefined;
}

export interface LockOptions extends TurnOptions {
  /** `shared`: together with others who have it so. `exclusive`, the default: alone. */
  readonly mode?: PoolMode | undefined;
}

export interface SeatOptions extends LockOptions {
  /** Seats to take at once; 1 unless told. */
  readonly count?: number | undefined;
  /** `last`: the one this client had last when it asked so, while it is free. Else the lowest that is. */
  readonly prefer?: "last" | undefined;
}

export interface AcquireOptions extends SeatOptions {
  /** Only items with all of these tags. */
  readonly match?: readonly string[] | undefined;
}

/** One of several things to be had at once; what it does not say, the options say. */
export interface Want {
  readonly pool: string;
  readonly count?: number | undefined;
  readonly match?: readonly string[] | undefined;
  readonly mode?: PoolMode | undefined;
  /** Makes it on first use, with so many seats: 1 for a lock. */
  readonly size?: number | undefined;
}

export interface LimitOptions extends WaitOptions {
  /** So much in any `windowMs` milliseconds: 1 to 10,000. */
  readonly limit: number;
  readonly windowMs: number;
  /** What this takes of it; 1 unless told. */
  readonly cost?: number | undefined;
}

export interface OnEndOptions {
  /** Where it runs: here unless told. */
  readonly cwd?: string | undefined;
  /** What is added to the environment that `ephemeral start` was given. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** When it is ended, done or not: after 30 s unless told. */
  readonly timeoutMs?: number | undefined;
}

export interface BarrierOptions extends WaitOptions {
  /** Only says that this process will come. */
  readonly join?: boolean | undefined;
}

/** How jobs are taken. */
export interface QueueOptions extends WaitOptions {
  /** Milliseconds after which a job goes back to the queue should this process hang; renewed by itself while it does not.
   *  Without it, it goes back when this process dies. */
  readonly ackMs?: number | undefined;
}

/** A job to push. A text is its own id and its own data. */
export type QueueItem<Data = unknown> =
  | string
  | {
      /** Pushed again, it counts once. Without one every push is a new job. */
      readonly id?: string | undefined;
      /** JSON or a `Uint8Array`. */
      readonly data: Data;
      /** Higher ones are done first; 0 unless told, −1000 to 1000. */
      readonly priority?: number | undefined;
    };
