/**
 * The vocabulary: every command's request and reply (pushes: pushes.ts). Both sides derive their types from here; nothing else
 * defines a wire shape. Durations are milliseconds, instants (`…AtMs`, `expires`) Unix milliseconds.
 */
import type { ChannelCommands } from "./channels.ts";
import type { EndCommands } from "./end-of-run.ts";
import type { GreetingCommands } from "./greeting.ts";
import type { GrantHold, PoolCommands } from "./pools.ts";
import type { Overflow } from "./pushes.ts";
import type { RequestCommands } from "./requests.ts";
import type { BarrierHold, JobHold, SharingCommands } from "./sharing.ts";

/** The version said in `hello`. */
export const protocolVersion = 1;

/** A value already encoded in one codec, kept as it is so that reading it back costs no re-encoding.
 *  A string is JSON text, bytes are MessagePack. */
export type EncodedValue = string | Uint8Array;

/** Objects that have encoded values among their own members. */
export type EncodedRecords = readonly object[];

/** Marks what is encoded already inside a message: the encoder writes it as it stands, or transcodes it. It looks for marks
 *  among the members of the message and of records that are marked themselves, nowhere else: what has none costs nothing. */
export class Encoded {
  readonly data: EncodedValue | EncodedRecords;
  constructor(data: EncodedValue | EncodedRecords) {
    this.data = data;
  }
}

/** How long a command may wait: 0 answers now, a number waits at most so long, −1 as long as the connection lives. */
export type WaitMs = number;

/** What ends a lease: its ttl or a release from anyone who knows the worker id; or also the end of the session. */
export type LeaseScope = "ttl" | "session";

/** Something a session holds; `id` is the name it is of, but for a grant. */
export type Hold =
  | { readonly kind: "lease"; readonly id: string; readonly workerId: string; readonly fence: number }
  | { readonly kind: "once"; readonly id: string; readonly fence: number }
  | GrantHold
  | JobHold
  | BarrierHold
  /** A session-scoped key, as it stands. */
  | { readonly kind: "key"; readonly id: string; readonly version: number };

export interface ListedItem {
  /** When the key ends; absent for a key without a ttl. */
  readonly expires?: number;
  readonly hasValue: boolean;
  readonly version: number;
}

export interface SessionInfo {
  readonly session: string;
  /** `lingering`: its connection is gone and it waits to be resumed. */
  readonly state: "attached" | "lingering";
  readonly label?: string | undefined;
  readonly client?: { readonly name: string; readonly version: string } | undefined;
  /** Process id of the peer, where the kernel tells it. */
  readonly pid?: number | undefined;
  readonly connectedAtMs: number;
  readonly holds: readonly (Hold & { readonly sinceAtMs: number })[];
  /** What the session waits for now. */
  readonly waits: readonly { readonly action: string; readonly key: string; readonly sinceAtMs: number }[];
  /** Methods whose requests it answers; absent where there are none. */
  readonly serves?: readonly string[] | undefined;
}

export interface Capacity {
  readonly items: number;
  readonly maxItems: number;
  /** 0 to 1, two decimals. */
  readonly utilization: number;
  readonly nearCapacity: boolean;
  readonly atCapacity: boolean;
  readonly warning: "near_capacity" | "at_capacity" | null;
}

export interface Stats {
  readonly items: number;
  readonly leases: number;
  readonly onces: number;
  readonly waits: number;
  /** Key prefixes watched, those of each connection counted apart. */
  readonly watches: number;
  /** Channels that have subscribers, history or an offset that is remembered. */
  readonly channels: number;
  /** Subscriptions of all connections. */
  readonly subscriptions: number;
  readonly connections: number;
  readonly sessions: number;
  readonly commands: number;
  readonly capacity: Capacity;
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly approximateStoreBytes: number };
  /** Milliseconds since the broker started. */
  readonly uptime: number;
}

export interface Health {
  readonly status: "healthy" | "degraded";
  readonly uptime: number;
  readonly timestamp: number;
  readonly capacity: Capacity;
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly heapTotal: number };
  readonly connections: { readonly open: number; readonly inFlight: number; readonly draining: boolean };
}

/** Every command: what it asks and what it answers. `id` and `action`, `ok` and `error` belong to the envelope. */
export interface CommandMap
  extends GreetingCommands,
    PoolCommands,
    SharingCommands,
    RequestCommands,
    ChannelCommands,
    EndCommands {
  set: {
    request: {
      readonly key: string;
      readonly value: unknown;
      /** Absent only where the broker or the scope allows it. */
      readonly ttl?: number | undefined;
      /** `session`: the key needs no ttl and is deleted when the session ends. The last `set` decides whose it is. */
      readonly scope?: "session" | undefined;
      readonly if?: "absent" | "present" | undefined;
      /** Only when the key stands at this version. */
      readonly version?: number | undefined;
      /** The seed's clients gzip large values; kept and given back as a flag. */
      readonly compressed?: boolean | undefined;
      /** What compressing came to, for metrics: sizes as the client counts them, before and after. */
      readonly beforeSize?: number | undefined;
      readonly afterSize?: number | undefined;
    };
    reply: { readonly version: number };
  };
  get: {
    request: {
      readonly key: string;
      readonly waitMs?: WaitMs | undefined;
      /** Whether the key gets the ttl it was last given once more, from now on; absent: as the broker was told. */
      readonly refresh?: boolean | undefined;
    };
    reply: {
      readonly value: unknown;
      readonly version: number;
      /** Milliseconds left to live; absent for a key without a ttl. */
      readonly ttlMs?: number | undefined;
      readonly compressed?: boolean | undefined;
    };
  };
  del: {
    request: { readonly key: string; readonly version?: number | undefined };
    reply: { readonly deleted: boolean };
  };
  touch: {
    /** Gives a key a new ttl from now on; it is told to no watch. */
    request: { readonly key: string; readonly ttl?: number | undefined };
    reply: { readonly expiresAtMs: number };
  };
  incr: {
    request: {
      readonly key: string;
      /** 1 unless told; any number within ±(2^53−1). Integers add up exactly, fractions as IEEE doubles do. */
      readonly by?: number | undefined;
      /** Without it a key that is there keeps its deadline. */
      readonly ttl?: number | undefined;
      /** The ttl of a key that is not there, where `ttl` says none. A new key needs one of the two wherever `set` needs one. */
      readonly ttlIfNew?: number | undefined;
    };
    reply: { readonly value: number; readonly version: number };
  };
  watch: {
    /** Pushes `key` for each key that begins with `prefix`; without one, for all keys. Watching a prefix again changes its
     *  overflow. A connection is told an event once, by the longest of its prefixes that fits. */
    request: { readonly prefix?: string | undefined; readonly overflow?: Overflow | undefined };
    reply: Record<never, never>;
  };
  unwatch: {
    request: { readonly prefix?: string | undefined };
    reply: { readonly unwatched: boolean };
  };
  list: {
    request: {
      readonly prefix?: string | undefined;
      readonly cursor?: string | undefined;
      readonly limit?: number | undefined;
    };
    reply: {
      /** In MessagePack pairs of key and item: a map cannot have every key. */
      readonly items: Readonly<Record<string, ListedItem>> | readonly (readonly [string, ListedItem])[];
      readonly cursor?: string | undefined;
    };
  };
  lease: {
    request: {
      readonly key: string;
      readonly workerId: string;
      readonly ttl?: number | undefined;
      /** How many numbers there are. Without it the lease never waits. */
      readonly size?: number | undefined;
      readonly waitMs?: WaitMs | undefined;
      readonly scope?: LeaseScope | undefined;
    };
    reply: { readonly value: number; readonly fence: number; readonly expiresAtMs?: number | undefined };
  };
  /** A lease of its worker, or a grant of its session: either workerId or grant is there. */
  release: {
    request: {
      readonly workerId?: string | undefined;
      readonly key?: string | undefined;
      readonly grant?: string | undefined;
    };
    reply: { readonly released: boolean };
  };
  once: {
    request: { readonly key: string; readonly waitMs?: WaitMs | undefined };
    reply:
      | { readonly value: unknown; readonly version: number; readonly compressed?: boolean | undefined }
      | { readonly leader: true; readonly fence: number };
  };
  "once.resolve": {
    request: {
      readonly key: string;
      readonly fence: number;
      readonly value: unknown;
      readonly ttl?: number | undefined;
    };
    reply: { readonly version: number };
  };
  "once.reject": {
    request: {
      readonly key: string;
      readonly fence: number;
      readonly reason: string;
      readonly cacheMs?: number | undefined;
      /** Nobody fails: the first who waits gets the turn, as if its holder's session had ended. */
      readonly pass?: boolean | undefined;
    };
    reply: Record<never, never>;
  };
  cancel: { request: { readonly target: number }; reply: { readonly cancelled: boolean } };
  ping: { request: Record<never, never>; reply: { readonly pong: number } };
  stats: { request: Record<never, never>; reply: { readonly stats: Stats } };
  health: { request: Record<never, never>; reply: Health };
  metrics: { request: Record<never, never>; reply: { readonly metrics: string; readonly format: "prometheus" } };
  ps: { request: Record<never, never>; reply: { readonly sessions: readonly SessionInfo[] } };
  /** Until its session ends, a broker that is about to end waits for it, for as long as it was told to. */
  join: { request: Record<never, never>; reply: { readonly joiners: number } };
  /** Asks whoever started the broker to end it, and the command it runs beside it first. */
  drain: { request: Record<never, never>; reply: { readonly joiners: number } };
}

export type CommandName = keyof CommandMap;
export type Request<Name extends CommandName> = CommandMap[Name]["request"];
export type Reply<Name extends CommandName> = CommandMap[Name]["reply"];

/** A command as parsed: the envelope, and the request's own fields apart from it. */
export type Command<Name extends CommandName = CommandName> = {
  [N in Name]: { readonly action: N; readonly id: number | undefined; readonly request: Request<N> };
}[Name];

/** A refused command, as it stands on the wire. */
export interface ErrorReply {
  readonly id?: number;
  readonly ok: false;
  readonly error: string;
  readonly message: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}
