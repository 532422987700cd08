/**
 * What the broker says in JSON lines, as messages. Text is decoded a chunk at a time: that takes a fraction of what it takes
 * line by line; to parse all lines as one list would gain nothing more. Reads without the broker's suspicion, as whoever owns our socket is our broker, but keeps no endless line.
 */
import type { MessageHandler, MessageReader } from "../protocol/codec.ts";
import { EphemeralError } from "../protocol/errors.ts";

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
    for (const line of lines) if (line !== "" && onMessage(messageIn(line)) === false) return;
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

function messageIn(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line);
  } catch {
    throw unreadable(`${line.length} characters are no JSON`);
  }
}

function unreadable(actual: string): EphemeralError {
  return new EphemeralError("invalid_json", `Cannot read frame: ${actual}`);
}
