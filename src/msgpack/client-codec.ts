/**
 * The client's end of MessagePack, `ephemerald/msgpack`: for values that are bytes, which JSON would carry as base64. Has the
 * frames of the broker's codec, and takes and refuses the same values as JSON.
 */
import type { ClientCodec, Envelope } from "../protocol/codec.ts";
import type { EncodedValue } from "../protocol/commands.ts";
import { assert } from "../protocol/errors.ts";
import { plainValue } from "../protocol/json-values.ts";
import { PrefixedDecoder } from "../protocol/prefixed-decoder.ts";
import { msgpackCodec, prefixBytes } from "./codec.ts";
import { msgpackWebFraming } from "./web-framing.ts";

export const msgpack: ClientCodec = {
  reader(frameBytesMax) {
    const decoder = new PrefixedDecoder(frameBytesMax);
    return {
      read(chunk, onMessage) {
        decoder.push(chunk, (frame) => onMessage(msgpackCodec.decode(frame)));
      },
    };
  },
  prepare: (command) => msgpackCodec.encode(command),
  frame: withEnvelope,
  join: joined,
  toMember: plainValue,
  fromMember: (member) => member,
  webFraming: msgpackWebFraming,
};

/** A map of fewer than 16 members says how many in the low half of its first byte. */
const smallMap = 0x80;
const smallMapMax = 15;

/** The members of both frames in one: the command has its own already. */
function withEnvelope(prepared: EncodedValue, envelope: Envelope): Uint8Array {
  const [before, behind] = [bytesOf(msgpackCodec.encode(envelope)), bytesOf(prepared)];
  const members = membersOf(before) + membersOf(behind);
  assert(members <= smallMapMax, "a command with its envelope has few members");
  const frame = new Uint8Array(before.length + behind.length - prefixBytes - 1);
  new DataView(frame.buffer).setUint32(0, frame.length - prefixBytes);
  frame.set(before.subarray(prefixBytes), prefixBytes);
  frame.set(behind.subarray(prefixBytes + 1), before.length);
  frame[prefixBytes] = smallMap | members;
  return frame;
}

function membersOf(frame: Uint8Array): number {
  return (frame[prefixBytes] ?? smallMap) - smallMap;
}

function joined(frames: readonly EncodedValue[]): Uint8Array {
  const parts = frames.map(bytesOf);
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** This codec writes nothing but bytes. */
function bytesOf(frame: EncodedValue): Uint8Array {
  assert(typeof frame !== "string", "a frame of MessagePack is bytes");
  return frame;
}
