/**
 * What one `acquire` was given: which items, in which mode, to whom, until when; its own node in the heap. What happens when
 * it ends stands in `grants.ts`.
 */
import type { Caller } from "../../engine.ts";
import { Expiring } from "../../expiry-heap.ts";
import type { Acquired } from "../../pooling.ts";
import type { PoolItem } from "./pool-item.ts";
import type { Party } from "./pool-waiter.ts";

export class Grant extends Expiring {
  readonly fence: number;
  readonly caller: Caller;
  /** The thread of work it is for; undefined when nobody said. */
  readonly owner: string | undefined;
  readonly sinceAtMs: number;
  /** In the order of the wants. */
  readonly items: PoolItem[] = [];
  /** Its neighbours among the grants of its session; only `grants.ts` writes them. */
  previous: Grant | undefined;
  next: Grant | undefined;
  readonly #expired: (grant: Grant) => void;

  constructor(
    { caller, owner }: Party,
    about: { readonly fence: number; readonly sinceAtMs: number; readonly expired: (grant: Grant) => void },
  ) {
    super();
    this.fence = about.fence;
    this.caller = caller;
    this.owner = owner;
    this.sinceAtMs = about.sinceAtMs;
    this.#expired = about.expired;
  }

  /** Made of the fence, which grows across restarts: a late release never meets another broker's grant. */
  get id(): string {
    return `g${this.fence}`;
  }

  get answer(): Acquired {
    return {
      id: this.id,
      fence: this.fence,
      items: this.items.map(({ pool, slot, value }) => ({ pool: pool.name, slot, value })),
      expiresAtMs: this.endsAtMs,
    };
  }

  /** When it ends by itself; undefined when it does not. */
  get endsAtMs(): number | undefined {
    return this.expiresAtMs === Number.POSITIVE_INFINITY ? undefined : this.expiresAtMs;
  }

  override expire(): void {
    this.#expired(this);
  }
}

/** The fence of the grant that goes by `id`; NaN for what is no grant's id. */
export function fenceIn(id: string): number {
  return /^g\d{1,16}$/.test(id) ? Number(id.slice(1)) : Number.NaN;
}
