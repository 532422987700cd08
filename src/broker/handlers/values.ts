/** Values with a time to live: `set get del list`. Turns wire values into stored ones and back; the rules are the engine's. */
import type { Engine, StoredValue } from "../../engine/engine.ts";
import { Encoded, type EncodedValue, type Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { BrokerConfig } from "../config.ts";
import type { Rows } from "../dispatcher.ts";

interface ValuesParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
}

export function valueRows({ engine, config }: ValuesParts): Rows<"set" | "get" | "del" | "list"> {
  return {
    set: {
      access: "admitted",
      whileDraining: "refused",
      handle: (request) =>
        engine.set({
          key: request.key,
          value: storable(request.value, config),
          ttlMs: ttlOfSet(request.ttl, config),
          compressed: request.compressed ?? false,
          if: request.if,
          version: request.version,
        }),
    },
    get: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, waitMs = 0 }, invocation) => {
        const found = engine.get(key, invocation.waiting(waitMs));
        return found instanceof Promise ? found.then(getReply) : getReply(found);
      },
    },
    del: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, version }) => engine.del(key, version),
    },
    list: {
      access: "admitted",
      whileDraining: "served",
      // Without a limit the whole list is one reply: the seed's clients know no pages.
      handle: ({ prefix = "", cursor, limit = Number.MAX_SAFE_INTEGER }) => engine.list({ prefix, cursor, limit }),
    },
  };
}

function getReply(stored: StoredValue): Reply<"get"> {
  return {
    value: new Encoded(stored.value),
    version: stored.version,
    ttlMs: stored.ttlMs,
    compressed: stored.compressed ? true : undefined,
  };
}

/** The text a value is kept as.
 *  @throws {EphemeralError} `too_large` past `valueBytesMax` */
export function storable(value: unknown, config: BrokerConfig): EncodedValue {
  const text = JSON.stringify(value);
  const { valueBytesMax } = config.limits;
  // A UTF-16 unit takes at most three bytes of UTF-8, so most values need no counting.
  if (text.length * 3 > valueBytesMax && Buffer.byteLength(text) > valueBytesMax) {
    throw new EphemeralError(
      "too_large",
      `Cannot store value: it has ${Buffer.byteLength(text)} bytes, limit is ${valueBytesMax}`,
      { details: { valueBytesMax } },
    );
  }
  return text;
}

/** @throws {EphemeralError} `ttl_required` and `invalid_ttl`, where the broker asks for a ttl on every `set` */
function ttlOfSet(ttl: number | undefined, config: BrokerConfig): number {
  if (ttl !== undefined && ttl > 0) return ttl;
  if (!config.requireTtl) return config.defaultTtlMs;
  throw ttl === undefined
    ? new EphemeralError("ttl_required", "Cannot set key: wanted a ttl in milliseconds, got none")
    : new EphemeralError("invalid_ttl", "Cannot set key: wanted a ttl over 0 ms, got 0");
}
