/** Pools, locks and semaphores: `pool.define pool.add pool.remove acquire renew quarantine why`. The rules are the engine's. */
import type { Engine } from "../../engine/engine.ts";
import type { Acquired, PoolItemDefinition, PoolItems } from "../../engine/pooling.ts";
import type { Codec } from "../../protocol/codec.ts";
import { Encoded, type Reply, type Request } from "../../protocol/commands.ts";
import { jsonText } from "../../protocol/json-values.ts";
import type { BrokerConfig } from "../config.ts";
import { writingFailure } from "../connections/writing.ts";
import type { Row, Rows } from "../dispatcher.ts";
import { storable } from "./values.ts";

interface PoolsParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
}

type PoolRows = Rows<"pool.define" | "pool.add" | "pool.remove" | "acquire" | "renew" | "quarantine" | "why">;

export function poolRows(parts: PoolsParts): PoolRows {
  const { engine } = parts;
  const row = { access: "admitted", whileDraining: "served" } as const;
  return {
    "pool.define": { ...row, handle: (request, { codec }) => engine.definePool(itemsOf(request, codec, parts)) },
    "pool.add": { ...row, handle: (request, { codec }) => engine.addToPool(itemsOf(request, codec, parts)) },
    "pool.remove": { ...row, handle: ({ pool, slots }) => engine.removeFromPool({ pool, slots }) },
    acquire: acquireRow(engine),
    renew: { ...row, handle: ({ grant, ttl }, { session }) => engine.renewGrant({ grant, ttlMs: ttl }, session) },
    quarantine: {
      ...row,
      handle: (request, { session }) => {
        const quarantined =
          "grant" in request ? engine.quarantineGrant(request, session) : engine.quarantineItem(request, session);
        return quarantined instanceof Promise ? quarantined.then(() => ({})) : {};
      },
    },
    why: {
      ...row,
      handle: (request) =>
        engine.why(
          "pool" in request ? { name: request.pool, isPoolOnly: true } : { name: request.key, isPoolOnly: false },
        ),
    },
  };
}

function acquireRow(engine: Engine): Row<"acquire"> {
  return {
    access: "admitted",
    whileDraining: "served",
    handle: ({ wants, ttl, waitMs = 0, prefer, owner }, invocation) => {
      const request = { wants, ttlMs: ttl, prefersLast: prefer === "last", owner };
      const acquired = engine.acquire(request, invocation.waiting(waitMs));
      const reply = (granted: Acquired): Reply<"acquire"> => {
        const told = grantReply(granted);
        const { codec, session } = invocation;
        const failure = codec.name === "json" ? undefined : writingFailure(told, codec);
        if (failure === undefined) return told;
        // Nobody would know of it: whoever cannot be told what he holds holds nothing.
        void engine.releaseGrant(granted.id, session);
        throw failure;
      };
      return acquired instanceof Promise ? acquired.then(reply) : reply(acquired);
    },
  };
}

/** Values stand in the grant as the JSON text they are kept as, so a grant is written without reading them. */
function grantReply({ id, fence, items, expiresAtMs }: Acquired): Reply<"acquire"> {
  let text = `{"id":"${id}","fence":${fence},"items":[`;
  let comma = "";
  for (const { pool, slot, value } of items) {
    text += `${comma}{"pool":${JSON.stringify(pool)},"slot":${slot},"value":${value}}`;
    comma = ",";
  }
  return { grant: new Encoded(expiresAtMs === undefined ? `${text}]}` : `${text}],"expiresAtMs":${expiresAtMs}}`) };
}

function itemsOf({ pool, items }: Request<"pool.define">, codec: Codec, { config }: PoolsParts): PoolItems {
  return { pool, items: items.map(({ value, tags }) => ({ value: valueText(value, codec, config), tags })) };
}

/** JSON text in every codec: workers that speak different ones may define the same pool.
 *  @throws {EphemeralError} `too_large` past `valueBytesMax` */
function valueText(value: unknown, codec: Codec, { limits }: BrokerConfig): PoolItemDefinition["value"] {
  const kept = storable(value, codec, limits);
  return typeof kept === "string" ? kept : jsonText(value);
}
