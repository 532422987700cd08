/**
 * The seed's compressed values: the JSON text, gzipped, as base64, beside a flag. Reading one is bounded, so that a small
 * value cannot fill the memory. Uses Compression Streams, the same on Node, Bun and in a browser.
 */
import { base64, fromJsonValue } from "../protocol/json-values.ts";
import { MiB } from "../protocol/sizes.ts";
import { EphemeralError } from "./client.ts";

/** What one value may inflate to: 16 MiB, and 100 × its own size where that is over 1 MiB (plain repetition gives 1000 ×). */
const inflatedBytesMax = 16 * MiB;
const inflationMax = 100;
const inflatedBytesFree = 1 * MiB;

/** The value behind a reply's `value` and its `compressed` flag.
 *  @throws {EphemeralError} `invalid_json` when it inflates to no JSON or to too much */
export async function decompressValue(key: string, value: unknown): Promise<unknown> {
  try {
    const packed = Uint8Array.from(atob(`${value}`), (character) => character.charCodeAt(0));
    const bytesMax = Math.min(inflatedBytesMax, Math.max(inflatedBytesFree, inflationMax * packed.length));
    const inflated = await passed(packed, new DecompressionStream("gzip"), bytesMax);
    return fromJsonValue(JSON.parse(new TextDecoder().decode(inflated)));
  } catch (error) {
    const actual = error instanceof RangeError ? error.message : `${error}`;
    throw new EphemeralError("invalid_json", `Cannot decompress the value of "${key}": wanted gzipped JSON, ${actual}`);
  }
}

/** What `set` sends for `text`, a value's JSON, as the seed's clients write it, with the sizes for the broker's metrics; undefined
 *  when it is shorter than `threshold` characters or would not get smaller. */
export async function smaller(text: string, threshold: number): Promise<Smaller | undefined> {
  if (text.length < threshold) return undefined;
  const gzipped = await passed(new TextEncoder().encode(text), new CompressionStream("gzip"));
  const packed = base64(gzipped);
  if (packed.length >= text.length) return undefined;
  return { member: packed, sizes: { compressed: true, beforeSize: text.length, afterSize: packed.length } };
}

interface Smaller {
  readonly member: string;
  readonly sizes: { readonly compressed: true; readonly beforeSize: number; readonly afterSize: number };
}

/** `bytes` as the stream gives them back.
 *  @throws {RangeError} when it gives back more than `bytesMax` */
async function passed(
  bytes: Uint8Array<ArrayBuffer>,
  stream: CompressionStream | DecompressionStream,
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<Uint8Array> {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    chunks.push(read.value);
    length += read.value.length;
    if (length <= bytesMax) continue;
    await reader.cancel();
    throw new RangeError(`it is over ${bytesMax} bytes`);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
