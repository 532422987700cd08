/**
 * The part of the client that takes turns: items of pools, locks and seats, held until given back or until this process dies.
 * What it needs is loaded with the first of its calls.
 */
import type { Request } from "../protocol/commands.ts";
import type { WhyReply } from "../protocol/pools.ts";
import type { ClientClock } from "./client-clock.ts";
import type { AcquireOptions, LockOptions, PoolItem, SeatOptions, Want } from "./command-options.ts";
import type { Connection } from "./connection.ts";
import type { Grant } from "./grant.ts";
import type { Grants } from "./grants.ts";
import { Sharing } from "./sharing.ts";

/** Does something with what is held; it is given back when the promise settles. */
export type Holding<Value, Result> = (grant: Grant<Value>) => Result | Promise<Result>;

export class Turns extends Sharing {
  readonly #load: () => Promise<Grants>;
  #loading: Promise<Grants> | undefined;
  #grants: Grants | undefined;

  /** @internal */
  constructor(connection: Connection, clock: ClientClock) {
    super(connection, clock);
    this.#load = async () => {
      const { Grants } = await import("./grants.ts");
      this.#grants = new Grants(connection, clock);
      return this.#grants;
    };
  }

  /** Runs `work` with an item of `pool` that nobody else has, and gives it back, whatever becomes of `work`.
   *  @throws what `acquire` throws, and what `work` throws */
  withItem<Value, Result>(pool: Wants, work: Holding<Value, Result>): Promise<Result>;
  withItem<Value, Result>(pool: Wants, options: AcquireOptions, work: Holding<Value, Result>): Promise<Result>;
  withItem<Value, Result>(pool: Wants, ...rest: Rest<AcquireOptions, Value, Result>): Promise<Result> {
    return using((options) => this.acquire<Value>(pool, options), rest);
  }

  /** Runs `work` while nobody else has the lock `name`; with `mode: "shared"` nobody has it exclusively. */
  withLock<Result>(name: string, work: Holding<number, Result>): Promise<Result>;
  withLock<Result>(name: string, options: LockOptions, work: Holding<number, Result>): Promise<Result>;
  withLock<Result>(name: string, ...rest: Rest<LockOptions, number, Result>): Promise<Result> {
    return using((options) => this.lock(name, options), rest);
  }

  /** Runs `work` in one of `seats` seats, which are all who may do so at a time. */
  withSeat<Result>(name: string, seats: number, work: Holding<number, Result>): Promise<Result>;
  withSeat<Result>(name: string, seats: number, options: SeatOptions, work: Holding<number, Result>): Promise<Result>;
  withSeat<Result>(name: string, seats: number, ...rest: Rest<SeatOptions, number, Result>): Promise<Result> {
    return using((options) => this.semaphore(name, seats, options), rest);
  }

  /** Takes an item of `pool`, or all of several wants at once or none of them, so that nobody is caught with half. Waits in
   *  line, −1 unless told. It is free again when it is released, when its `ttl` passes without our renewing it, and when this
   *  process dies.
   *  @throws {EphemeralError} `timeout` naming who holds what, `pool_exhausted` with `waitMs` 0, `deadlock` for an `owner` that
   *  would wait for itself, `size_mismatch`, `unknown_pool` */
  acquire<Value = unknown>(pool: Wants, options: AcquireOptions = {}): Promise<Grant<Value>> {
    // Once loaded it is asked at once: a turn of the event loop counts here.
    return this.#grants?.acquire(pool, options) ?? this.#loaded().then((grants) => grants.acquire(pool, options));
  }

  /** Takes the lock `name`. */
  lock(name: string, options?: LockOptions): Promise<Grant<number>> {
    return this.acquire({ pool: name, size: 1 }, options);
  }

  /** Takes one of `seats` seats. Its value is the seat's number, from 0. */
  semaphore(name: string, seats: number, options?: SeatOptions): Promise<Grant<number>> {
    return this.acquire({ pool: name, size: seats }, options);
  }

  /** A pool's own affairs. */
  pool(name: string): PoolHandle {
    const put = async (action: "pool.define" | "pool.add", items: readonly PoolItem[]): Promise<number> =>
      (await this.#loaded()).put(action, name, items);
    return {
      define: (items) => put("pool.define", items),
      add: (items) => put("pool.add", items),
      remove: async (slots) => (await this.#loaded()).remove(name, slots),
      quarantine: async (slot, reason) => (await this.#loaded()).quarantine({ pool: name, slot, reason }),
      show: () => this.#why({ pool: name }),
    };
  }

  /** Who holds what goes by `name`, since when, and who waits for it.
   *  @throws {EphemeralError} `not_found` when nobody does either and there is no such pool or key */
  why(name: string): Promise<WhyReply> {
    return this.#why({ key: name });
  }

  #loaded(): Promise<Grants> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  async #why(request: Request<"why">): Promise<WhyReply> {
    return (await this.#loaded()).why(request);
  }
}

export interface PoolHandle {
  /** Makes the pool of these items, or changes the one there is; the same definition again changes nothing. Resolves to how
   *  many items it has.
   *  @throws {EphemeralError} `size_mismatch` for a name in use as a lock or semaphore, `max_items` */
  define(items: readonly PoolItem[]): Promise<number>;
  /** Adds items; one with the value of a quarantined item brings that back.
   *  @throws {EphemeralError} `unknown_pool`, `max_items` */
  add(items: readonly PoolItem[]): Promise<number>;
  /** Takes items out, held ones when they are released; without `slots` the whole pool.
   *  @throws {EphemeralError} `unknown_pool`, `not_found` for a slot it does not have */
  remove(slots?: readonly number[]): Promise<number>;
  /** Takes the item of `slot` out until `add` brings it back; who holds it keeps it until they give it back.
   *  @throws {EphemeralError} `unknown_pool`, `not_found` for a slot it does not have */
  quarantine(slot: number, reason: string): Promise<void>;
  /** Who holds its items, who waits for them, which are quarantined and why. */
  show(): Promise<WhyReply>;
}

/** A pool, a want that says more of it, or several to be had all at once. */
export type Wants = string | Want | readonly (string | Want)[];

type Rest<Options, Value, Result> =
  | readonly [Holding<Value, Result>]
  | readonly [options: Options, work: Holding<Value, Result>];

async function using<Options, Value, Result>(
  acquire: (options: Options | undefined) => Promise<Grant<Value>>,
  rest: Rest<Options, Value, Result>,
): Promise<Result> {
  const [options, work] = rest.length === 1 ? [undefined, rest[0]] : rest;
  const grant = await acquire(options);
  try {
    return await work(grant);
  } finally {
    await grant.release();
  }
}
