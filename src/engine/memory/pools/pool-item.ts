/** One item of a pool: its value and tags, and who has it now. Knows nothing of who waits for it. */
import type { PoolMode } from "../../../protocol/pools.ts";
import type { Grant } from "./grant.ts";
import type { Pool } from "./pool.ts";

/** Why an item is out, by whose word, since when. */
export interface Quarantine {
  readonly reason: string;
  readonly label: string;
  readonly sinceAtMs: number;
}

const nobody: readonly Grant[] = [];

export class PoolItem {
  readonly pool: Pool;
  readonly slot: number;
  /** JSON text. */
  readonly value: string;
  tags: readonly string[];
  quarantine: Quarantine | undefined;
  /** Whether it goes when its holder releases it. */
  isLeaving = false;
  #exclusive: Grant | undefined;
  #sharers: Set<Grant> | undefined;

  constructor(pool: Pool, about: Pick<PoolItem, "slot" | "value" | "tags">) {
    this.pool = pool;
    this.slot = about.slot;
    this.value = about.value;
    this.tags = about.tags;
  }

  get isHeld(): boolean {
    return this.#exclusive !== undefined || this.#sharers !== undefined;
  }

  get isShared(): boolean {
    return this.#sharers !== undefined;
  }

  /** Whether one more may have it in `mode`. */
  isOpenTo(mode: PoolMode): boolean {
    if (this.quarantine !== undefined || this.#exclusive !== undefined) return false;
    return mode === "shared" || this.#sharers === undefined;
  }

  /** Who has it, oldest first. */
  holders(): Iterable<Grant> {
    return this.#sharers ?? (this.#exclusive === undefined ? nobody : [this.#exclusive]);
  }

  take(grant: Grant, mode: PoolMode): void {
    if (mode === "exclusive") this.#exclusive = grant;
    else if (this.#sharers === undefined) this.#sharers = new Set([grant]);
    else this.#sharers.add(grant);
  }

  giveBack(grant: Grant): void {
    this.#exclusive = undefined;
    if (this.#sharers?.delete(grant) && this.#sharers.size === 0) this.#sharers = undefined;
  }
}
