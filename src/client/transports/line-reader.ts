/**
 * What the broker says in JSON lines, as messages. Text is decoded a chunk at a time: that takes a fraction of what it takes
 * line by line; to parse all lines as one list would gain nothing more. Reads without the broker's suspicion, as whoever owns our socket is our broker, but keeps no endless line.
 */
import type { ClientCodec, MessageHandler, MessageReader } from "../../protocol/codec.ts";
import { MiB } from "../../protocol/sizes.ts";
import { EphemeralError } from "../client.ts";
import { messageIn, unreadable } from "../json-codec.ts";

/** Replies are bounded by the broker, whose bounds may be set higher than ours. */
const replyBytesMax = 64 * MiB;

/** Reads what comes over a pipe. */
export function pipeReader({ codec }: { readonly codec?: ClientCodec | undefined }): MessageReader {
  return codec?.reader?.(replyBytesMax) ?? new LineReader(replyBytesMax);
}

export class LineReader implements MessageReader {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #lineLengthMax: number;
  /** The beginning of a line whose end has not come. */
  #rest = "";

  constructor(lineLengthMax: number) {
    this.#lineLengthMax = lineLengthMax;
  }

  read(chunk: Uint8Array, onMessage: MessageHandler): void {
    const lines = this.#textOf(chunk).split("\n");
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop() ?? "";
    // The CR of a CRLF is no line, and nothing else so short is a message.
    for (const line of lines) if (line.length > 1 && onMessage(messageIn(line)) === false) return;
    if (this.#rest.length <= this.#lineLengthMax) return;
    throw new EphemeralError("too_large", `Cannot read frame: it has over ${this.#lineLengthMax} bytes, the limit`);
  }

  #textOf(chunk: Uint8Array): string {
    try {
      return this.#decoder.decode(chunk, { stream: true });
    } catch {
      throw unreadable(`${chunk.length} bytes are no UTF-8`);
    }
  }
}
