/**
 * What cutting a byte stream into frames is, whatever marks their ends, and the beginning of a frame whose end has not come.
 * Knows nothing of JSON or MessagePack. The decoders have files of their own, so that a client bundles only the one it uses.
 */
import { EphemeralError } from "./errors.ts";
import { KiB } from "./sizes.ts";

/** Is handed each whole frame, valid only during the call. Returning false stops before the next frame. */
export type FrameHandler = (frame: Uint8Array) => unknown;

/** Resumable at every byte; each byte is looked at once; a frame past the bound is refused before it is buffered. */
export interface FrameDecoder {
  /** May be lowered or raised between frames; a frame begun is held to the bound at its next byte. */
  frameBytesMax: number;
  /** Hands every frame that `chunk` completes to `onFrame`, in order. Returns how many bytes were taken: fewer than
   *  `chunk` has only when `onFrame` returned false; the rest is to be pushed again later.
   *  @throws {EphemeralError} `too_large`; the stream cannot be read any further */
  push(chunk: Uint8Array, onFrame: FrameHandler): number;
}

const keptBytesMin = 256;
/** A longer beginning is not kept for the next frame's. */
const keptBytesMax = 64 * KiB;

/** Of all that hold nothing, which most do nearly always. */
const noBytes = new Uint8Array(0);

/** The beginning of a frame; its capacity only grows until the frame is whole. */
export class FrameStart {
  readonly #bounds: { readonly frameBytesMax: number };
  #bytes: Uint8Array = noBytes;
  #length = 0;

  constructor(bounds: { readonly frameBytesMax: number }) {
    this.#bounds = bounds;
  }

  get length(): number {
    return this.#length;
  }

  /** The byte at `index`, which must be below `length`. */
  at(index: number): number {
    return this.#bytes[index] ?? 0;
  }

  /** @throws {EphemeralError} `too_large` for a frame of so many bytes */
  refuseOver(bytes: number): void {
    const { frameBytesMax } = this.#bounds;
    if (bytes <= frameBytesMax) return;
    this.#bytes = noBytes;
    this.#length = 0;
    throw new EphemeralError("too_large", `Cannot read frame: it has over ${frameBytesMax} bytes, the limit`, {
      details: { frameBytesMax },
    });
  }

  keep(tail: Uint8Array): void {
    const length = this.#length + tail.length;
    if (length > this.#bytes.length) {
      const capacity = Math.max(length, Math.min(2 * this.#bytes.length, this.#bounds.frameBytesMax), keptBytesMin);
      const grown = new Uint8Array(capacity);
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(tail, this.#length);
    this.#length = length;
  }

  /** The kept beginning and `end` as one view; with nothing kept, `end` itself, uncopied. */
  complete(end: Uint8Array): Uint8Array {
    if (this.#length === 0) return end;
    this.keep(end);
    const whole = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    if (this.#bytes.length > keptBytesMax) this.#bytes = new Uint8Array(0);
    return whole;
  }
}
