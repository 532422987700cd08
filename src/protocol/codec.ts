/**
 * What a codec is: how a message becomes a frame's bytes and back, and the form in which it keeps a value. JSON lives in
 * this folder, MessagePack in `src/msgpack/`; whoever opens a connection hands the codec in.
 */
import type { EncodedValue } from "./commands.ts";

export interface Codec {
  readonly name: "json" | "msgpack";

  /** Reads one frame as one object.
   *  @throws {EphemeralError} `invalid_json` for anything that is no message of this codec */
  decode(frame: Uint8Array): Record<string, unknown>;

  /** Writes one message, framed: its LF or length prefix included. Members that are undefined are left out. */
  encode(message: object): string | Uint8Array;

  /** Writes the reply to command `id` (undefined: a command without one), framed. */
  encodeReply(id: number | undefined, reply: object): string | Uint8Array;

  /** The form in which a value that came in this codec is kept. Numbers are JSON text in every codec, so that the engine
   *  can count with them. */
  keep(value: unknown): EncodedValue;
}
