/**
 * One subscription's way to its reader, and what happens when the reader is slow: `close` ends the connection, which comes
 * back and recovers; `gap` drops and then says how many; `latest` keeps the newest of each key and says how many it dropped.
 * Pushes never wait for the kernel and never stop the reading of commands. Knows nothing of sockets or channels.
 */
import type { Overflow } from "../protocol/pushes.ts";

export type Frame = string | Uint8Array;

export interface PushStreamOptions {
  readonly overflow: Overflow;
  /** Says one frame now. False when the outbox has no room for it. */
  readonly offer: (frame: Frame) => boolean;
  /** The reader is too slow for `close`. */
  readonly close: () => void;
  /** Something waits for room: `drained` is to be called when there is some. */
  readonly behind: () => void;
  /** What tells a reader that `dropped` pushes are missing here. */
  readonly gapFrame: (dropped: number) => Frame;
  /** Keys whose newest push `latest` keeps; past it the oldest is dropped. */
  readonly latestMax: number;
}

export class PushStream {
  readonly #options: PushStreamOptions;
  /** May change; what was dropped or kept till then is told as it would have been. */
  overflow: Overflow;
  /** Newest push by key, oldest key first. */
  readonly #latest = new Map<string, Frame>();
  #dropped = 0;
  /** Nothing is said any more: it was ended, or the reader was too slow for `close`. */
  #isOver = false;

  constructor(options: PushStreamOptions) {
    this.#options = options;
    this.overflow = options.overflow;
  }

  /** Says `frame` in its order, or does what the overflow asks. `key` is what `latest` keeps one of. */
  push(frame: Frame, key: string): void {
    if (this.#isOver) return;
    if (!this.#catchUp() || !this.#options.offer(frame)) this.#overflow(frame, key);
  }

  /** There is room again. True when nothing is held back any more. */
  drained(): boolean {
    return this.#catchUp();
  }

  /** Says nothing from now on. Returns how many pushes are missing that the reader was not told of. */
  end(): number {
    const untold = this.#dropped + this.#latest.size;
    this.#isOver = true;
    this.#dropped = 0;
    this.#latest.clear();
    return untold;
  }

  /** Says what is missing and what was kept. False while there is no room for all of it. */
  #catchUp(): boolean {
    if (this.#dropped > 0) {
      if (!this.#options.offer(this.#options.gapFrame(this.#dropped))) return false;
      this.#dropped = 0;
    }
    for (const [key, frame] of this.#latest) {
      if (!this.#options.offer(frame)) return false;
      this.#latest.delete(key);
    }
    return true;
  }

  #overflow(frame: Frame, key: string): void {
    if (this.overflow === "close") {
      this.#isOver = true;
      this.#options.close();
      return;
    }
    this.#options.behind();
    if (this.overflow === "gap") this.#dropped++;
    else this.#keepLatest(frame, key);
  }

  #keepLatest(frame: Frame, key: string): void {
    if (this.#latest.delete(key)) this.#dropped++;
    this.#latest.set(key, frame);
    if (this.#latest.size <= this.#options.latestMax) return;
    for (const oldest of this.#latest.keys()) {
      this.#latest.delete(oldest);
      this.#dropped++;
      return;
    }
  }
}
