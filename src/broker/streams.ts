/**
 * The ways one connection's pushes take to its reader: what fits the outbox is said, and for what does not each stream does as
 * its overflow asks. Knows which of them are behind, and lets them catch up when there is room.
 */
import type { Limits } from "../protocol/limits.ts";
import type { Overflow, Push } from "../protocol/pushes.ts";
import type { Outbox } from "./outbox.ts";
import { type Frame, type Lost, PushStream } from "./push-stream.ts";

export interface StreamOptions {
  readonly overflow: Overflow;
  /** What tells the reader that pushes are missing. */
  readonly gap: (lost: Lost) => Push;
}

export interface StreamsOptions {
  readonly outbox: Outbox;
  readonly limits: Limits;
  readonly encode: (push: Push) => Frame;
  /** Whether the connection says nothing more. */
  readonly isOver: () => boolean;
  /** Ends the connection, not within this call: its reader is too slow for the overflow `close`. */
  readonly close: () => void;
  /** The first stream is behind. */
  readonly fellBehind: () => void;
}

export class Streams {
  readonly #options: StreamsOptions;
  readonly #behind = new Set<PushStream>();

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  open({ overflow, gap }: StreamOptions): PushStream {
    const { encode, close, limits } = this.#options;
    const stream: PushStream = new PushStream({
      overflow,
      latestMax: limits.latestKeysMax,
      close,
      offer: (frame) => this.#offer(frame),
      gapFrame: (lost) => encode(gap(lost)),
      behind: () => this.#fellBehind(stream),
    });
    return stream;
  }

  /** There is room again. */
  drained(): void {
    for (const stream of this.#behind) if (stream.drained()) this.#behind.delete(stream);
  }

  clear(): void {
    this.#behind.clear();
  }

  #fellBehind(stream: PushStream): void {
    if (this.#behind.size === 0) this.#options.fellBehind();
    this.#behind.add(stream);
  }

  #offer(frame: Frame): boolean {
    const { outbox, limits, isOver } = this.#options;
    if (isOver()) return true;
    const { outboxBytesMax } = limits;
    const frameBytesAtMost = typeof frame === "string" ? frame.length * 3 : frame.length;
    if (outbox.bytesAtMost + frameBytesAtMost > outboxBytesMax) {
      if (outbox.flush() + frameBytesAtMost > outboxBytesMax) return false;
    }
    outbox.enqueue(frame);
    return true;
  }
}
