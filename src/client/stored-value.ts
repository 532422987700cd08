/**
 * A value as a reply brings it, compressed or not, made the caller's again.
 */
import type { ClientCodec } from "../protocol/codec.ts";

interface StoredValue {
  readonly key: string;
  readonly value: unknown;
  readonly compressed?: boolean | undefined;
}

/** What inflates is loaded with the first compressed value. */
export function readValue(codec: ClientCodec, { key, value, compressed }: StoredValue): unknown {
  if (!compressed) return codec.fromMember(value);
  return import("./compressed.ts").then(({ decompressValue }) => decompressValue(key, value));
}
