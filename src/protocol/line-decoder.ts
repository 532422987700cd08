/**
 * Frames that are LF-ended lines. A CR before the LF is no part of the frame, empty lines are none. Knows nothing of what
 * stands in them.
 */
import { type FrameDecoder, type FrameHandler, FrameStart } from "./frame.ts";

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

export class LineDecoder implements FrameDecoder {
  frameBytesMax: number;
  readonly #start = new FrameStart(this);

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  push(chunk: Uint8Array, onFrame: FrameHandler): number {
    let at = 0;
    while (at < chunk.length) {
      const end = chunk.indexOf(lineFeed, at);
      const stop = end < 0 ? chunk.length : end;
      // One byte more than the bound may be the CR of a CRLF.
      this.#start.refuseOver(this.#start.length + stop - at - 1);
      if (end < 0) {
        this.#start.keep(chunk.subarray(at));
        return stop;
      }
      const line = this.#start.complete(chunk.subarray(at, end));
      const frame = line[line.length - 1] === carriageReturn ? line.subarray(0, -1) : line;
      this.#start.refuseOver(frame.length);
      at = end + 1;
      if (frame.length > 0 && onFrame(frame) === false) return at;
    }
    return at;
  }
}
