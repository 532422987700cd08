/**
 * One subscription's way to its reader, and what happens when the reader is slow: `close` ends the connection, which comes
 * back and recovers; `gap` drops and then says what; `latest` keeps the newest of each key and says what it dropped.
 * Pushes never wait for the kernel and never stop the reading of commands. Knows nothing of sockets or channels.
 */
import type { Overflow, Push } from "../../protocol/pushes.ts";

export type Frame = string | Uint8Array;

/** One push, as all streams of one codec say it. */
export interface PushFrame {
  readonly frame: Frame;
  /** What `latest` keeps one of. */
  readonly key: string;
  /** Its place among the offsets of its channel, both ends included; from 1 to 0 where there is none. */
  readonly from: number;
  readonly to: number;
}

/** Pushes that follow one another, all of them once more as one frame. */
export interface PushBatch {
  readonly whole: Frame;
  readonly parts: readonly PushFrame[];
}

/** What a reader is missing: how many pushes, and between which offsets they are. */
export interface Lost {
  readonly dropped: number;
  readonly from: number;
  readonly to: number;
}

const nothingLost: Lost = { dropped: 0, from: Number.POSITIVE_INFINITY, to: 0 };

export interface StreamOptions {
  readonly overflow: Overflow;
  /** What tells the reader that pushes are missing. */
  readonly gap: (lost: Lost) => Push;
}

/** Where all streams of one reader end. */
export interface PushWay {
  /** Keys whose newest push `latest` keeps; past it the oldest is dropped. */
  readonly latestMax: number;
  encode(push: Push): Frame;
  /** Says one frame now. False when the outbox has no room for it. */
  offer(frame: Frame): boolean;
  /** The reader is too slow for `close`. */
  close(): void;
  /** Something of `stream` waits for room: its `drained` is to be called when there is some. */
  behind(stream: PushStream): void;
}

/** Of all streams that keep nothing, which most do all their life. */
const noneKept = new Map<string, PushFrame>();

export class PushStream {
  readonly #way: PushWay;
  readonly #gap: (lost: Lost) => Push;
  /** May change; what was dropped or kept till then is told as it would have been. */
  overflow: Overflow;
  /** Newest push by key, oldest key first. */
  #latest = noneKept;
  #lost = nothingLost;
  /** Nothing is said any more: it was ended, or the reader was too slow for `close`. */
  #isOver = false;

  constructor(way: PushWay, { overflow, gap }: StreamOptions) {
    this.#way = way;
    this.#gap = gap;
    this.overflow = overflow;
  }

  /** Says `pushed` in its order, or does what the overflow asks. */
  push(pushed: PushFrame): void {
    if (!this.#isOver && !this.offer(pushed.frame)) this.#overflow(pushed);
  }

  /** As `push` for each of them, at the cost of one where there is room for all. */
  pushAll({ whole, parts }: PushBatch): void {
    if (this.#isOver || this.offer(whole)) return;
    for (const part of parts) this.push(part);
  }

  /** Says `frame` where there is room for it, and changes nothing where there is none. */
  offer(frame: Frame): boolean {
    return !this.#isOver && this.#catchUp() && this.#way.offer(frame);
  }

  /** There is room again. True when nothing is held back any more. */
  drained(): boolean {
    return this.#catchUp();
  }

  /** Says nothing from now on. Returns how many pushes are missing that the reader was not told of. */
  end(): number {
    const untold = this.#lost.dropped + this.#latest.size;
    this.#isOver = true;
    this.#lost = nothingLost;
    this.#latest.clear();
    return untold;
  }

  /** Says what is missing and what was kept. False while there is no room for all of it. */
  #catchUp(): boolean {
    if (this.#lost.dropped > 0) {
      if (!this.#way.offer(this.#way.encode(this.#gap(this.#lost)))) return false;
      this.#lost = nothingLost;
    }
    if (this.#latest.size === 0) return true;
    for (const [key, { frame }] of this.#latest) {
      if (!this.#way.offer(frame)) return false;
      this.#latest.delete(key);
    }
    return true;
  }

  #overflow(pushed: PushFrame): void {
    if (this.overflow === "close") {
      this.#isOver = true;
      this.#way.close();
      return;
    }
    this.#way.behind(this);
    if (this.overflow === "gap") this.#drop(pushed);
    else this.#keepLatest(pushed);
  }

  /** A gap begins before whatever is kept still: a reader that goes by offsets sees no other hole then. */
  #drop({ from, to }: PushFrame): void {
    const lost = this.#lost;
    const [oldest] = this.#latest.values();
    this.#lost = {
      dropped: lost.dropped + 1,
      from: Math.min(lost.from, from, oldest?.from ?? from),
      to: Math.max(lost.to, to),
    };
  }

  #keepLatest(pushed: PushFrame): void {
    if (this.#latest === noneKept) this.#latest = new Map();
    const before = this.#latest.get(pushed.key);
    if (before !== undefined) this.#dropKept(before);
    this.#latest.set(pushed.key, pushed);
    if (this.#latest.size <= this.#way.latestMax) return;
    const [oldest] = this.#latest.values();
    if (oldest !== undefined) this.#dropKept(oldest);
  }

  #dropKept(pushed: PushFrame): void {
    this.#drop(pushed);
    this.#latest.delete(pushed.key);
  }
}
