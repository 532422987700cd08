/**
 * Who waits for which items of one pool. A lane holds those who want items of one selection in one mode, in the order they
 * came; a waiter stands in a lane for each of its wants. Tells whose turn an item is, never serves anybody.
 */
import type { PoolMode } from "../../../protocol/pools.ts";
import { WaitQueue } from "../../wait-queue.ts";
import type { PoolWaiter, Want } from "./pool-waiter.ts";
import type { Selection } from "./tag-index.ts";

export class Lane {
  readonly selection: Selection;
  readonly mode: PoolMode;
  readonly wants = new WaitQueue<Want>();
  /** Under which tag its pool finds it; undefined when it takes any item. */
  readonly tag: string | undefined;
  /** Whether it is among those that are looked through as soon as the present change is complete. */
  isStirred = false;
  /** While it is stirred: nobody who came before this one is looked at any more. */
  turn = 0;
  /** Who of a shared lane has been looked at last, so that those in front of it are not passed again and again. */
  #passed: Want | undefined;

  constructor(selection: Selection, mode: PoolMode, tag: string | undefined) {
    this.selection = selection;
    this.mode = mode;
    this.tag = tag;
  }

  /** When the first who waits here came; infinity when nobody does. */
  get firstArrival(): number {
    return this.wants.first?.waiter.arrival ?? Number.POSITIVE_INFINITY;
  }

  /** Whether who stands here, from before `arrival`, keeps an item from one who wants it in `mode`. */
  claims(mode: PoolMode, arrival: number): boolean {
    return this.firstArrival < arrival && (mode === "exclusive" || this.mode === "exclusive");
  }

  /** The first who came after `arrival` and whom nobody here holds up. */
  firstAfter(arrival: number): PoolWaiter | undefined {
    let want = this.#passed === undefined ? this.wants.first : this.#passed.next;
    for (; want !== undefined && want.waiter.arrival <= arrival; want = want.next) {
      if (this.mode === "exclusive") return undefined;
      this.#passed = want;
    }
    return want?.waiter;
  }

  /** Nobody here is left to be looked at. */
  settle(): void {
    this.isStirred = false;
    this.#passed = undefined;
  }

  remove(want: Want): void {
    if (this.#passed === want) this.#passed = want.previous;
    this.wants.remove(want);
  }
}

export class PoolLanes {
  /** Lanes by the key of their selection. */
  readonly #lanes: { readonly [Mode in PoolMode]: Map<string, Lane> } = { exclusive: new Map(), shared: new Map() };
  /** Lanes by one of their tags; those of any item under undefined. */
  readonly #byTag = new Map<string | undefined, Set<Lane>>();

  get isEmpty(): boolean {
    return this.#lanes.exclusive.size + this.#lanes.shared.size === 0;
  }

  all(): readonly Lane[] {
    return [...this.#lanes.exclusive.values(), ...this.#lanes.shared.values()];
  }

  /** The selection of the lanes of `key`, when somebody stands there. */
  selection(key: string): Selection | undefined {
    return (this.#lanes.exclusive.get(key) ?? this.#lanes.shared.get(key))?.selection;
  }

  /** Puts `want` at the end of its lane. */
  enter(want: Want): void {
    want.lane = this.#lanes[want.mode].get(want.selection.key) ?? this.#open(want);
    want.lane.wants.append(want);
  }

  leave(want: Want): void {
    const { lane } = want;
    if (lane === undefined) return;
    want.lane = undefined;
    lane.remove(want);
    if (lane.wants.first !== undefined) return;
    this.#lanes[lane.mode].delete(lane.selection.key);
    const siblings = this.#byTag.get(lane.tag);
    siblings?.delete(lane);
    if (siblings?.size === 0) this.#byTag.delete(lane.tag);
  }

  /** Calls `visit` for each lane whose waiters could use the item, until one answers true; tells whether one did. */
  someOf(item: { readonly slot: number; readonly tags: readonly string[] }, visit: (lane: Lane) => boolean): boolean {
    if (this.isEmpty) return false;
    for (const lane of this.#byTag.get(undefined) ?? []) if (visit(lane)) return true;
    for (const tag of item.tags) {
      for (const lane of this.#byTag.get(tag) ?? [])
        if (lane.selection.slots.has(item.slot) && visit(lane)) return true;
    }
    return false;
  }

  /** Whether somebody who came before keeps one who wants like `want` from all it could use. */
  claimAll(want: Want): boolean {
    return this.#claimAll("exclusive", want) || (want.mode === "exclusive" && this.#claimAll("shared", want));
  }

  #claimAll(lanesMode: PoolMode, { selection, mode, waiter: { arrival } }: Want): boolean {
    const lanes = this.#lanes[lanesMode];
    if (lanes.get("")?.claims(mode, arrival)) return true;
    return selection.key !== "" && lanes.get(selection.key)?.claims(mode, arrival) === true;
  }

  #open({ selection, mode, pool }: Want): Lane {
    const lane = new Lane(selection, mode, selection.tags.length === 0 ? undefined : pool.tags.rarest(selection.tags));
    this.#lanes[mode].set(selection.key, lane);
    const siblings = this.#byTag.get(lane.tag);
    if (siblings === undefined) this.#byTag.set(lane.tag, new Set([lane]));
    else siblings.add(lane);
    return lane;
  }
}
