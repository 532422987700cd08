/**
 * What belongs to whom, in the order it came: by session for "ends with its session", by worker for "all of the worker's".
 * Keeps nothing for an owner that has nothing. Knows nothing of what the items are.
 */
export class OwnerIndex<Item> {
  readonly #byOwner = new Map<string, Set<Item>>();

  add(ownerId: string, item: Item): void {
    const items = this.#byOwner.get(ownerId);
    if (items === undefined) this.#byOwner.set(ownerId, new Set([item]));
    else items.add(item);
  }

  delete(ownerId: string, item: Item): void {
    const items = this.#byOwner.get(ownerId);
    if (items?.delete(item) && items.size === 0) this.#byOwner.delete(ownerId);
  }

  count(ownerId: string): number {
    return this.#byOwner.get(ownerId)?.size ?? 0;
  }

  /** A copy, so that its items may leave the index while it is walked. */
  of(ownerId: string): readonly Item[] {
    return [...(this.#byOwner.get(ownerId) ?? [])];
  }

  clear(): void {
    this.#byOwner.clear();
  }
}
