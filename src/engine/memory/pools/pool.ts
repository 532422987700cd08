/**
 * One pool: its items by slot, which of them are free, which may be shared, and who waits for them. Awaited while nobody has
 * defined it, made on first use with a size, or defined. Decides who may have which slot, never when.
 */
import { assert, EphemeralError } from "../../../protocol/errors.ts";
import type { PoolMode } from "../../../protocol/pools.ts";
import type { PoolItemDefinition } from "../../pooling.ts";
import { FreeNumbers } from "../free-numbers.ts";
import type { Grant } from "./grant.ts";
import { PoolItem, type Quarantine } from "./pool-item.ts";
import { PoolLanes } from "./pool-lanes.ts";
import type { Want } from "./pool-waiter.ts";
import { SlotSet } from "./slot-set.ts";
import { Selection, TagIndex } from "./tag-index.ts";

const noTags: readonly string[] = Object.freeze([]);

/** What `slotsFor` is to look for. */
export interface SlotSearch {
  readonly atMost: number;
  /** The slot to offer first; −1 for none. */
  readonly preferred: number;
}

export class Pool {
  name: string;
  kind: "awaited" | "made" | "defined" = "awaited";
  heldCount = 0;
  /** Wants of the command that runs now: what it has opened must not be forgotten meanwhile. */
  askedCount = 0;
  /** Idle, and kept to be used again. Only `pool-register.ts` writes these three. */
  isSpare = false;
  previous: Pool | undefined;
  next: Pool | undefined;
  readonly #items: (PoolItem | undefined)[] = [];
  /** These three are made when they are first needed: most locks live and die without. */
  #lanes: PoolLanes | undefined;
  #tags: TagIndex | undefined;
  /** Slots of a defined pool that have no item. */
  #vacant: FreeNumbers | undefined;
  /** Slots of all items that are not leaving. */
  readonly #everything = new Selection(noTags, new SlotSet());
  readonly #free = new SlotSet();
  /** What is free, or held by those who share it. */
  readonly #shareable = new SlotSet();
  #definition: readonly PoolItemDefinition[] | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Where those stand who wait for its items. */
  get lanes(): PoolLanes {
    this.#lanes ??= new PoolLanes();
    return this.#lanes;
  }
  get tags(): TagIndex {
    this.#tags ??= new TagIndex();
    return this.#tags;
  }
  /** Whether somebody waits for an item of it. */
  get isWanted(): boolean {
    return this.#lanes !== undefined && !this.#lanes.isEmpty;
  }
  /** How many items there are, held and quarantined ones too. */
  get size(): number {
    return this.#everything.slots.size;
  }
  get freeCount(): number {
    return this.#free.size;
  }
  /** Whether nobody has, wants or has defined anything of it. */
  get isIdle(): boolean {
    return this.kind !== "defined" && this.heldCount + this.askedCount === 0 && !this.isWanted;
  }

  /** Makes a spare as good as new: a lock lives shorter than what it is made of takes to make. When it was made with `size`
   *  items it is that already. */
  reuse({ name, size }: { readonly name: string; readonly size: number | undefined }): void {
    this.name = name;
    this.isSpare = false;
    if (this.kind === "made" && this.size === size) return;
    this.kind = "awaited";
    for (const slots of [this.#everything.slots, this.#free, this.#shareable]) slots.fill(0);
  }

  /** Gives an awaited pool `size` items that are numbers. */
  make(size: number): void {
    this.kind = "made";
    for (const slots of [this.#everything.slots, this.#free, this.#shareable]) slots.fill(size);
  }

  /** Makes the items those of `definition`. Items that stay keep their slot, holder and quarantine. */
  define(definition: readonly PoolItemDefinition[]): void {
    this.#forgetNumbers();
    const before = new Map<string, PoolItem[]>();
    for (const item of this.items()) push(before, identityOf(item), item);
    const added: PoolItemDefinition[] = [];
    for (const wanted of definition) {
      const item = before.get(identityOf(wanted))?.shift();
      if (item === undefined) added.push(wanted);
      else if (item.isLeaving) this.#rejoin(item, item.tags);
    }
    for (const items of before.values()) for (const item of items) this.#remove(item);
    this.kind = "defined";
    this.#definition = definition;
    for (const wanted of added) this.#insert(wanted);
    this.#changed();
  }

  /** Whether `definition` is what the pool was defined as last. */
  isDefinedAs(definition: readonly PoolItemDefinition[]): boolean {
    const last = this.#definition;
    if (last?.length !== definition.length) return false;
    const identities = definition.map(identityOf);
    return last.every((item, index) => identityOf(item) === identities[index]);
  }

  /** Adds items; one with the value of an item that is out, or about to leave, brings that back instead. */
  add(added: readonly PoolItemDefinition[]): void {
    const out = this.#out();
    for (const wanted of added) {
      const item = out.get(wanted.value)?.shift();
      if (item === undefined) {
        this.#insert(wanted);
        continue;
      }
      item.quarantine = undefined;
      this.#rejoin(item, wanted.tags);
    }
    this.#changed();
  }

  /** How many items there would be after `add`. */
  sizeWith(added: readonly PoolItemDefinition[]): number {
    const out = this.#out();
    const returning = added.filter(({ value }) => out.get(value)?.shift()?.isLeaving === false);
    return this.size + added.length - returning.length;
  }

  /** Removes the items of `slots`, held ones when they are given back; undefined: all of them, and the definition. */
  remove(slots: readonly number[] | undefined): void {
    const chosen = slots === undefined ? this.items() : slots.flatMap((slot) => this.itemAt(slot) ?? []);
    for (const item of chosen) this.#remove(item);
    if (slots === undefined) {
      this.kind = "awaited";
      this.#definition = undefined;
    }
    this.#changed();
  }

  quarantine(item: PoolItem, quarantine: Quarantine): void {
    item.quarantine = quarantine;
    this.#settle(item);
  }

  /** The items with all of `tags`. */
  select(tags: readonly string[]): Selection {
    return tags.length === 0 ? this.#everything : this.tags.select(tags, (key) => this.lanes.selection(key));
  }

  /** The item of `slot`, when it has been defined or was ever taken. */
  itemAt(slot: number): PoolItem | undefined {
    return this.#items[slot];
  }

  /** @throws {EphemeralError} `not_found` */
  requireItem(slot: number, action: string): PoolItem {
    const item = this.#items[slot];
    if (item !== undefined && !item.isLeaving) return item;
    throw new EphemeralError(
      "not_found",
      `Cannot ${action} item ${slot} of ${JSON.stringify(this.name)}: there is none`,
    );
  }

  /** Items that have been defined or were ever taken, those that are leaving too. */
  items(): readonly PoolItem[] {
    return this.#items.filter((item) => item !== undefined);
  }

  /** The slots `want` may have now without overtaking anybody: the preferred one, then the lowest. */
  slotsFor(want: Want, { atMost, preferred }: SlotSearch): number[] {
    const { slots } = want.selection;
    const open = want.mode === "exclusive" ? this.#free : this.#shareable;
    const found: number[] = [];
    if (open.size === 0 || (this.isWanted && this.lanes.claimAll(want))) return found;
    if (preferred >= 0 && open.has(preferred) && slots.has(preferred) && !this.#isClaimed(preferred, want))
      found.push(preferred);
    for (let slot = open.next(0, slots); slot >= 0 && found.length < atMost; slot = open.next(slot + 1, slots)) {
      if (slot !== preferred && !this.#isClaimed(slot, want)) found.push(slot);
    }
    return found;
  }

  /** Whether an item of `selection` and of `other` could be taken by somebody, alone or shared. */
  hasOpenIn(selection: Selection, other: Selection): boolean {
    return this.#shareable.meets(selection.slots, other.slots);
  }

  take(slot: number, { grant, mode }: { readonly grant: Grant; readonly mode: PoolMode }): PoolItem {
    const item = this.#itemOrNumber(slot);
    assert(item.isOpenTo(mode), "an item that is given is open to who gets it");
    if (!item.isHeld) this.heldCount += 1;
    this.#items[slot] = item;
    item.take(grant, mode);
    this.#settle(item);
    return item;
  }

  giveBack(item: PoolItem, grant: Grant): void {
    item.giveBack(grant);
    if (item.isHeld) return;
    this.heldCount -= 1;
    if (item.isLeaving) this.#forget(item.slot);
    this.#settle(item);
  }

  /** Whether somebody who came before keeps the item of `slot` from one who wants it. */
  #isClaimed(slot: number, { mode, waiter: { arrival } }: Want): boolean {
    return this.isWanted && this.lanes.someOf(this.#itemOrNumber(slot), (lane) => lane.claims(mode, arrival));
  }

  #itemOrNumber(slot: number): PoolItem {
    return this.#items[slot] ?? new PoolItem(this, { slot, value: `${slot}`, tags: noTags });
  }

  #insert(wanted: PoolItemDefinition): void {
    const item = new PoolItem(this, { slot: this.#vacantSlots.take(), ...wanted });
    this.#items[item.slot] = item;
    this.#enter(item);
  }

  get #vacantSlots(): FreeNumbers {
    this.#vacant ??= new FreeNumbers();
    return this.#vacant;
  }

  /** Items that are numbers outlive the pool they were made for, but not into one that is defined. */
  #forgetNumbers(): void {
    if (this.kind === "awaited" && this.heldCount === 0) this.#items.length = 0;
  }

  #forget(slot: number): void {
    this.#items[slot] = undefined;
    this.#vacantSlots.give(slot);
  }

  #remove(item: PoolItem): void {
    if (item.isLeaving) return;
    this.#everything.slots.delete(item.slot);
    this.tags.delete(item);
    item.isLeaving = true;
    if (!item.isHeld) this.#forget(item.slot);
    this.#settle(item);
  }

  #rejoin(item: PoolItem, tags: readonly string[]): void {
    if (!item.isLeaving) this.tags.delete(item);
    item.tags = tags;
    item.isLeaving = false;
    this.#enter(item);
  }

  #enter(item: PoolItem): void {
    this.#everything.slots.add(item.slot);
    this.tags.add(item);
    this.#settle(item);
  }

  /** Puts the slot of `item` where it belongs now. */
  #settle(item: PoolItem): void {
    const { slot } = item;
    if (!item.isLeaving && item.isOpenTo("exclusive")) this.#free.add(slot);
    else this.#free.delete(slot);
    if (!item.isLeaving && item.isOpenTo("shared")) this.#shareable.add(slot);
    else this.#shareable.delete(slot);
  }

  /** Items that are quarantined or about to leave, by value. */
  #out(): Map<string, PoolItem[]> {
    const out = new Map<string, PoolItem[]>();
    for (const item of this.items()) if (item.isLeaving || item.quarantine !== undefined) push(out, item.value, item);
    return out;
  }

  #changed(): void {
    this.tags.changed(this.lanes.all().map(({ selection }) => selection));
  }
}

function identityOf({ value, tags }: { readonly value: string; readonly tags: readonly string[] }): string {
  return `${value}\n${JSON.stringify(tags)}`;
}

function push<Key, Item>(lists: Map<Key, Item[]>, key: Key, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
