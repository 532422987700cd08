/**
 * What one connection speaks: how its bytes are cut into frames, and in which codec they are read and ours written. On the
 * pipe the first byte chooses; a WebSocket's subprotocol has chosen before. Knows nothing of sockets.
 */
import type { Codec } from "../../protocol/codec.ts";
import { DetectingDecoder } from "../../protocol/detecting-decoder.ts";
import type { FrameDecoder } from "../../protocol/frame.ts";
import { codecs } from "./codecs.ts";

export interface Wire {
  readonly decoder: FrameDecoder;
  readonly codec: Codec;
  /** Whoever is at the other end has been let in. */
  greeted?(): void;
}

export class PipeWire implements Wire {
  readonly decoder: DetectingDecoder;
  readonly #frameBytesMax: number;

  /** A stranger is any process of this user while there is a secret. Only in JSON he may say more than a `hello` has: the seed's
   *  clients prove with each line that they know the secret, and greet nobody. */
  constructor({
    frameBytesMax,
    strangerBytesMax,
  }: { readonly frameBytesMax: number; readonly strangerBytesMax: number }) {
    this.decoder = new DetectingDecoder(frameBytesMax, { prefixedBytesMax: strangerBytesMax });
    this.#frameBytesMax = frameBytesMax;
  }

  greeted(): void {
    this.decoder.frameBytesMax = this.#frameBytesMax;
  }

  /** Nothing is said before the first byte has chosen. */
  get codec(): Codec {
    return this.decoder.framing === "prefixed" ? codecs.msgpack : codecs.json;
  }
}
