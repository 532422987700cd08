/**
 * Every grant of an engine: by its fence, by its session, by whom it is held for. Gives items and takes them back; what becomes
 * free is handed on by `HandOn`. Knows nothing of who waits.
 */
import { assert, EphemeralError } from "../../../protocol/errors.ts";
import type { Limits } from "../../../protocol/limits.ts";
import type { Caller, HeldBySession } from "../../engine.ts";
import type { ExpiryHeap } from "../../expiry-heap.ts";
import { OwnerIndex } from "../../owner-index.ts";
import { WaitQueue } from "../../wait-queue.ts";
import { nameOf } from "../../wording.ts";
import { fenceIn, Grant } from "./grant.ts";
import type { PoolItem } from "./pool-item.ts";
import type { PoolWaiter } from "./pool-waiter.ts";
import type { SlotChoice } from "./slot-choice.ts";

export interface GrantsOptions {
  readonly expiries: ExpiryHeap;
  readonly limits: Limits;
  readonly nextFence: () => number;
  /** Called when an item has been given back. */
  readonly givenBack: (item: PoolItem) => void;
  /** Called when a grant's deadline has passed. */
  readonly expired: (grant: Grant) => void;
}

export class Grants {
  readonly #options: GrantsOptions;
  readonly #byFence = new Map<number, Grant>();
  /** Oldest first. A session that has ever held something keeps its list until it ends. */
  readonly #bySession = new Map<string, WaitQueue<Grant>>();
  readonly #byOwner = new OwnerIndex<Grant>();
  /** Items held, each as often as it is shared. */
  #itemsCount = 0;

  constructor(options: GrantsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byFence.size;
  }

  /** Gives `waiter` the chosen slots.
   *  @throws {EphemeralError} `too_many_names` when too much is held already, `too_large` when no reply could tell them */
  give(waiter: PoolWaiter, { choice, nowMs }: { readonly choice: SlotChoice; readonly nowMs: number }): Grant {
    const { owner, request, wants } = waiter;
    this.#requireRoom(waiter, choice);
    const { nextFence, expired } = this.#options;
    const grant = new Grant(waiter, { fence: nextFence(), sinceAtMs: nowMs, expired });
    let chosen = 0;
    for (const want of wants) {
      for (let taken = 0; taken < want.count; taken++) grant.items.push(want.take(slotAt(choice, chosen++), grant));
    }
    this.#byFence.set(grant.fence, grant);
    this.#listOf(waiter.caller.id).append(grant);
    if (owner !== undefined) this.#byOwner.add(owner, grant);
    this.#itemsCount += grant.items.length;
    if (request.ttlMs !== undefined) this.#options.expiries.set(grant, nowMs + request.ttlMs);
    return grant;
  }

  /** Ends a grant. */
  end(grant: Grant): void {
    this.#byFence.delete(grant.fence);
    this.#bySession.get(grant.caller.id)?.remove(grant);
    if (grant.owner !== undefined) this.#byOwner.delete(grant.owner, grant);
    this.#itemsCount -= grant.items.length;
    this.#options.expiries.remove(grant);
    for (const item of grant.items) {
      item.pool.giveBack(item, grant);
      this.#options.givenBack(item);
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
    const grants: Grant[] = [];
    for (let grant = this.#bySession.get(sessionId)?.first; grant !== undefined; grant = grant.next) grants.push(grant);
    return grants;
  }

  /** A session has ended, and its grants with it. */
  forget(sessionId: string): void {
    this.#bySession.delete(sessionId);
  }

  /** What is held for a party, see `partyOf`. */
  ofParty({ caller, owner }: { readonly caller: Caller; readonly owner: string | undefined }): readonly Grant[] {
    if (owner !== undefined) return this.#byOwner.of(owner);
    return this.ofSession(caller.id).filter((grant) => grant.owner === undefined);
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return this.ofSession(sessionId).map((grant) => {
      const items = grant.items.map(({ pool, slot }) => ({ pool: pool.name, slot }));
      const { id, fence, owner, endsAtMs: expiresAtMs, sinceAtMs } = grant;
      return { kind: "grant", id, fence, items, owner, expiresAtMs, sinceAtMs };
    });
  }

  clear(): void {
    this.#byFence.clear();
    this.#bySession.clear();
    this.#byOwner.clear();
    this.#itemsCount = 0;
  }

  #listOf(sessionId: string): WaitQueue<Grant> {
    const known = this.#bySession.get(sessionId);
    if (known !== undefined) return known;
    const grants = new WaitQueue<Grant>();
    this.#bySession.set(sessionId, grants);
    return grants;
  }

  #requireRoom({ wants }: PoolWaiter, choice: SlotChoice): void {
    const { namesMax, frameBytesMax } = this.#options.limits;
    if (this.#itemsCount >= namesMax) {
      const actual = `${this.#itemsCount} items are held in all, limit is ${namesMax}`;
      throw new EphemeralError("too_many_names", `Cannot acquire: ${actual}`);
    }
    if (choice.length === 1) return;
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
  let chosen = 0;
  for (const { pool, count } of wants) {
    bytes += count * (Buffer.byteLength(JSON.stringify(pool.name)) + itemMarginBytes);
    for (let index = 0; index < count; index++) {
      bytes += Buffer.byteLength(pool.itemAt(slotAt(choice, chosen++))?.value ?? "");
    }
  }
  return bytes;
}

function slotAt(choice: SlotChoice, index: number): number {
  const slot = choice[index];
  assert(slot !== undefined, "as many slots are chosen as are wanted");
  return slot;
}
