/**
 * Asking for pools, locks and semaphores, and for who holds them. Loaded with the first of these. What is granted is a
 * `Grant`; what it costs to hold it is that one's business.
 */
import type { Request } from "../../protocol/commands.ts";
import type { GrantReply, PoolItemInput, PoolWant, WhyReply } from "../../protocol/pools.ts";
import { EphemeralError } from "../client.ts";
import type { ClientClock } from "../client-clock.ts";
import type { AcquireOptions, LockOptions, PoolItem, SeatOptions, Want } from "../command-options.ts";
import type { Connection } from "../connection/connection.ts";
import { Grant } from "./grant.ts";
import type { Holding, PoolHandle, Turns, Wants } from "./turns.ts";

export class Grants implements Turns {
  readonly #connection: Connection;
  readonly #clock: ClientClock;

  constructor(connection: Connection, clock: ClientClock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  acquire<Value>(wants: Wants, options: AcquireOptions = {}): Promise<Grant<Value>> {
    const { ttl, prefer, owner, waitMs = -1, signal } = options;
    const command = { action: "acquire", wants: wantsOf(wants, options), ttl, prefer, owner } as const;
    const held = { connection: this.#connection, clock: this.#clock, ttlMs: ttl };
    return this.#connection.call({
      command,
      // Only the broker's own side of it is encoded already.
      read: ({ grant }) => new Grant<Value>(grant as GrantReply, held),
      waitMs,
      signal,
    });
  }

  lock(name: string, options?: LockOptions): Promise<Grant<number>> {
    return this.acquire({ pool: name, size: 1 }, options);
  }

  semaphore(name: string, seats: number, options?: SeatOptions): Promise<Grant<number>> {
    // The broker refuses 0. Without a number, as JSON would have it, it waits for somebody to define the pool.
    return this.acquire({ pool: name, size: seats || 0 }, options);
  }

  withItem<Value, Result>(pool: Wants, ...rest: Rest<AcquireOptions, Value, Result>): Promise<Result> {
    return using((options) => this.acquire<Value>(pool, options), rest);
  }

  withLock<Result>(name: string, ...rest: Rest<LockOptions, number, Result>): Promise<Result> {
    return using((options) => this.lock(name, options), rest);
  }

  withSeat<Result>(name: string, seats: number, ...rest: Rest<SeatOptions, number, Result>): Promise<Result> {
    return using((options) => this.semaphore(name, seats, options), rest);
  }

  pool(name: string): PoolHandle {
    const put = async (action: "pool.define" | "pool.add", items: readonly PoolItem[]): Promise<number> => {
      const command = { action, pool: name, items: items.map((item) => this.#itemOf(name, item)) };
      return this.#connection.call<"pool.define" | "pool.add", number>({ command, read: ({ size }) => size });
    };
    return {
      define: (items) => put("pool.define", items),
      add: (items) => put("pool.add", items),
      remove: (slots) => {
        const command = { action: "pool.remove", pool: name, slots } as const;
        return this.#connection.call({ command, read: ({ size }) => size });
      },
      quarantine: (slot, reason) => {
        const command = { action: "quarantine", pool: name, slot, reason } as const;
        return this.#connection.call({ command });
      },
      show: () => this.#why({ pool: name }),
    };
  }

  why(name: string): Promise<WhyReply> {
    return this.#why({ key: name });
  }

  #why(request: Request<"why">): Promise<WhyReply> {
    return this.#connection.call({ command: { action: "why", ...request }, read: (reply) => reply });
  }

  #itemOf(pool: string, { value, tags = [] }: PoolItem): PoolItemInput {
    if (value !== undefined) return { value: this.#connection.codec.toMember(value), tags };
    const actual = "wanted items { value, tags? }, got one without a value";
    throw new EphemeralError("bad_command", `Cannot define ${JSON.stringify(pool)}: ${actual}`);
  }
}

function wantsOf(wants: Wants, options: AcquireOptions): readonly PoolWant[] {
  if (typeof wants === "string" || "pool" in wants) return [wantOf(wants, options)];
  return wants.map((want) => wantOf(want, options));
}

/** What the options say holds for every want that does not say it itself. */
function wantOf(want: string | Want, options: AcquireOptions): PoolWant {
  const own: Want = typeof want === "string" ? { pool: want } : want;
  const { count, match, mode } = options;
  // As it is read: what nobody says is one item of any kind, for oneself, and need not be written.
  const { pool, size } = own;
  return { pool, count: own.count ?? count, match: own.match ?? match, mode: own.mode ?? mode, size } as PoolWant;
}

type Rest<Options, Value, Result> =
  | readonly [Holding<Value, Result>]
  | readonly [options: Options, work: Holding<Value, Result>];

async function using<Options, Value, Result>(
  acquire: (options: Options | undefined) => Promise<Grant<Value>>,
  rest: Rest<Options, Value, Result>,
): Promise<Result> {
  const [options, work] = rest.length === 1 ? [undefined, rest[0]] : rest;
  // Without types to tell: what is forgotten would be missed when it is held, after a wait that may have no end.
  if (typeof work !== "function")
    throw new EphemeralError("bad_command", `Cannot acquire: wanted a function, got ${typeof work}`);
  const grant = await acquire(options);
  try {
    return await work(grant);
  } finally {
    await grant.release();
  }
}
