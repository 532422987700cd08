/** The codecs of every door, each there once: what is encoded for many is encoded once for each of them. */
import { bareMsgpackCodec, fromMessagePack, msgpackCodec } from "../../msgpack/codec.ts";
import { jsonCodec } from "../../protocol/json.ts";

export const codecs = {
  json: jsonCodec(fromMessagePack),
  /** Behind a length, on the pipe. */
  msgpack: msgpackCodec,
  /** One map behind another, on a WebSocket. */
  bareMsgpack: bareMsgpackCodec,
} as const;
