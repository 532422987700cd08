/**
 * What one codec carries another may not: JSON can hold what no MessagePack reader takes, a map with a key twice or the key
 * `__proto__`. Tells so before anything depends on it. Knows nothing of what is written.
 */
import type { Codec } from "../../protocol/codec.ts";
import type { EncodedValue } from "../../protocol/commands.ts";

/** Whether `data` is kept as `codec` writes it, and needs no second look. */
export function isOfCodec(data: EncodedValue, { name }: Codec): boolean {
  return (typeof data === "string") === (name === "json");
}

/** Why `codec` cannot write `message`; undefined when it can. */
export function writingFailure(message: object, codec: Codec): unknown {
  try {
    codec.encode(message);
    return undefined;
  } catch (error) {
    return error;
  }
}
