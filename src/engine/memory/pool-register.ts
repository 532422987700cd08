/**
 * The pools there are, by name: opened, found, forgotten, and no more items in them than the bound allows. Knows nothing of
 * grants or of waiting.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
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
  readonly #pools = new Map<string, Pool>();
  readonly #spares: Pool[] = [];
  /** Items of all defined pools. */
  #definedCount = 0;

  constructor(options: PoolRegisterOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pools.size;
  }

  find(name: string): Pool | undefined {
    return this.#pools.get(name);
  }

  /** The pool of that name; an awaited one when there is none. */
  open(name: string): Pool {
    const found = this.#pools.get(name);
    if (found !== undefined) return found;
    this.#options.requireName(name);
    const spare = this.#spares.pop();
    spare?.reuse(name);
    const pool = spare ?? new Pool(name);
    this.#pools.set(name, pool);
    return pool;
  }

  /** The defined pool of that name.
   *  @throws {EphemeralError} `unknown_pool`, `size_mismatch` for one made on first use */
  requireDefined(name: string, action: string): Pool {
    const pool = this.#pools.get(name);
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
    if (!pool.isIdle || this.#pools.get(pool.name) !== pool) return;
    this.#pools.delete(pool.name);
    if (this.#spares.length < sparesMax) this.#spares.push(pool);
  }

  clear(): void {
    this.#pools.clear();
    this.#definedCount = 0;
  }
}

function definedCountOf(pool: Pool): number {
  return pool.kind === "defined" ? pool.size : 0;
}
