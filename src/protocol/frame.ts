/**
 * Cuts a byte stream into frames: LF-ended lines, or bodies behind a u32 big-endian length. Resumable at every byte, each
 * byte looked at once, a frame past the bound refused before it is buffered. Knows nothing of JSON or MessagePack.
 */
import { EphemeralError } from "./errors.ts";

/** How frames stand on the stream. `detect`: the first byte decides, 0x00 for `prefixed`, anything else for `lines`. */
export type Framing = "lines" | "prefixed" | "detect";

/** Is handed each whole frame, valid only during the call. Returning false stops before the next frame. */
export type FrameHandler = (frame: Uint8Array) => unknown;

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const prefixBytes = 4;

export class FrameDecoder {
  /** May be lowered or raised between frames; a frame begun is held to the bound at its next byte. */
  frameBytesMax: number;
  #framing: Framing;
  /** The beginning of a frame whose end has not come; its capacity only grows. */
  #partial = new Uint8Array(0);
  #partialLength = 0;

  constructor(options: { readonly frameBytesMax: number; readonly framing?: Framing }) {
    this.frameBytesMax = options.frameBytesMax;
    this.#framing = options.framing ?? "lines";
  }

  /** `detect` until the first byte has come. */
  get framing(): Framing {
    return this.#framing;
  }

  /** Hands every frame that `chunk` completes to `onFrame`, in order. Returns how many bytes were taken: fewer than
   *  `chunk` has only when `onFrame` returned false; the rest is to be pushed again later.
   *  @throws {EphemeralError} `too_large`; the stream cannot be read any further */
  push(chunk: Uint8Array, onFrame: FrameHandler): number {
    const first = chunk[0];
    if (first === undefined) return 0;
    if (this.#framing === "detect") this.#framing = first === 0 ? "prefixed" : "lines";
    return this.#framing === "lines" ? this.#pushLines(chunk, onFrame) : this.#pushPrefixed(chunk, onFrame);
  }

  #pushLines(chunk: Uint8Array, onFrame: FrameHandler): number {
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(lineFeed, start);
      const stop = end < 0 ? chunk.length : end;
      // One byte more than the bound may be the CR of a CRLF.
      this.#refuseOver(this.#partialLength + stop - start - 1);
      if (end < 0) {
        this.#keep(chunk.subarray(start));
        return chunk.length;
      }
      const line = this.#complete(chunk.subarray(start, end));
      const frame = line[line.length - 1] === carriageReturn ? line.subarray(0, -1) : line;
      this.#refuseOver(frame.length);
      start = end + 1;
      if (frame.length > 0 && onFrame(frame) === false) return start;
    }
    return start;
  }

  #pushPrefixed(chunk: Uint8Array, onFrame: FrameHandler): number {
    let start = 0;
    while (start < chunk.length) {
      const header = this.#prefixAt(chunk, start);
      if (header === undefined) {
        this.#keep(chunk.subarray(start));
        return chunk.length;
      }
      this.#refuseOver(header);
      const wanted = prefixBytes + header - this.#partialLength;
      if (chunk.length - start < wanted) {
        this.#keep(chunk.subarray(start));
        return chunk.length;
      }
      const whole = this.#complete(chunk.subarray(start, start + wanted));
      start += wanted;
      if (onFrame(whole.subarray(prefixBytes)) === false) return start;
    }
    return start;
  }

  /** The length said by the prefix that began in an earlier chunk or begins at `start`; undefined while bytes are missing. */
  #prefixAt(chunk: Uint8Array, start: number): number | undefined {
    const kept = this.#partialLength;
    if (kept + chunk.length - start < prefixBytes) return undefined;
    let length = 0;
    for (let index = 0; index < prefixBytes; index++) {
      const byte = index < kept ? this.#partial[index] : chunk[start + index - kept];
      length = length * 256 + (byte ?? 0);
    }
    return length;
  }

  #refuseOver(bytes: number): void {
    if (bytes <= this.frameBytesMax) return;
    this.#partial = new Uint8Array(0);
    this.#partialLength = 0;
    throw new EphemeralError("too_large", `Cannot read frame: it has over ${this.frameBytesMax} bytes, the limit`, {
      details: { frameBytesMax: this.frameBytesMax },
    });
  }

  #keep(tail: Uint8Array): void {
    const length = this.#partialLength + tail.length;
    if (length > this.#partial.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(2 * this.#partial.length, this.frameBytesMax), 256));
      grown.set(this.#partial.subarray(0, this.#partialLength));
      this.#partial = grown;
    }
    this.#partial.set(tail, this.#partialLength);
    this.#partialLength = length;
  }

  /** The kept beginning and `end` as one view; with nothing kept, `end` itself, uncopied. */
  #complete(end: Uint8Array): Uint8Array {
    if (this.#partialLength === 0) return end;
    this.#keep(end);
    const whole = this.#partial.subarray(0, this.#partialLength);
    this.#partialLength = 0;
    if (this.#partial.length > 64 * 1024) this.#partial = new Uint8Array(0);
    return whole;
  }
}
