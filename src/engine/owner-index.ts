/**
 * What belongs to whom, in the order it came: by session for "ends with its session", by worker for "all of the worker's".
 * Keeps nothing for an owner that has nothing, and no set for one that has a single thing, as most do. Knows nothing of what
 * the items are.
 */

/** The items of an owner that has several, told from a single item by its class. */
class Items<Item> extends Set<Item> {}

export class OwnerIndex<Item extends object> {
  readonly #byOwner = new Map<string, Item | Items<Item>>();

  add(ownerId: string, item: Item): void {
    const before = this.#byOwner.get(ownerId);
    if (before === undefined) this.#byOwner.set(ownerId, item);
    else if (before instanceof Items) before.add(item);
    else this.#byOwner.set(ownerId, new Items([before, item]));
  }

  delete(ownerId: string, item: Item): void {
    const before = this.#byOwner.get(ownerId);
    if (before === item || (before instanceof Items && before.delete(item) && before.size === 0)) {
      this.#byOwner.delete(ownerId);
    }
  }

  count(ownerId: string): number {
    const items = this.#byOwner.get(ownerId);
    if (items === undefined) return 0;
    return items instanceof Items ? items.size : 1;
  }

  /** A copy, so that its items may leave the index while it is walked. */
  of(ownerId: string): readonly Item[] {
    const items = this.#byOwner.get(ownerId);
    if (items === undefined) return [];
    return items instanceof Items ? [...items] : [items];
  }

  clear(): void {
    this.#byOwner.clear();
  }
}
