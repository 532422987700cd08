/**
 * One channel: its epoch, how far it has come, and the window of its messages that can be read again, which has no holes. Tells
 * when it has been idle for long. Knows nothing of subscribers.
 */
import type { Limits } from "../../../protocol/limits.ts";
import type { KeptMessage, PublishRequest } from "../../channels.ts";
import { Expiring } from "../../expiry-heap.ts";
import type { History, Remembered, Window } from "./history.ts";

/** What a message costs beside its data, about: it keeps a flood of empty ones from being free. */
const overheadBytes = 100;

export interface ChannelParts {
  readonly limits: Limits;
  readonly history: History;
  /** The channel's time is over. */
  readonly idle: (channel: Channel, nowMs: number) => void;
}

export class Channel extends Expiring implements Window {
  readonly name: string;
  readonly epoch: string;
  /** When it had its last message, or lost its last subscriber. */
  usedAtMs: number;
  #offset = 0;
  #bytes = 0;
  /** By offset, oldest first. */
  readonly #window = new Map<number, Remembered>();
  readonly #parts: ChannelParts;

  constructor(
    parts: ChannelParts,
    first: { readonly name: string; readonly epoch: string; readonly usedAtMs: number },
  ) {
    super();
    this.#parts = parts;
    this.name = first.name;
    this.epoch = first.epoch;
    this.usedAtMs = first.usedAtMs;
  }

  get offset(): number {
    return this.#offset;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#window.size;
  }

  override expire(nowMs: number): void {
    this.#parts.idle(this, nowMs);
  }

  /** Gives the message its offset and remembers it, as far as there is room. */
  publish(
    { data, key, trace }: PublishRequest,
    { from, atMs }: { readonly from: string; readonly atMs: number },
  ): KeptMessage {
    const { limits, history } = this.#parts;
    const offset = ++this.#offset;
    const bytes = Buffer.byteLength(data) + Buffer.byteLength(`${key ?? ""}${trace ?? ""}`) + overheadBytes;
    const places = { window: this, bytes, older: undefined, newer: undefined };
    const message: Remembered = { offset, data, from, key, trace, atMs, ...places };
    this.usedAtMs = atMs;
    this.#window.set(offset, message);
    this.#bytes += bytes;
    history.add(message);
    while (this.count > limits.historyCountMax || this.#bytes > limits.historyBytesMax) this.dropOldest();
    return message;
  }

  /** At most `limit` messages after the offset `since`, or the last `limit`. */
  read({ since, limit }: { readonly since: number | undefined; readonly limit: number }): readonly KeptMessage[] {
    const wanted = since === undefined ? this.#offset - limit + 1 : since + 1;
    const first = Math.max(wanted, this.#offset - this.count + 1);
    const messages: KeptMessage[] = [];
    for (let offset = first; messages.length < limit; offset++) {
      const message = this.#window.get(offset);
      if (message === undefined) break;
      messages.push(message);
    }
    return messages;
  }

  dropOldest(): void {
    const oldest = this.#window.get(this.#offset - this.count + 1);
    if (oldest === undefined) return;
    this.#window.delete(oldest.offset);
    this.#bytes -= oldest.bytes;
    this.#parts.history.remove(oldest);
  }

  forget(): void {
    while (this.count > 0) this.dropOldest();
  }
}
