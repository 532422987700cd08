/**
 * What all channels remember together: every message in the order of publication, which is also the order in which their time
 * is over, bounded in bytes. A message leaves its channel's window with it. Knows nothing of offsets or epochs.
 */
import type { Limits } from "../../../protocol/limits.ts";
import type { KeptMessage } from "../../channels.ts";
import { Expiring, type ExpiryHeap } from "../../expiry-heap.ts";

/** Whoever has a message in its window, and loses its oldest. */
export interface Window {
  dropOldest(): void;
}

/** A message in its places: the window it is in, and its neighbours in the order of publication. */
export interface Remembered extends KeptMessage {
  readonly window: Window;
  readonly bytes: number;
  older: Remembered | undefined;
  newer: Remembered | undefined;
}

/** One alarm for all: when the oldest message is over. One that left earlier makes it ring too early, which does no harm. */
class Ending extends Expiring {
  readonly #over: (nowMs: number) => void;

  constructor(over: (nowMs: number) => void) {
    super();
    this.#over = over;
  }

  override expire(nowMs: number): void {
    this.#over(nowMs);
  }
}

export class History {
  readonly #expiries: ExpiryHeap;
  readonly #limits: Limits;
  readonly #ending = new Ending((nowMs) => this.#dropUntil(nowMs - this.#limits.historyTtlMs));
  #oldest: Remembered | undefined;
  #newest: Remembered | undefined;
  #bytes = 0;
  #count = 0;

  constructor(options: { readonly expiries: ExpiryHeap; readonly limits: Limits }) {
    this.#expiries = options.expiries;
    this.#limits = options.limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** Takes the newest message of all; what is past the bound leaves, oldest first. */
  add(message: Remembered): void {
    message.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = message;
    else this.#newest.newer = message;
    this.#newest = message;
    this.#bytes += message.bytes;
    this.#count++;
    if (this.#ending.heapIndex === -1) this.#expiries.set(this.#ending, message.atMs + this.#limits.historyTtlMs);
    while (this.#bytes > this.#limits.historyBytesTotalMax && this.#oldest !== undefined) {
      this.#oldest.window.dropOldest();
    }
  }

  /** Forgets a message that leaves its window. */
  remove(message: Remembered): void {
    const { older, newer } = message;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    this.#bytes -= message.bytes;
    this.#count--;
  }

  clear(): void {
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#bytes = 0;
    this.#count = 0;
  }

  /** A message is its window's oldest whenever it is the oldest of all. */
  #dropUntil(atMs: number): void {
    while (this.#oldest !== undefined && this.#oldest.atMs <= atMs) this.#oldest.window.dropOldest();
    if (this.#oldest !== undefined) this.#expiries.set(this.#ending, this.#oldest.atMs + this.#limits.historyTtlMs);
  }
}
