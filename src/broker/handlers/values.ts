/** Values with a time to live: `set get touch incr del list`. Turns wire values into stored ones and back; the rules are the engine's. */
import type { Engine, ListPage, StoredValue } from "../../engine/engine.ts";
import type { Codec } from "../../protocol/codec.ts";
import { Encoded, type EncodedValue, type Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import { type CompressionCounts, countCompressed } from "../compression-counts.ts";
import type { BrokerConfig } from "../config.ts";
import type { Rows } from "../dispatcher.ts";

interface ValuesParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
  readonly compression: CompressionCounts;
}

export function valueRows(parts: ValuesParts): Rows<"set" | "get" | "touch" | "incr" | "del" | "list"> {
  const { engine, config, compression } = parts;
  return {
    set: {
      access: "admitted",
      whileDraining: "served",
      handle: (request, { codec, session }) => {
        const stored = engine.set({
          key: request.key,
          value: storable(request.value, codec, config.limits),
          ttlMs: request.scope === "session" ? request.ttl || undefined : givenTtl("set", request.ttl, config),
          owner: request.scope === "session" ? session : undefined,
          compressed: request.compressed ?? false,
          if: request.if,
          version: request.version,
        });
        if (request.compressed) countCompressed(compression, request);
        return stored;
      },
    },
    get: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, waitMs = 0, refresh = config.refreshTtlOnGet }, invocation) => {
        const found = engine.get({ key, refresh }, invocation.waiting(waitMs));
        return found instanceof Promise ? found.then(getReply) : getReply(found);
      },
    },
    touch: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, ttl }) => engine.touch({ key, ttlMs: givenTtl("touch", ttl, config) }),
    },
    incr: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, by = 1, ttl, ttlIfNew }) => {
        if (ttl === 0 && config.requireTtl) throw invalidTtl("increment");
        const ttlMsIfNew = ttlIfNew ?? (config.requireTtl ? undefined : config.defaultTtlMs);
        return engine.incr({ key, by, ttlMs: ttl || undefined, ttlMsIfNew });
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
      handle: ({ prefix = "", cursor, limit = Number.MAX_SAFE_INTEGER }, { codec }) => {
        const page = engine.list({ prefix, cursor, limit });
        return page instanceof Promise ? page.then((found) => listReply(found, codec)) : listReply(page, codec);
      },
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

/** In MessagePack the items are pairs: a map with any key at all could not be read back. */
function listReply({ items, cursor }: ListPage, codec: Codec): Reply<"list"> {
  return { items: codec.name === "json" ? items : Object.entries(items), cursor };
}

/** The form a value is kept in: what its connection speaks.
 *  @throws {EphemeralError} `too_large` past `valueBytesMax` */
export function storable(value: unknown, codec: Codec, { valueBytesMax }: Limits): EncodedValue {
  const kept = codec.keep(value);
  // A UTF-16 unit takes at most three bytes of UTF-8, so most values need no counting.
  if (kept.length * 3 > valueBytesMax && Buffer.byteLength(kept) > valueBytesMax) {
    throw new EphemeralError(
      "too_large",
      `Cannot store value: it has ${Buffer.byteLength(kept)} bytes, limit is ${valueBytesMax}`,
      { details: { valueBytesMax } },
    );
  }
  return kept;
}

/** @throws {EphemeralError} `ttl_required` and `invalid_ttl`, where the broker asks for a ttl on every `set` */
function givenTtl(action: string, ttl: number | undefined, config: BrokerConfig): number {
  if (ttl !== undefined && ttl > 0) return ttl;
  if (!config.requireTtl) return config.defaultTtlMs;
  throw ttl === undefined
    ? new EphemeralError("ttl_required", `Cannot ${action} key: wanted a ttl in milliseconds, got none`)
    : invalidTtl(action);
}

function invalidTtl(action: string): EphemeralError {
  return new EphemeralError("invalid_ttl", `Cannot ${action} key: wanted a ttl over 0 ms, got 0`);
}
