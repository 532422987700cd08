/** Numbered leases, the seed's: `lease release`; grants of pools are released here too. The rules are the engine's. */
import type { Engine, Lease } from "../../engine/engine.ts";
import type { Reply } from "../../protocol/commands.ts";
import type { BrokerConfig } from "../config.ts";
import type { Rows } from "../dispatcher.ts";

interface LeasesParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
}

export function leaseRows({ engine, config }: LeasesParts): Rows<"lease" | "release"> {
  return {
    lease: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, workerId, ttl, size, waitMs = 0, scope }, invocation) => {
        const ttlMs = ttl ?? (scope === "session" ? undefined : config.defaultTtlMs);
        const lease = engine.lease({ key, workerId, ttlMs, size, scope }, invocation.waiting(waitMs));
        return lease instanceof Promise ? lease.then(leaseReply) : leaseReply(lease);
      },
    },
    release: {
      access: "admitted",
      whileDraining: "served",
      // The parser lets none pass that has neither.
      handle: ({ workerId = "", key, grant }, { session }) =>
        grant === undefined ? engine.release({ workerId, key }, session) : engine.releaseGrant(grant, session),
    },
  };
}

function leaseReply({ value, fence, expiresAtMs }: Lease): Reply<"lease"> {
  return { value, fence, expiresAtMs };
}
