/**
 * The MessagePack codecs: one map a frame, on the pipe behind a u32 big-endian length, on a WebSocket behind the map before. Frames are looked over before they are decoded;
 * values the broker keeps stay the bytes they came as, from the frame they came in to the frame they leave in.
 */
import { Encoder } from "@msgpack/msgpack";
import type { Codec } from "../protocol/codec.ts";
import { Encoded } from "../protocol/commands.ts";
import { assert, EphemeralError } from "../protocol/errors.ts";
import { fromJsonValue, notFinite } from "../protocol/json-values.ts";
import { readMessagePack } from "./reader.ts";
import { scanMessagePack } from "./scan.ts";

const encoder = new Encoder({ ignoreUndefined: true });
/** A frame's length stands before its map. */
export const prefixBytes = 4;

/** The codec of MessagePack on the pipe. Values that were kept as JSON text are transcoded as they leave. */
export const msgpackCodec = codecOf(frameOf);

/** The same on a WebSocket: a map tells its own length. */
export const bareMsgpackCodec = codecOf((members) => joined(mapParts(members)));

function codecOf(frameOf: (members: readonly Member[]) => Uint8Array): Codec {
  return {
    name: "msgpack",
    decode: decodeMessagePack,
    encode: (message) => frameOf(Object.entries(message)),
    encodeReply: (id, reply) =>
      frameOf([...(id === undefined ? [] : [["id", id] as const]), ["ok", true], ...Object.entries(reply)]),
    keep: (value) => (typeof value === "number" ? JSON.stringify(value) : encoder.encode(value)),
  };
}

/** A value as MessagePack.
 *  @throws {EphemeralError} `bad_command` for an object that would make a map no decoder takes */
export function toMessagePack(value: unknown): Uint8Array {
  return encoder.encode(writable(value));
}

/** A value that was kept as MessagePack, for a codec that writes it differently. */
export function fromMessagePack(bytes: Uint8Array): unknown {
  return readMessagePack(bytes);
}

/** Reads one frame as one object.
 *  @throws {EphemeralError} `invalid_json` for what the scan refuses, keys that stand twice, and the key `__proto__` */
function decodeMessagePack(frame: Uint8Array): Record<string, unknown> {
  scanMessagePack(frame);
  // The scan has seen one map with text keys.
  return readMessagePack(frame) as Record<string, unknown>;
}

type Member = readonly [name: string, value: unknown];

/** One map behind its length. */
function frameOf(members: readonly Member[]): Uint8Array {
  const parts = [new Uint8Array(prefixBytes), ...mapParts(members)];
  const frame = joined(parts);
  new DataView(frame.buffer).setUint32(0, frame.length - prefixBytes);
  return frame;
}

/** Members that are undefined are left out. */
function mapParts(allMembers: readonly Member[]): readonly Uint8Array[] {
  const members = allMembers.filter(([, value]) => value !== undefined);
  const parts: Uint8Array[] = [head(members.length, { small: 0x80, large: 0xde })];
  for (const [name, value] of members) parts.push(encoder.encode(name), memberBytes(value));
  return parts;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** How many things follow, in a map or an array of fewer than 16 within the marker. */
function head(size: number, { small, large }: { readonly small: number; readonly large: number }): Uint8Array {
  assert(size < 0x1_0000, "a message has a bounded number of members, and a list in it of records");
  return size < 16 ? Uint8Array.of(small | size) : Uint8Array.of(large, size >> 8, size & 0xff);
}

function memberBytes(value: unknown): Uint8Array {
  if (!(value instanceof Encoded)) return toMessagePack(value);
  const { data } = value;
  if (data instanceof Uint8Array) return data;
  if (typeof data !== "string") {
    const records = data.flatMap((record) => mapParts(Object.entries(record)));
    return joined([head(data.length, { small: 0x90, large: 0xdc }), ...records]);
  }
  const kept = fromJsonValue(JSON.parse(data));
  return encoder.encode(mayBeUnwritable.test(data) ? writable(kept) : kept);
}

/** JSON text without these holds nothing that MessagePack cannot carry: the frame it came in was UTF-8. */
const mayBeUnwritable = /\\u|__proto__/;

/** What a peer can read of a thing: halves of surrogate pairs become U+FFFD, as they do wherever text becomes UTF-8.
 *  @throws {EphemeralError} `bad_command` for an object that would make a map no decoder takes */
function writable(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw notFinite(value);
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(writable);
  const members = new Map<string, unknown>();
  for (const [name, member] of Object.entries(value)) {
    const key = name.toWellFormed();
    if (key === "__proto__") throw unwritable("the key __proto__");
    if (members.has(key))
      throw unwritable("a key that stands twice, as U+FFFD takes the place of half a surrogate pair");
    members.set(key, writable(member));
  }
  return Object.fromEntries(members);
}

function unwritable(what: string): EphemeralError {
  return new EphemeralError("bad_command", `Cannot write value: as MessagePack it would have a map with ${what}`);
}
