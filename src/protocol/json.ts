/**
 * The JSON codec: one object a frame, bytes as `{"$binary":"<base64>"}`, nesting bounded before a parser sees the text.
 * Values the broker keeps stay JSON text from the frame they came in to the frame they leave in.
 */
import type { Codec } from "./codec.ts";
import { kindOf } from "./errors.ts";
import { invalidJson, membersText, parseJson } from "./json-text.ts";
import { jsonText } from "./json-values.ts";
import { nestingMax } from "./sizes.ts";

/** Turns a value kept as MessagePack into what JSON text can be made of. */
export type Transcode = (bytes: Uint8Array) => unknown;

/** The JSON codec. Values that were kept as MessagePack are transcoded as they leave. */
export function jsonCodec(transcode: Transcode): Codec {
  const writeKept = (kept: Uint8Array): string => jsonText(transcode(kept));
  return {
    name: "json",
    decode: decodeJson,
    encode: (message) => `{${membersText(message, "", writeKept)}}\n`,
    encodeReply: (id, reply) =>
      `{${membersText(reply, id === undefined ? '"ok":true' : `"id":${id},"ok":true`, writeKept)}}\n`,
    keep: (value) => JSON.stringify(value),
  };
}

/** Reads one frame as one object.
 *  @throws {EphemeralError} `invalid_json` for bytes that are no UTF-8, text that is no JSON, anything but an object, and
 *  nesting over 64 */
export function decodeJson(frame: Uint8Array): Record<string, unknown> {
  if (isNestedOver(frame, nestingMax)) throw invalidJson(`nesting is over ${nestingMax}`);
  const message = parseJson(frame);
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    throw invalidJson(`wanted an object, got ${kindOf(message)}`);
  }
  // An object that is neither null nor an array has string keys only.
  return message as Record<string, unknown>;
}

const backslash = 0x5c;
const quote = 0x22;
const openBracket = 0x5b;
const openBrace = 0x7b;

/** Whether brackets nest deeper than `depthMax`, by one pass over the bytes. Text with so few brackets that it cannot is
 *  told by looking for them alone, which the runtime does sixteen bytes at a time. */
function isNestedOver(frame: Uint8Array, depthMax: number): boolean {
  const braces = countUpTo(frame, openBrace, depthMax + 1);
  if (braces + countUpTo(frame, openBracket, depthMax + 1 - braces) <= depthMax) return false;

  let depth = 0;
  let inString = false;
  for (let index = 0; index < frame.length; index++) {
    const byte = frame[index] ?? 0;
    if (inString) {
      if (byte === backslash) index++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    // `[` and `{` differ in the bit 0x20 alone, and so do `]` and `}`.
    else if ((byte | 0x20) === 0x7b && ++depth > depthMax) return true;
    else if ((byte | 0x20) === 0x7d) depth--;
  }
  return false;
}

/** How often `byte` stands in `frame`, counted no further than `max`. */
function countUpTo(frame: Uint8Array, byte: number, max: number): number {
  let count = 0;
  for (let at = frame.indexOf(byte); at >= 0 && count < max; at = frame.indexOf(byte, at + 1)) count++;
  return count;
}
