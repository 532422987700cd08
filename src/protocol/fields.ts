/**
 * One field of a stranger's object, read as what it must be or refused as `bad_command` with its name, never its content.
 * The building blocks of every parser. Knows no command.
 */
import type { WaitMs } from "./commands.ts";
import { badField, EphemeralError, kindOf } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { Overflow } from "./pushes.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function readObject(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw badField(name, "an object", value);
  // An object that is neither null nor an array has string keys only.
  return value as Fields;
}

export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

export function readValue(fields: Fields, name = "value"): unknown {
  if (fields[name] === undefined) throw badField(name, "a value (null is one)", undefined);
  return fields[name];
}

export function readList(fields: Fields, name: string, countMax: number): readonly unknown[] {
  const list: unknown = fields[name];
  if (!Array.isArray(list) || list.length > countMax) throw badField(name, `a list of at most ${countMax}`, list);
  return list;
}

/** Keys and names: well-formed text of 1 to `keyBytesMax` bytes. */
export function readKey(fields: Fields, name: string, limits: Limits): string {
  const key = fields[name];
  const wanted = `text of 1 to ${limits.keyBytesMax} bytes`;
  if (typeof key !== "string" || key.length === 0) throw badField(name, wanted, key);
  // A UTF-16 unit takes at most three bytes of UTF-8, so most keys need no counting.
  if (key.length * 3 > limits.keyBytesMax && utf8Bytes(key) > limits.keyBytesMax) throw badField(name, wanted, key);
  if (!key.isWellFormed()) throw badField(name, `${wanted}, without lone surrogates`, key);
  return key;
}

export function readOptionalKey(fields: Fields, name: string, limits: Limits): string | undefined {
  return isAbsent(fields[name]) ? undefined : readKey(fields, name, limits);
}

/** The beginning of keys, which may be empty. */
export function readPrefix(fields: Fields, limits: Limits): string | undefined {
  return isAbsent(fields.prefix) || fields.prefix === "" ? undefined : readKey(fields, "prefix", limits);
}

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

export function readString(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw badField(name, "text", value);
  return value;
}

export function readOptionalString(fields: Fields, name: string): string | undefined {
  return isAbsent(fields[name]) ? undefined : readString(fields, name);
}

export function readInteger(fields: Fields, name: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    throw badField(name, `an integer from ${min} to ${max}`, value);
  }
  return value;
}

export function readOptionalInteger(fields: Fields, name: string, min: number, max?: number): number | undefined {
  return isAbsent(fields[name]) ? undefined : readInteger(fields, name, min, max);
}

/** Any number within ±(2^53−1). */
export function readOptionalNumber(fields: Fields, name: string): number | undefined {
  const value = fields[name];
  if (isAbsent(value)) return undefined;
  if (typeof value === "number" && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  throw badField(name, `a number within ±${Number.MAX_SAFE_INTEGER}`, value);
}

export function readOptionalBoolean(fields: Fields, name: string): boolean | undefined {
  const value = fields[name];
  if (isAbsent(value)) return undefined;
  if (typeof value !== "boolean") throw badField(name, "true or false", value);
  return value;
}

/** Milliseconds to live. Zero passes: what it means is the command's to say. */
export function readTtl(fields: Fields, limits: Limits): number | undefined {
  const { ttl } = fields;
  if (isAbsent(ttl)) return undefined;
  if (typeof ttl === "number" && Number.isSafeInteger(ttl) && ttl >= 0 && ttl <= limits.ttlMsMax) return ttl;
  const actual = typeof ttl === "number" ? ttl : kindOf(ttl);
  const text = `Cannot use ttl: wanted whole milliseconds from 0 to ${limits.ttlMsMax}, got ${actual}`;
  throw new EphemeralError("invalid_ttl", text, { details: { field: "ttl" } });
}

/** 0 when absent: answer now. */
export function readWaitMs(fields: Fields, limits: Limits): WaitMs {
  return readOptionalInteger(fields, "waitMs", -1, limits.ttlMsMax) ?? 0;
}

export function readOverflow(fields: Fields): Overflow | undefined {
  return readOneOf<Overflow>(fields, "overflow", ["close", "gap", "latest"]);
}

export function readOneOf<T extends string>(fields: Fields, name: string, allowed: readonly T[]): T | undefined {
  const value = fields[name];
  if (isAbsent(value)) return undefined;
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw badField(name, `one of ${allowed.join(", ")}`, value);
  return found;
}
