/**
 * Which slot each session was given last of a pool, for those who prefer to have it again. Bounded: of each session only the
 * newest pools are remembered.
 */

/** Pools remembered of one session. */
const poolsMax = 64;

export class LastSlots {
  readonly #bySession = new Map<string, Map<string, number>>();

  remember(sessionId: string, { pool, slot }: { readonly pool: string; readonly slot: number }): void {
    let slots = this.#bySession.get(sessionId);
    if (slots === undefined) {
      slots = new Map();
      this.#bySession.set(sessionId, slots);
    }
    slots.delete(pool);
    slots.set(pool, slot);
    if (slots.size <= poolsMax) return;
    for (const oldest of slots.keys()) {
      slots.delete(oldest);
      break;
    }
  }

  /** −1 when there is none. */
  of(sessionId: string, pool: string): number {
    return this.#bySession.get(sessionId)?.get(pool) ?? -1;
  }

  forget(sessionId: string): void {
    this.#bySession.delete(sessionId);
  }

  clear(): void {
    this.#bySession.clear();
  }
}
