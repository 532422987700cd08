/**
 * Frames that are bodies behind a u32 big-endian length. A body that is too long is refused by its length alone. Knows
 * nothing of what stands in them.
 */
import { type FrameDecoder, type FrameHandler, FrameStart } from "./frame.ts";

const prefixBytes = 4;

export class PrefixedDecoder implements FrameDecoder {
  frameBytesMax: number;
  readonly #start = new FrameStart(this);

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  push(chunk: Uint8Array, onFrame: FrameHandler): number {
    let at = 0;
    while (at < chunk.length) {
      const bodyBytes = this.#lengthAt(chunk, at);
      if (bodyBytes !== undefined) this.#start.refuseOver(bodyBytes);
      const wanted = bodyBytes === undefined ? Number.POSITIVE_INFINITY : prefixBytes + bodyBytes - this.#start.length;
      if (chunk.length - at < wanted) {
        this.#start.keep(chunk.subarray(at));
        return chunk.length;
      }
      const whole = this.#start.complete(chunk.subarray(at, at + wanted));
      at += wanted;
      if (onFrame(whole.subarray(prefixBytes)) === false) return at;
    }
    return at;
  }

  /** The length said by the prefix that began in an earlier chunk or begins at `at`; undefined while bytes are missing. */
  #lengthAt(chunk: Uint8Array, at: number): number | undefined {
    const kept = this.#start.length;
    if (kept + chunk.length - at < prefixBytes) return undefined;
    let length = 0;
    for (let index = 0; index < prefixBytes; index++) {
      const byte = index < kept ? this.#start.at(index) : chunk[at + index - kept];
      length = length * 256 + (byte ?? 0);
    }
    return length;
  }
}
