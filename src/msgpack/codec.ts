/**
 * The MessagePack codec: one map a frame behind a u32 big-endian length. Frames are looked over before they are decoded;
 * values the broker keeps stay the bytes they came as, from the frame they came in to the frame they leave in.
 */
import { DecodeError, Decoder, Encoder } from "@msgpack/msgpack";
import type { Codec } from "../protocol/codec.ts";
import { Encoded } from "../protocol/commands.ts";
import { assert } from "../protocol/errors.ts";
import { fromJsonValue } from "../protocol/json.ts";
import { invalidMessagePack, scanMessagePack } from "./scan.ts";

const encoder = new Encoder({ ignoreUndefined: true });
const decoder = new Decoder();
const prefixBytes = 4;

/** The codec of MessagePack connections. Values that were kept as JSON text are transcoded as they leave. */
export const msgpackCodec: Codec = {
  name: "msgpack",
  decode: decodeMessagePack,
  encode: (message) => frameOf(Object.entries(message)),
  encodeReply: (id, reply) =>
    frameOf([...(id === undefined ? [] : [["id", id] as const]), ["ok", true], ...Object.entries(reply)]),
  keep: (value) => (typeof value === "number" ? JSON.stringify(value) : encoder.encode(value)),
};

/** A value that was kept as MessagePack, for a codec that writes it differently. */
export function fromMessagePack(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}

/** Reads one frame as one object.
 *  @throws {EphemeralError} `invalid_json` for what the scan refuses, keys that stand twice, and the key `__proto__` */
function decodeMessagePack(frame: Uint8Array): Record<string, unknown> {
  const pairs = scanMessagePack(frame);
  let message: unknown;
  try {
    message = decoder.decode(frame);
  } catch (error) {
    if (error instanceof DecodeError) throw invalidMessagePack("it has a map with the key __proto__");
    throw error;
  }
  if (countPairs(message) !== pairs) throw invalidMessagePack("it has a map in which a key stands twice");
  // The scan has seen one map with text keys.
  return message as Record<string, unknown>;
}

/** Pairs of all maps in a decoded thing; the scan has bounded its depth. */
function countPairs(decoded: unknown): number {
  if (typeof decoded !== "object" || decoded === null || decoded instanceof Uint8Array) return 0;
  const members = Object.values(decoded);
  let pairs = Array.isArray(decoded) ? 0 : members.length;
  for (const member of members) pairs += countPairs(member);
  return pairs;
}

type Member = readonly [name: string, value: unknown];

/** Members that are undefined are left out. */
function frameOf(allMembers: readonly Member[]): Uint8Array {
  const members = allMembers.filter(([, value]) => value !== undefined);
  const parts: Uint8Array[] = [mapHead(members.length)];
  for (const [name, value] of members) parts.push(encoder.encode(name), memberBytes(value));
  let bodyBytes = 0;
  for (const part of parts) bodyBytes += part.length;
  const frame = new Uint8Array(prefixBytes + bodyBytes);
  new DataView(frame.buffer).setUint32(0, bodyBytes);
  let at = prefixBytes;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

function mapHead(size: number): Uint8Array {
  assert(size < 0x1_0000, "a message has a bounded number of members");
  return size < 16 ? Uint8Array.of(0x80 | size) : Uint8Array.of(0xde, size >> 8, size & 0xff);
}

function memberBytes(value: unknown): Uint8Array {
  if (!(value instanceof Encoded)) return encoder.encode(value);
  if (typeof value.data !== "string") return value.data;
  return encoder.encode(fromJsonValue(JSON.parse(value.data)));
}
