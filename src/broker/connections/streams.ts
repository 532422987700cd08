/**
 * The ways one connection's pushes take to its reader: what fits the outbox is said, and for what does not each stream does as
 * its overflow asks. Knows which of them are behind, and lets them catch up when there is room.
 */
import type { Limits } from "../../protocol/limits.ts";
import type { Push } from "../../protocol/pushes.ts";
import type { Connection } from "./connection.ts";
import type { Outbox } from "./outbox.ts";
import { type Frame, PushStream, type PushWay, type StreamOptions } from "./push-stream.ts";

/** What streams need of their connection, the same for all connections. */
export interface StreamsHost {
  /** Whether the connection says nothing more. */
  readonly isOver: (connection: Connection) => boolean;
  /** Ends the connection, not within this call: its reader is too slow for the overflow `close`. */
  readonly close: (connection: Connection) => void;
  /** The first stream is behind. */
  readonly fellBehind: (connection: Connection) => void;
}

export interface StreamsOptions {
  readonly outbox: Outbox;
  readonly limits: Limits;
  readonly host: StreamsHost;
}

export class Streams implements PushWay {
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #limits: Limits;
  readonly #host: StreamsHost;
  readonly #behind = new Set<PushStream>();

  constructor(connection: Connection, { outbox, limits, host }: StreamsOptions) {
    this.#connection = connection;
    this.#outbox = outbox;
    this.#limits = limits;
    this.#host = host;
  }

  get latestMax(): number {
    return this.#limits.latestKeysMax;
  }

  open(options: StreamOptions): PushStream {
    return new PushStream(this, options);
  }

  /** There is room again. */
  drained(): void {
    for (const stream of this.#behind) if (stream.drained()) this.#behind.delete(stream);
  }

  clear(): void {
    this.#behind.clear();
  }

  encode(push: Push): Frame {
    return this.#connection.codec.encode(push);
  }

  close(): void {
    this.#host.close(this.#connection);
  }

  behind(stream: PushStream): void {
    if (this.#behind.size === 0) this.#host.fellBehind(this.#connection);
    this.#behind.add(stream);
  }

  offer(frame: Frame): boolean {
    if (this.#host.isOver(this.#connection)) return true;
    const outbox = this.#outbox;
    const { outboxBytesMax } = this.#limits;
    const frameBytesAtMost = typeof frame === "string" ? frame.length * 3 : frame.length;
    if (outbox.bytesAtMost + frameBytesAtMost > outboxBytesMax) {
      if (outbox.flush() + frameBytesAtMost > outboxBytesMax) return false;
    }
    outbox.enqueue(frame);
    return true;
  }
}
