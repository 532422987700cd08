/**
 * Which items of a pool have which tags. A `Selection` is the slots of the items that have all of some tags, held and
 * quarantined ones too; it follows the pool as items come and go. Knows nothing of who holds them.
 */
import { SlotSet } from "./slot-set.ts";

/** Selections that nobody waits for and that are kept for the next one who asks. */
const keptMax = 64;

/** What the index needs of an item. */
interface Tagged {
  readonly slot: number;
  readonly tags: readonly string[];
}

export class Selection {
  readonly key: string;
  readonly tags: readonly string[];
  slots: SlotSet;

  constructor(tags: readonly string[], slots: SlotSet) {
    this.key = keyOf(tags);
    this.tags = tags;
    this.slots = slots;
  }
}

export class TagIndex {
  readonly #itemsByTag = new Map<string, Set<Tagged>>();
  readonly #kept = new Map<string, Selection>();

  add(item: Tagged): void {
    for (const tag of item.tags) {
      const items = this.#itemsByTag.get(tag);
      if (items === undefined) this.#itemsByTag.set(tag, new Set([item]));
      else items.add(item);
    }
  }

  delete(item: Tagged): void {
    for (const tag of item.tags) {
      const items = this.#itemsByTag.get(tag);
      if (items?.delete(item) && items.size === 0) this.#itemsByTag.delete(tag);
    }
  }

  /** The items that have all of `tags`, at least one; `inUse` is the selection that somebody waits for already. */
  select(tags: readonly string[], inUse: (key: string) => Selection | undefined): Selection {
    const key = keyOf(tags);
    const known = inUse(key) ?? this.#kept.get(key);
    if (known !== undefined) return known;
    if (this.#kept.size >= keptMax) this.#kept.clear();
    const selection = new Selection(tags, this.#slotsOf(tags));
    this.#kept.set(key, selection);
    return selection;
  }

  /** Finds the slots of `selections` anew, and forgets all others: the pool has other items now. */
  changed(selections: Iterable<Selection>): void {
    this.#kept.clear();
    for (const selection of selections) if (selection.tags.length > 0) selection.slots = this.#slotsOf(selection.tags);
  }

  /** The tag of `tags` that the fewest items have. */
  rarest(tags: readonly string[]): string | undefined {
    let rarest: string | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const tag of tags) {
      const count = this.#itemsByTag.get(tag)?.size ?? 0;
      if (count < fewest) [rarest, fewest] = [tag, count];
    }
    return rarest;
  }

  #slotsOf(tags: readonly string[]): SlotSet {
    const slots = new SlotSet();
    const items = this.#itemsByTag.get(this.rarest(tags) ?? "") ?? [];
    for (const item of items) if (tags.every((tag) => item.tags.includes(tag))) slots.add(item.slot);
    return slots;
  }
}

function keyOf(tags: readonly string[]): string {
  return tags.length === 0 ? "" : JSON.stringify(tags);
}
