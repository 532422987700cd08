/**
 * Keys that end with a session: whose each is, and since when. Knows nothing of what stands under them.
 */
import { OwnerIndex } from "../../owner-index.ts";

/** One key of one session. */
interface OwnedKey {
  readonly key: string;
  readonly sessionId: string;
  readonly sinceAtMs: number;
}

export class SessionKeys {
  readonly #byKey = new Map<string, OwnedKey>();
  readonly #bySession = new OwnerIndex<OwnedKey>();

  /** Makes `sessionId` the owner of `key`, or nobody. An owner that stays has it since it became one. */
  setOwner(key: string, sessionId: string | undefined, nowMs: number): void {
    const owned = this.#byKey.get(key);
    if (owned?.sessionId === sessionId) return;
    if (owned !== undefined) this.#forget(owned);
    if (sessionId === undefined) return;
    const claim = { key, sessionId, sinceAtMs: nowMs };
    this.#byKey.set(key, claim);
    this.#bySession.add(sessionId, claim);
  }

  /** `key` is gone. */
  delete(key: string): void {
    const owned = this.#byKey.get(key);
    if (owned !== undefined) this.#forget(owned);
  }

  /** What `sessionId` owns, oldest first. */
  of(sessionId: string): readonly OwnedKey[] {
    return this.#bySession.of(sessionId);
  }

  clear(): void {
    this.#byKey.clear();
    this.#bySession.clear();
  }

  #forget(owned: OwnedKey): void {
    this.#byKey.delete(owned.key);
    this.#bySession.delete(owned.sessionId, owned);
  }
}
