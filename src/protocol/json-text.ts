/**
 * Messages as JSON text, the part that both ends share: what is refused of a stranger's text is the broker's business. Knows
 * nothing of values kept in another codec, and nothing of frames but the LF that ends them.
 */
import { Encoded } from "./commands.ts";
import { assert, EphemeralError } from "./errors.ts";
import { notFinite } from "./json-values.ts";

/** Writes a value that is kept in another form than JSON text. */
type WriteKept = (kept: Uint8Array) => string;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads one frame.
 *  @throws {EphemeralError} `invalid_json` for bytes that are no UTF-8 and text that is no JSON */
export function parseJson(frame: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(frame));
  } catch {
    throw invalidJson(`${frame.length} bytes are no JSON in UTF-8`);
  }
}

export function invalidJson(actual: string): EphemeralError {
  return new EphemeralError("invalid_json", `Cannot read frame: ${actual}`);
}

/** The members of `message` without braces, behind those that stand in `before`. Members that are undefined are left out;
 *  names are the vocabulary's own and need no escaping.
 *  @throws {EphemeralError} `bad_command` for NaN and infinities, which JSON has no text for */
export function membersText(message: object, before: string, writeKept?: WriteKept): string {
  let text = before;
  // The vocabulary's objects are literals with own members only, so `in` needs no second check.
  for (const name in message) {
    const value: unknown = message[name as keyof typeof message];
    if (value !== undefined) text += `${text === "" ? "" : ","}"${name}":${memberText(value, writeKept)}`;
  }
  return text;
}

function memberText(value: unknown, writeKept: WriteKept | undefined): string {
  if (typeof value === "number") return numberText(value);
  if (typeof value === "boolean") return `${value}`;
  if (!(value instanceof Encoded)) return JSON.stringify(value);
  if (typeof value.data === "string") return value.data;
  if (!(value.data instanceof Uint8Array)) {
    return `[${value.data.map((record) => `{${membersText(record, "", writeKept)}}`).join()}]`;
  }
  assert(writeKept !== undefined, "only the broker holds values kept as MessagePack, and it has a writer for them");
  return writeKept(value.data);
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return `${value}`;
  throw notFinite(value);
}
