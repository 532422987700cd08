/**
 * Every grant of an engine: by its fence, by its session, by whom it is held for. Gives items and takes them back; what becomes
 * free is handed on by `HandOn`. Knows nothing of who waits.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import type { Caller, HeldBySession } from "../engine.ts";
import type { ExpiryHeap } from "./expiry-heap.ts";
import { fenceIn, Grant } from "./grant.ts";
import { OwnerIndex } from "./owner-index.ts";
import type { Pool } from "./pool.ts";
import type { PoolItem } from "./pool-item.ts";
import { type PoolWaiter, partyOf } from "./pool-waiter.ts";
import type { SlotChoice } from "./slot-choice.ts";
import { nameOf } from "./wording.ts";

export interface GrantsOptions {
  readonly expiries: ExpiryHeap;
  readonly limits: Limits;
  readonly nextFence: () => number;
  /** Called when an item has been given back. */
  readonly givenBack: (pool: Pool, item: PoolItem) => void;
  /** Called when a grant's deadline has passed. */
  readonly expired: (grant: Grant) => void;
}

export class Grants {
  readonly #options: GrantsOptions;
  readonly #byFence = new Map<number, Grant>();
  readonly #bySession = new OwnerIndex<Grant>();
  readonly #byOwner = new OwnerIndex<Grant>();
  /** Items held, each as often as it is shared. */
  #holdingsCount = 0;

  constructor(options: GrantsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byFence.size;
  }

  /** Gives `waiter` the chosen slots.
   *  @throws {EphemeralError} `too_many_names` when too much is held already, `too_large` when no reply could tell them */
  give(waiter: PoolWaiter, { choice, nowMs }: { readonly choice: SlotChoice; readonly nowMs: number }): Grant {
    const { caller, request, wants } = waiter;
    this.#requireRoom(waiter, choice);
    const { nextFence, expired } = this.#options;
    const grant = new Grant(waiter, { fence: nextFence(), sinceAtMs: nowMs, expired });
    for (const [index, { pool, mode }] of wants.entries()) {
      for (const slot of choice[index] ?? []) {
        grant.holdings.push({ pool, mode, item: pool.take(slot, { grant, mode }) });
      }
    }
    this.#byFence.set(grant.fence, grant);
    this.#bySession.add(caller.id, grant);
    if (request.owner !== undefined) this.#byOwner.add(partyOf(grant), grant);
    this.#holdingsCount += grant.holdings.length;
    if (request.ttlMs !== undefined) this.#options.expiries.set(grant, nowMs + request.ttlMs);
    return grant;
  }

  /** Ends a grant. */
  end(grant: Grant): void {
    this.#byFence.delete(grant.fence);
    this.#bySession.delete(grant.caller.id, grant);
    if (grant.owner !== undefined) this.#byOwner.delete(partyOf(grant), grant);
    this.#holdingsCount -= grant.holdings.length;
    this.#options.expiries.remove(grant);
    for (const { pool, item } of grant.holdings) {
      pool.giveBack(item, grant);
      this.#options.givenBack(pool, item);
    }
  }

  /** The grant of that id, when it is the caller's.
   *  @throws {EphemeralError} `not_owner` */
  require(id: string, { action, caller }: { readonly action: string; readonly caller: Caller }): Grant {
    const grant = this.#byFence.get(fenceIn(id));
    if (grant?.caller.id === caller.id) return grant;
    const actual =
      grant === undefined
        ? "nobody holds it: it was released, or its time to live has passed"
        : `it belongs to another session, ${nameOf(grant.caller)}`;
    throw new EphemeralError("not_owner", `Cannot ${action} grant ${JSON.stringify(id)}: ${actual}`);
  }

  /** What a session holds, oldest first. */
  ofSession(sessionId: string): readonly Grant[] {
    return this.#bySession.of(sessionId);
  }

  /** What is held for a party, see `partyOf`. */
  ofParty({ caller, owner }: { readonly caller: Caller; readonly owner: string | undefined }): readonly Grant[] {
    if (owner !== undefined) return this.#byOwner.of(partyOf({ caller, owner }));
    return this.#bySession.of(caller.id).filter((grant) => grant.owner === undefined);
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return this.#bySession.of(sessionId).map((grant) => {
      const items = grant.holdings.map(({ pool, item }) => ({ pool: pool.name, slot: item.slot }));
      const { id, fence, owner, endsAtMs: expiresAtMs, sinceAtMs } = grant;
      return { kind: "grant", id, fence, items, owner, expiresAtMs, sinceAtMs };
    });
  }

  clear(): void {
    this.#byFence.clear();
    this.#bySession.clear();
    this.#byOwner.clear();
    this.#holdingsCount = 0;
  }

  #requireRoom({ wants }: PoolWaiter, choice: SlotChoice): void {
    const { namesMax, frameBytesMax } = this.#options.limits;
    if (this.#holdingsCount >= namesMax) {
      const actual = `${this.#holdingsCount} items are held in all, limit is ${namesMax}`;
      throw new EphemeralError("too_many_names", `Cannot acquire: ${actual}`);
    }
    if (choice.length === 1 && choice[0]?.length === 1) return;
    const bytes = replyBytes(wants, choice);
    if (bytes + replyMarginBytes <= frameBytesMax) return;
    const actual = `a reply of ${bytes} bytes would tell its items, the limit of a frame is ${frameBytesMax}`;
    throw new EphemeralError("too_large", `Cannot acquire so much at once: ${actual}`, { details: { frameBytesMax } });
  }
}

/** What stands in a reply besides its items. */
const replyMarginBytes = 1024;
/** What stands around the pool's name and the value of one item. */
const itemMarginBytes = 48;

function replyBytes(wants: PoolWaiter["wants"], choice: SlotChoice): number {
  let bytes = 0;
  for (const [index, { pool }] of wants.entries()) {
    const nameBytes = Buffer.byteLength(JSON.stringify(pool.name));
    for (const slot of choice[index] ?? []) {
      bytes += nameBytes + itemMarginBytes + Buffer.byteLength(pool.itemAt(slot)?.value ?? "");
    }
  }
  return bytes;
}
