/**
 * Frames that are maps, one behind another with nothing between them, as a binary WebSocket message holds them. Each message
 * is whole, so nothing is kept. Knows nothing of what stands in the maps.
 */
import { EphemeralError } from "../protocol/errors.ts";
import type { FrameDecoder, FrameHandler } from "../protocol/frame.ts";
import { leadingMapBytes } from "./scan.ts";

export class MapDecoder implements FrameDecoder {
  frameBytesMax: number;

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  push(message: Uint8Array, onFrame: FrameHandler): number {
    let at = 0;
    while (at < message.length) {
      const rest = message.subarray(at);
      // Where no map begins nobody knows what would be next: all that is left is one frame, and the codec refuses it.
      const bytes = leadingMapBytes(rest) ?? rest.length;
      if (bytes > this.frameBytesMax) {
        throw new EphemeralError("too_large", `Cannot read frame: it has over ${this.frameBytesMax} bytes, the limit`, {
          details: { frameBytesMax: this.frameBytesMax },
        });
      }
      at += bytes;
      if (onFrame(rest.subarray(0, bytes)) === false) return at;
    }
    return at;
  }
}
