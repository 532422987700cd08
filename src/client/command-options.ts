/**
 * What the methods of a client can be told beside what they are about. Times are milliseconds.
 */
import type { LeaseScope, WaitMs } from "../protocol/commands.ts";

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
