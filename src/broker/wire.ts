/**
 * What one connection speaks: how its bytes are cut into frames, and in which codec they are read and ours written. On the
 * pipe the first byte chooses; a WebSocket's subprotocol has chosen before. Knows nothing of sockets.
 */
import type { Codec } from "../protocol/codec.ts";
import { DetectingDecoder } from "../protocol/detecting-decoder.ts";
import type { FrameDecoder } from "../protocol/frame.ts";
import { codecs } from "./codecs.ts";

export interface Wire {
  readonly decoder: FrameDecoder;
  readonly codec: Codec;
}

export class PipeWire implements Wire {
  readonly decoder: DetectingDecoder;

  constructor(frameBytesMax: number) {
    this.decoder = new DetectingDecoder(frameBytesMax);
  }

  /** Nothing is said before the first byte has chosen. */
  get codec(): Codec {
    return this.decoder.framing === "prefixed" ? codecs.msgpack : codecs.json;
  }
}
