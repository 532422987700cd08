/**
 * The seed's compressed values: the JSON text, gzipped, as base64, beside a flag. Reading one is bounded, so that a small
 * value cannot fill the memory. `node:zlib` is loaded with the first of them.
 */
import { EphemeralError } from "../protocol/errors.ts";
import { fromJsonValue } from "../protocol/json-values.ts";
import { MiB } from "../protocol/sizes.ts";

/** What one value may inflate to: 16 MiB, and 100 × its own size where that is over 1 MiB (plain repetition gives 1000 ×). */
const inflatedBytesMax = 16 * MiB;
const inflationMax = 100;
const inflatedBytesFree = 1 * MiB;

/** The value behind a reply's `value` and its `compressed` flag.
 *  @throws {EphemeralError} `invalid_json` when it inflates to no JSON or to too much */
export async function decompressValue(key: string, value: unknown): Promise<unknown> {
  const { gunzipSync } = await import("node:zlib");
  const packed = Buffer.from(typeof value === "string" ? value : "", "base64");
  const maxOutputLength = Math.min(inflatedBytesMax, Math.max(inflatedBytesFree, inflationMax * packed.length));
  try {
    return fromJsonValue(JSON.parse(gunzipSync(packed, { maxOutputLength }).toString("utf8")));
  } catch (error) {
    const actual = error instanceof RangeError ? `it is over ${maxOutputLength} bytes` : `${error}`;
    throw new EphemeralError("invalid_json", `Cannot decompress the value of "${key}": wanted gzipped JSON, ${actual}`);
  }
}

/** `text`, a value's JSON, as the seed's clients write it; undefined when it is shorter than `threshold` characters or would
 *  not get smaller. */
export async function compressText(text: string, threshold: number): Promise<string | undefined> {
  if (text.length < threshold) return undefined;
  const { gzipSync } = await import("node:zlib");
  const packed = gzipSync(text).toString("base64");
  return packed.length < text.length ? packed : undefined;
}
