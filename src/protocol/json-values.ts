/**
 * What callers hand over and get back, as JSON carries it: plain JSON plus `Uint8Array`, which travels as
 * `{"$binary":"<base64>"}`. Both codecs take and refuse the same things. Knows nothing of messages or frames.
 */
import { EphemeralError } from "./errors.ts";
import { nestingMax } from "./sizes.ts";

/** An object whose only key is `$`…`$binary` would be taken for bytes: it travels with one `$` more. */
const escapedKey = /^\$+binary$/;

/** A caller's value as JSON text: plain JSON plus `Uint8Array`. Members that are undefined are left out, as JSON does.
 *  @throws {EphemeralError} `bad_command` for what JSON cannot carry: Date, Map, bigint, NaN, functions, symbols, undefined,
 *  cycles and nesting over 64 */
export function jsonText(value: unknown): string {
  return JSON.stringify(jsonValue(value));
}

/** A copy of a caller's value that is plain JSON, `Uint8Array`s included.
 *  @throws {EphemeralError} `bad_command`, as `jsonText` does */
export function jsonValue(value: unknown): unknown {
  return checked(value, jsonForm);
}

/** A copy of a caller's value that holds nothing but plain JSON and `Uint8Array`s.
 *  @throws {EphemeralError} `bad_command`, as `jsonText` does */
export function plainValue(value: unknown): unknown {
  return checked(value, plainForm);
}

/** What becomes of bytes, and of the only name in an object. */
interface Form {
  bytes(bytes: Uint8Array): unknown;
  onlyName(name: string): string;
}

const jsonForm: Form = {
  bytes: (bytes) => ({ $binary: base64(bytes) }),
  onlyName: (name) => (escapedKey.test(name) ? `$${name}` : name),
};

const plainForm: Form = { bytes: (bytes) => bytes, onlyName: (name) => name };

function checked(value: unknown, form: Form, depth = 0): unknown {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw notJson(`${value}`);
  }
  if (typeof value !== "object") throw notJson(typeof value);
  if (depth > nestingMax - 2) throw notJson(`an object nested over ${nestingMax} deep, or a cycle`);
  if (value instanceof Uint8Array) return form.bytes(value);
  if (Array.isArray(value)) return Array.from(value, (item) => checked(item, form, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    throw notJson(`a ${value.constructor?.name ?? "strange object"}`);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  // fromEntries defines own members, so that a key named __proto__ stays one.
  return Object.fromEntries(
    members.map(([name, member]) => [
      members.length === 1 ? form.onlyName(name) : name,
      checked(member, form, depth + 1),
    ]),
  );
}

/** A number for which JSON has no text, in a command. */
export function notFinite(actual: number, name = "number"): EphemeralError {
  return new EphemeralError("bad_command", `Cannot send command: wanted a finite ${name}, got ${actual}`);
}

function notJson(actual: string): EphemeralError {
  return new EphemeralError("bad_command", `Cannot send value: wanted JSON or a Uint8Array, got ${actual}`);
}

/** The caller's value again, of what `JSON.parse` made: `$binary` members become bytes, one `$` is taken off escaped ones. An
 *  object is changed in its place: most hold neither, and cost no copy. It is to be read once, then.
 *  Never fails: who writes JSON by himself would cut off, by one message, all who hear it. */
export function fromJsonValue(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJsonValue);
  // What JSON makes is an array or has names.
  const members = value as Record<string, unknown>;
  const names = Object.keys(members);
  const [only = ""] = names;
  if (names.length === 1 && escapedKey.test(only)) {
    const member = members[only];
    if (only === "$binary") return (typeof member === "string" ? bytesOf(member) : undefined) ?? value;
    return { [only.slice(1)]: fromJsonValue(member) };
  }
  // All of them its own: even __proto__ is set as the member it is.
  for (const name of names) members[name] = fromJsonValue(members[name]);
  return value;
}

/** Characters handed to `fromCharCode` at once: its arguments travel on the stack. */
const charactersAtOnce = 8192;

export function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += charactersAtOnce) {
    binary += String.fromCharCode(...bytes.subarray(start, start + charactersAtOnce));
  }
  return btoa(binary);
}

/** Undefined where `text` is no base64, and no bytes were meant. */
function bytesOf(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
