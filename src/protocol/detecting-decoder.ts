/**
 * The broker's decoder: the first byte of a connection decides how its frames stand on it, 0x00 for bodies behind their
 * length, anything else for lines. Knows nothing of what stands in them.
 */
import type { FrameDecoder, FrameHandler } from "./frame.ts";
import { LineDecoder } from "./line-decoder.ts";
import { PrefixedDecoder } from "./prefixed-decoder.ts";

/** `undecided` until the first byte has come. */
export type Framing = "undecided" | "lines" | "prefixed";

export class DetectingDecoder implements FrameDecoder {
  #frameBytesMax: number;
  readonly #prefixedBytesMax: number;
  #framing: Framing = "undecided";
  #decoder: FrameDecoder | undefined;

  /** @param prefixedBytesMax bound of frames behind their length, until `frameBytesMax` is set */
  constructor(frameBytesMax: number, { prefixedBytesMax = frameBytesMax } = {}) {
    this.#frameBytesMax = frameBytesMax;
    this.#prefixedBytesMax = prefixedBytesMax;
  }

  get frameBytesMax(): number {
    return this.#frameBytesMax;
  }

  set frameBytesMax(bytes: number) {
    this.#frameBytesMax = bytes;
    if (this.#decoder !== undefined) this.#decoder.frameBytesMax = bytes;
  }

  get framing(): Framing {
    return this.#framing;
  }

  push(chunk: Uint8Array, onFrame: FrameHandler): number {
    if (chunk.length === 0) return 0;
    this.#decoder ??= this.#decide(chunk[0] === 0);
    return this.#decoder.push(chunk, onFrame);
  }

  #decide(isPrefixed: boolean): FrameDecoder {
    this.#framing = isPrefixed ? "prefixed" : "lines";
    return isPrefixed ? new PrefixedDecoder(this.#prefixedBytesMax) : new LineDecoder(this.#frameBytesMax);
  }
}
