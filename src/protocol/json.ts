/**
 * The JSON codec: one object a frame, bytes as `{"$binary":"<base64>"}`, nesting bounded before a parser sees the text.
 * Values the broker keeps stay JSON text from the frame they came in to the frame they leave in.
 */
import type { Codec } from "./codec.ts";
import { Encoded } from "./commands.ts";
import { assert, EphemeralError, kindOf } from "./errors.ts";
import { nestingMax } from "./limits.ts";

/** Turns a value kept as MessagePack into what JSON text can be made of. */
export type Transcode = (bytes: Uint8Array) => unknown;

/** The JSON codec. Values that were kept as MessagePack are transcoded as they leave. */
export function jsonCodec(transcode: Transcode): Codec {
  return {
    name: "json",
    decode: decodeJson,
    encode: (message) => encodeJson(message, transcode),
    encodeReply: (id, reply) => encodeJsonReply(id, reply, transcode),
    keep: (value) => JSON.stringify(value),
  };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads one frame as one object.
 *  @throws {EphemeralError} `invalid_json` for bytes that are no UTF-8, text that is no JSON, anything but an object, and
 *  nesting over 64 */
export function decodeJson(frame: Uint8Array): Record<string, unknown> {
  if (isNestedOver(frame, nestingMax)) throw invalidJson(`nesting is over ${nestingMax}`);
  let message: unknown;
  try {
    message = JSON.parse(utf8.decode(frame));
  } catch {
    throw invalidJson(`${frame.length} bytes are no JSON in UTF-8`);
  }
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    throw invalidJson(`wanted an object, got ${kindOf(message)}`);
  }
  // An object that is neither null nor an array has string keys only.
  return message as Record<string, unknown>;
}

function invalidJson(actual: string): EphemeralError {
  return new EphemeralError("invalid_json", `Cannot read frame: ${actual}`);
}

/** Writes one message as one line, its LF included. Member names are the vocabulary's own and need no escaping. */
export function encodeJson(message: object, transcode?: Transcode): string {
  return `{${membersText(message, "", transcode)}}\n`;
}

function encodeJsonReply(id: number | undefined, reply: object, transcode: Transcode): string {
  return `{${membersText(reply, id === undefined ? '"ok":true' : `"id":${id},"ok":true`, transcode)}}\n`;
}

function membersText(message: object, before: string, transcode: Transcode | undefined): string {
  let text = before;
  // The vocabulary's objects are literals with own members only, so `in` needs no second check.
  for (const name in message) {
    const value: unknown = message[name as keyof typeof message];
    if (value !== undefined) text += `${text === "" ? "" : ","}"${name}":${memberText(value, transcode)}`;
  }
  return text;
}

function memberText(value: unknown, transcode: Transcode | undefined): string {
  if (typeof value === "number" || typeof value === "boolean") return `${value}`;
  if (!(value instanceof Encoded)) return JSON.stringify(value);
  if (typeof value.data === "string") return value.data;
  assert(transcode !== undefined, "only the broker holds values kept as MessagePack, and it has a transcoder");
  return jsonText(transcode(value.data));
}

const backslash = 0x5c;
const quote = 0x22;

/** Whether brackets nest deeper than `depthMax`, by one pass over the bytes. Text with so few brackets that it cannot is
 *  told by counting alone. */
function isNestedOver(frame: Uint8Array, depthMax: number): boolean {
  let openers = 0;
  // `[` and `{` differ in the bit 0x20 alone.
  for (let index = 0; index < frame.length; index++) if (((frame[index] ?? 0) | 0x20) === 0x7b) openers++;
  if (openers <= depthMax) return false;

  let depth = 0;
  let inString = false;
  for (let index = 0; index < frame.length; index++) {
    const byte = frame[index] ?? 0;
    if (inString) {
      if (byte === backslash) index++;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    else if ((byte | 0x20) === 0x7b && ++depth > depthMax) return true;
    else if ((byte | 0x20) === 0x7d) depth--;
  }
  return false;
}

/** An object whose only key is `$`…`$binary` would be taken for bytes: it travels with one `$` more. */
const escapedKey = /^\$+binary$/;

/** A caller's value as JSON text: plain JSON plus `Uint8Array`. Members that are undefined are left out, as JSON does.
 *  @throws {EphemeralError} `bad_command` for what JSON cannot carry: Date, Map, bigint, NaN, functions, symbols, undefined,
 *  cycles and nesting over 64 */
export function jsonText(value: unknown): string {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return JSON.stringify(value);
  return JSON.stringify(toJsonValue(value, 0));
}

function toJsonValue(value: unknown, depth: number): unknown {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw notJson(`${value}`);
  }
  if (typeof value !== "object") throw notJson(typeof value);
  if (depth > nestingMax - 2) throw notJson(`an object nested over ${nestingMax} deep, or a cycle`);
  if (value instanceof Uint8Array) return { $binary: base64(value) };
  if (Array.isArray(value)) return Array.from(value, (item) => toJsonValue(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    throw notJson(`a ${value.constructor?.name ?? "strange object"}`);
  return toJsonObject(value, depth);
}

function toJsonObject(value: object, depth: number): object {
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const only = members.length === 1 ? members[0] : undefined;
  if (only !== undefined && escapedKey.test(only[0])) return { [`$${only[0]}`]: toJsonValue(only[1], depth + 1) };
  // fromEntries defines own members, so that a key named __proto__ stays one.
  return Object.fromEntries(members.map(([name, member]) => [name, toJsonValue(member, depth + 1)]));
}

function notJson(actual: string): EphemeralError {
  return new EphemeralError("bad_command", `Cannot send value: wanted JSON or a Uint8Array, got ${actual}`);
}

/** The caller's value again: `$binary` members become bytes, one `$` is taken off escaped ones. Values without either come
 *  back as they are. */
export function fromJsonValue(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJsonValue);
  const members = Object.entries(value);
  const only = members.length === 1 ? members[0] : undefined;
  if (only !== undefined && escapedKey.test(only[0])) {
    const [name, member] = only;
    if (name === "$binary") return typeof member === "string" ? bytesOf(member) : value;
    return { [name.slice(1)]: fromJsonValue(member) };
  }
  return Object.fromEntries(members.map(([name, member]) => [name, fromJsonValue(member)]));
}

/** Characters handed to `fromCharCode` at once: its arguments travel on the stack. */
const charactersAtOnce = 8192;

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += charactersAtOnce) {
    binary += String.fromCharCode(...bytes.subarray(start, start + charactersAtOnce));
  }
  return btoa(binary);
}

function bytesOf(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw invalidJson("a $binary member is no base64");
  }
}
