/**
 * Who waits for which items of one pool. A lane holds those who want items of one selection in one mode, in the order they
 * came; a waiter stands in a lane for each of its wants. Tells whose turn an item is, never serves anybody.
 */
import type { PoolMode } from "../../protocol/pools.ts";
import type { PoolWaiter } from "./pool-waiter.ts";
import type { Selection, TagIndex } from "./tag-index.ts";
import { WaitQueue } from "./wait-queue.ts";

/** A waiter's place in one lane. */
export interface Place {
  readonly waiter: PoolWaiter;
  readonly lane: Lane;
  previous: Place | undefined;
  next: Place | undefined;
}

export class Lane {
  readonly selection: Selection;
  readonly mode: PoolMode;
  readonly places = new WaitQueue<Place>();
  /** Under which tag its pool finds it; undefined when it takes any item. */
  readonly tag: string | undefined;
  /** Whether it is among those that are looked through as soon as the present change is complete. */
  isStirred = false;

  constructor(selection: Selection, mode: PoolMode, tag: string | undefined) {
    this.selection = selection;
    this.mode = mode;
    this.tag = tag;
  }

  /** When the first who waits here came; infinity when nobody does. */
  get firstArrival(): number {
    return this.places.first?.waiter.arrival ?? Number.POSITIVE_INFINITY;
  }

  /** Whether who stands here, from before `arrival`, keeps an item from one who wants it in `mode`. */
  claims(mode: PoolMode, arrival: number): boolean {
    return this.firstArrival < arrival && (mode === "exclusive" || this.mode === "exclusive");
  }

  /** The first who came after `arrival` and whom nobody here holds up. */
  firstAfter(arrival: number): PoolWaiter | undefined {
    let place = this.places.first;
    while (place !== undefined && place.waiter.arrival <= arrival) {
      if (this.mode === "exclusive") return undefined;
      place = place.next;
    }
    return place?.waiter;
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

  /** Puts `waiter` at the end of its lane. */
  enter(waiter: PoolWaiter, want: { selection: Selection; mode: PoolMode; tags: TagIndex }): Place {
    const { selection, mode } = want;
    const lane = this.#lanes[mode].get(selection.key) ?? this.#open(want);
    const place: Place = { waiter, lane, previous: undefined, next: undefined };
    lane.places.append(place);
    return place;
  }

  leave(place: Place): void {
    const { lane } = place;
    lane.places.remove(place);
    if (lane.places.first !== undefined) return;
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

  /** Whether somebody who came before `arrival` keeps one who wants the selection's items in `mode` from all of them. */
  claimAll(selection: Selection, mode: PoolMode, arrival: number): boolean {
    const { exclusive, shared } = this.#lanes;
    for (const lanes of mode === "exclusive" ? [exclusive, shared] : [exclusive]) {
      if (lanes.get("")?.claims(mode, arrival) || lanes.get(selection.key)?.claims(mode, arrival)) return true;
    }
    return false;
  }

  #open({ selection, mode, tags }: { selection: Selection; mode: PoolMode; tags: TagIndex }): Lane {
    const lane = new Lane(selection, mode, tags.rarest(selection.tags));
    this.#lanes[mode].set(selection.key, lane);
    const siblings = this.#byTag.get(lane.tag);
    if (siblings === undefined) this.#byTag.set(lane.tag, new Set([lane]));
    else siblings.add(lane);
    return lane;
  }
}
