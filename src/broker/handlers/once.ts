/** Compute once: `once once.resolve once.reject`. The rules are the engine's. */
import type { Engine, OnceOutcome } from "../../engine/engine.ts";
import { Encoded, type Reply } from "../../protocol/commands.ts";
import type { BrokerConfig } from "../config.ts";
import type { Rows } from "../dispatcher.ts";
import { storable } from "./values.ts";

interface OnceParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
}

export function onceRows({ engine, config }: OnceParts): Rows<"once" | "once.resolve" | "once.reject"> {
  return {
    once: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, waitMs = 0 }, invocation) => {
        const outcome = engine.once(key, invocation.waiting(waitMs));
        return outcome instanceof Promise ? outcome.then(onceReply) : onceReply(outcome);
      },
    },
    "once.resolve": {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, fence, value, ttl }, { codec }) =>
        engine.onceResolve({
          key,
          fence,
          value: storable(value, codec, config.limits),
          ttlMs: ttl || config.defaultTtlMs,
        }),
    },
    "once.reject": {
      access: "admitted",
      whileDraining: "served",
      handle: ({ key, fence, reason, cacheMs = 0, pass }) => {
        const rejected = engine.onceReject({ key, fence, reason, cacheMs, pass });
        return rejected instanceof Promise ? rejected.then(() => ({})) : {};
      },
    },
  };
}

function onceReply(outcome: OnceOutcome): Reply<"once"> {
  if (outcome.role === "leader") return { leader: true, fence: outcome.fence };
  const { value, version, compressed } = outcome.stored;
  return { value: new Encoded(value), version, compressed: compressed ? true : undefined };
}
