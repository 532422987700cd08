/**
 * What a codec is, for each end of a connection: how a message becomes a frame's bytes and back, and what becomes of values.
 * JSON lives in this folder and in the client, MessagePack in `src/msgpack/`; whoever opens a connection hands the codec in.
 */
import type { EncodedValue } from "./commands.ts";

/** The broker's end. */
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

/** What stands around a command: its number, and how long it may wait, which depends on when it is sent. */
export interface Envelope {
  readonly id: number;
  readonly waitMs?: number | undefined;
}

/** Is handed each message. Returning false stops before the next one, for good. */
export type MessageHandler = (message: Record<string, unknown>) => boolean;

/** Resumable at every byte. */
export interface MessageReader {
  /** Hands every message that `chunk` completes to `onMessage`, in order. The broker is trusted to send objects of the protocol.
   *  @throws {EphemeralError} `invalid_json` for bytes that are no message of this codec, `too_large` for a frame past the
   *  bound; nothing can be read any further */
  read(chunk: Uint8Array, onMessage: MessageHandler): void;
}

/** How the client's and the broker's frames stand in WebSocket messages. */
export interface WebFraming {
  readonly subprotocol: string;
  /** Joined frames as messages of bounded size. */
  messages(frames: EncodedValue): Iterable<string | Uint8Array<ArrayBuffer>>;
  /** Hands every message of the protocol that a WebSocket message holds to `onMessage`, in order: it holds them whole.
   *  @throws {EphemeralError} as `MessageReader.read` does */
  read(message: string | ArrayBuffer, onMessage: MessageHandler): void;
  /** The command `pong`, which has no answer, as a message. */
  readonly pong: string | Uint8Array<ArrayBuffer>;
}

/** The client's end. A command is written in two steps: itself when it is issued, its envelope when it is sent. */
export interface ClientCodec {
  /** Writes a command without its envelope. Members that are undefined are left out. */
  prepare(command: object): EncodedValue;

  /** The frame of a prepared command. */
  frame(prepared: EncodedValue, envelope: Envelope): EncodedValue;

  /** Frames in one piece. */
  join(frames: readonly EncodedValue[]): EncodedValue;

  /** A caller's value as a member of a command, copied: plain JSON plus `Uint8Array`, in every codec the same.
   *  @throws {EphemeralError} `bad_command` for anything else: Date, Map, bigint, NaN, functions, cycles */
  toMember(value: unknown): unknown;

  /** The caller's value again, from a member of a reply. */
  fromMember(member: unknown): unknown;

  /** Reads what comes over a pipe, from the first byte of a connection to the last: JSON lines unless told. */
  reader?(frameBytesMax: number): MessageReader;

  /** What comes and goes over a WebSocket: that of JSON unless told. */
  readonly webFraming?: WebFraming;
}
