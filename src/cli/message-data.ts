/**
 * The data of messages as people write it and as programs print it: JSON where it can be read as that, else text, and bytes
 * where it is no UTF-8. Knows no command.
 */
import { fromJsonValue } from "../protocol/json-values.ts";

/** What was typed, `-` for what stands on standard input; null where nothing was. */
export async function givenData(text: string | undefined): Promise<unknown> {
  if (text === "-") return dataOfBytes(await Bun.stdin.bytes());
  return text === undefined ? null : dataOfText(text);
}

/** What a program printed. A text goes without its last line feed. */
export function dataOfBytes(bytes: Uint8Array): unknown {
  try {
    return dataOfText(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return bytes;
  }
}

/** A line, or an argument. */
export function dataOfText(text: string): unknown {
  try {
    return fromJsonValue(JSON.parse(text));
  } catch {
    return text.replace(/\r?\n$/, "");
  }
}
