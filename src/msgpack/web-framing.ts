/**
 * How frames of MessagePack stand in WebSocket messages: maps one behind another, without the length that a stream needs
 * before each.
 */
import type { WebFraming } from "../protocol/codec.ts";
import { assert } from "../protocol/errors.ts";
import { KiB, MiB } from "../protocol/sizes.ts";
import { msgpackCodec, prefixBytes } from "./codec.ts";
import { MapDecoder } from "./map-decoder.ts";

/** A message holds no more than so many bytes, unless one map does. */
const messageBytesMax = 256 * KiB;
/** As for what comes over a stream, the broker's own bound decides. */
const mapBytesMax = 64 * MiB;
/** It keeps nothing from one message to the next. */
const decoder = new MapDecoder(mapBytesMax);

export const msgpackWebFraming: WebFraming = {
  subprotocol: "ephemeral.v1.msgpack",
  *messages(frames) {
    assert(typeof frames !== "string", "frames of MessagePack are bytes");
    const lengths = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
    let maps: Uint8Array[] = [];
    let bytes = 0;
    for (let at = 0; at < frames.length; ) {
      const start = at + prefixBytes;
      at = start + lengths.getUint32(at);
      if (bytes > 0 && bytes + at - start > messageBytesMax) {
        yield joined(maps, bytes);
        maps = [];
        bytes = 0;
      }
      maps.push(frames.subarray(start, at));
      bytes += at - start;
    }
    if (bytes > 0) yield joined(maps, bytes);
  },
  read(message, onMessage) {
    assert(typeof message !== "string", "messages of MessagePack are bytes");
    decoder.push(new Uint8Array(message), (map) => onMessage(msgpackCodec.decode(map)));
  },
  // It encodes to bytes.
  pong: Uint8Array.from(msgpackCodec.encode({ action: "pong" }) as Uint8Array).subarray(prefixBytes),
};

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
