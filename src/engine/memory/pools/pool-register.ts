/**
 * The pools there are, by name: opened, found, forgotten, and no more items in them than the bound allows. Knows nothing of
 * grants or of waiting.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { Limits } from "../../../protocol/limits.ts";
import { WaitQueue } from "../../wait-queue.ts";
import { Pool } from "./pool.ts";
import { madeOnFirstUse } from "./pool-wording.ts";

/** Idle pools that are kept to be used again. */
const sparesMax = 256;

export interface PoolRegisterOptions {
  readonly limits: Limits;
  /** Throws `too_many_names` when no further name can be kept. */
  readonly requireName: (name: string) => void;
}

export class PoolRegister {
  readonly #options: PoolRegisterOptions;
  /** Spares stand here too: a lock that is taken again and again would have the map made anew again and again. */
  readonly #pools = new Map<string, Pool>();
  /** Who has been idle for longest comes first. */
  readonly #spares = new WaitQueue<Pool>();
  #sparesCount = 0;
  /** Items of all defined pools. */
  #definedCount = 0;

  constructor(options: PoolRegisterOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pools.size - this.#sparesCount;
  }

  find(name: string): Pool | undefined {
    const pool = this.#pools.get(name);
    return pool?.isSpare ? undefined : pool;
  }

  /** The pool of that name; when there is none an awaited one, or one made with `size` items where a spare has so many. */
  open(name: string, size?: number): Pool {
    const known = this.#pools.get(name);
    if (known?.isSpare === false) return known;
    this.#options.requireName(name);
    if (known !== undefined) return this.#reuse(known, { name, size });
    const pool = this.#oldestSpare(name, size) ?? new Pool(name);
    this.#pools.set(name, pool);
    return pool;
  }

  #oldestSpare(name: string, size: number | undefined): Pool | undefined {
    const spare = this.#spares.first;
    if (spare === undefined || this.#sparesCount < sparesMax) return undefined;
    this.#pools.delete(spare.name);
    return this.#reuse(spare, { name, size });
  }

  #reuse(spare: Pool, about: { readonly name: string; readonly size: number | undefined }): Pool {
    this.#spares.remove(spare);
    this.#sparesCount -= 1;
    spare.reuse(about);
    return spare;
  }

  /** The defined pool of that name.
   *  @throws {EphemeralError} `unknown_pool`, `size_mismatch` for one made on first use */
  requireDefined(name: string, action: string): Pool {
    const pool = this.find(name);
    if (pool?.kind === "defined") return pool;
    if (pool?.kind === "made") throw madeOnFirstUse(action, pool);
    throw new EphemeralError("unknown_pool", `Cannot ${action} pool ${JSON.stringify(name)}: nobody has defined it`);
  }

  /** @throws {EphemeralError} `max_items` when the defined pools may not have `growth` items more */
  requireItems(name: string, growth: number): void {
    const { poolItemsMax } = this.#options.limits;
    const count = this.#definedCount + growth;
    if (growth <= 0 || count <= poolItemsMax) return;
    const actual = `all pools would have ${count}, limit is ${poolItemsMax}`;
    const text = `Cannot put ${growth} items more into pool ${JSON.stringify(name)}: ${actual}`;
    throw new EphemeralError("max_items", text, { details: { poolItemsMax } });
  }

  /** Makes `change`, which may give `pool` other items, and counts them. */
  recount(pool: Pool, change: () => void): void {
    const countBefore = definedCountOf(pool);
    change();
    this.#definedCount += definedCountOf(pool) - countBefore;
  }

  /** Forgets `pool` when nobody has, wants or has defined anything of it. */
  dropIdle(pool: Pool): void {
    if (!pool.isIdle || pool.isSpare) return;
    if (this.#sparesCount === sparesMax) {
      this.#pools.delete(pool.name);
      return;
    }
    pool.isSpare = true;
    this.#spares.append(pool);
    this.#sparesCount += 1;
  }

  clear(): void {
    this.#pools.clear();
    this.#spares.clear();
    this.#sparesCount = 0;
    this.#definedCount = 0;
  }
}

function definedCountOf(pool: Pool): number {
  return pool.kind === "defined" ? pool.size : 0;
}
