/** Rate limits and barriers: `limit limit.penalize barrier`. The rules are the engine's. */
import type { Engine } from "../../engine/engine.ts";
import type { Rows } from "../dispatcher.ts";

type LimitRows = Rows<"limit" | "limit.penalize" | "barrier">;

export function limitRows({ engine: { sharing } }: { readonly engine: Engine }): LimitRows {
  const row = { access: "admitted", whileDraining: "served" } as const;
  return {
    limit: {
      ...row,
      handle: ({ key, limit, windowMs, cost = 1, waitMs = 0 }, invocation) =>
        sharing.takeLimit({ key, limit, windowMs, cost }, invocation.waiting(waitMs)),
    },
    "limit.penalize": {
      ...row,
      handle: ({ key, forMs }) => {
        const penalized = sharing.penalizeLimit({ key, forMs });
        return penalized instanceof Promise ? penalized.then(() => ({})) : {};
      },
    },
    barrier: {
      ...row,
      handle: ({ key, parties, waitMs = 0, join = false }, invocation) =>
        join
          ? sharing.joinBarrier({ key, parties }, invocation.session)
          : sharing.awaitBarrier({ key, parties }, invocation.waiting(waitMs)),
    },
  };
}
