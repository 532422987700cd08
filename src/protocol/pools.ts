/**
 * The shapes of pools, locks and semaphores: what is wanted, what is granted, and who has what. `commands.ts` says which
 * command carries which. A lock is a pool of size 1, a semaphore one of size n, both made on first use.
 */
import type { Encoded, WaitMs } from "./commands.ts";

/** Any number of `shared` holders have an item together; an `exclusive` one has it alone. */
export type PoolMode = "exclusive" | "shared";

/** One item as it is defined or added. Its tags stand in alphabetical order, each once. */
export interface PoolItemInput {
  readonly value: unknown;
  readonly tags: readonly string[];
}

/** So many items of one pool, each with all the tags of `match`. */
export interface PoolWant {
  readonly pool: string;
  readonly count: number;
  /** In alphabetical order, each once. */
  readonly match: readonly string[];
  readonly mode: PoolMode;
  /** Makes the pool on first use, with so many items that are numbers from 0. */
  readonly size: number | undefined;
}

export interface GrantedItem {
  readonly pool: string;
  readonly slot: number;
  /** What was defined; the slot itself in a pool made on first use. */
  readonly value: unknown;
}

export interface GrantReply {
  readonly id: string;
  readonly fence: number;
  /** In the order of the wants. */
  readonly items: readonly GrantedItem[];
  readonly expiresAtMs?: number | undefined;
}

/** Items a session holds; `id` is the grant's. */
export interface GrantHold {
  readonly kind: "grant";
  readonly id: string;
  readonly fence: number;
  readonly items: readonly { readonly pool: string; readonly slot: number }[];
  readonly owner?: string | undefined;
  readonly expiresAtMs?: number | undefined;
}

/** Who has something, in `why`. */
export interface WhyHolder {
  readonly kind: "grant" | "lease" | "once" | "key" | "job" | "barrier";
  readonly session?: string | undefined;
  readonly label?: string | undefined;
  readonly owner?: string | undefined;
  readonly workerId?: string | undefined;
  readonly fence?: number | undefined;
  readonly sinceAtMs: number;
  /** Unix milliseconds after which the hold ends by itself. */
  readonly expiresAtMs?: number | undefined;
  /** The slot of a pool, the number of a lease. */
  readonly item?: number | undefined;
  /** The id of a job. */
  readonly job?: string | undefined;
  readonly mode?: PoolMode | undefined;
}

/** Who waits, in `why`. */
export interface WhyWaiter {
  readonly action: string;
  readonly session: string;
  readonly label?: string | undefined;
  readonly owner?: string | undefined;
  readonly sinceAtMs: number;
  /** In words: `2 of "accounts" with tag "admin"`. */
  readonly wants: string;
}

export interface WhyQuarantined {
  readonly item: number;
  readonly reason: string;
  /** Who found it broken. */
  readonly label: string;
  readonly sinceAtMs: number;
}

/** Who has what goes by one name, who waits for it in the order they came, and why they wait. Lists are cut at
 *  `whyListedMax`; the counts are whole. */
export interface WhyReply {
  readonly name: string;
  readonly holders: readonly WhyHolder[];
  readonly holdersCount: number;
  readonly waiters: readonly WhyWaiter[];
  readonly waitersCount: number;
  readonly quarantined: readonly WhyQuarantined[];
  readonly quarantinedCount: number;
  /** Of a pool: how many items it has, and how many of them somebody may take now. */
  readonly size?: number | undefined;
  readonly free?: number | undefined;
  /** Who waits for whom in a circle, in words; without owners it is what is suspected of sessions. */
  readonly cycle?: string | undefined;
}

/** The commands of pools, a part of `CommandMap`. */
export interface PoolCommands {
  "pool.define": {
    request: { readonly pool: string; readonly items: readonly PoolItemInput[] };
    reply: { readonly size: number };
  };
  "pool.add": {
    request: { readonly pool: string; readonly items: readonly PoolItemInput[] };
    reply: { readonly size: number };
  };
  "pool.remove": {
    /** Without slots the whole pool. */
    request: { readonly pool: string; readonly slots?: readonly number[] | undefined };
    reply: { readonly size: number };
  };
  acquire: {
    request: {
      readonly wants: readonly PoolWant[];
      readonly ttl?: number | undefined;
      readonly waitMs?: WaitMs | undefined;
      /** The item this session was given last when it asked so, while it is free. */
      readonly prefer?: "last" | undefined;
      /** The thread of work it is for: a wait that closes a circle of owners is refused. */
      readonly owner?: string | undefined;
    };
    /** The broker hands the grant over as JSON text, its values as they came. What the connection's codec cannot carry is not granted:
     *  `bad_command`. */
    reply: { readonly grant: GrantReply | Encoded };
  };
  renew: { request: { readonly grant: string; readonly ttl: number }; reply: { readonly expiresAtMs: number } };
  /** All of a grant, by its holder, who gives it back with that; or one item, by anybody: who holds it keeps it so long. */
  quarantine: {
    request: { readonly reason: string } & (
      | { readonly grant: string }
      | { readonly pool: string; readonly slot: number }
    );
    reply: Record<never, never>;
  };
  /** `key`: whatever goes by that name; `pool`: the pool alone. */
  why: { request: { readonly key: string } | { readonly pool: string }; reply: WhyReply };
}
