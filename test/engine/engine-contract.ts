/**
 * What every engine must keep, as sentences: run it with a factory that makes an engine on a clock the test turns.
 */
import { describe } from "bun:test";
import type { EngineFactory } from "./contract/actor.ts";
import { barriersContract } from "./contract/barriers.ts";
import { channelsContract } from "./contract/channels.ts";
import { countersContract } from "./contract/counters.ts";
import { keyEventsContract } from "./contract/key-events.ts";
import { leasesContract } from "./contract/leases.ts";
import { lifetimesContract } from "./contract/lifetimes.ts";
import { onceContract } from "./contract/once.ts";
import { poolDefinitionsContract } from "./contract/pool-definitions.ts";
import { poolReasonsContract } from "./contract/pool-reasons.ts";
import { poolsContract } from "./contract/pools.ts";
import { queuesContract } from "./contract/queues.ts";
import { rateLimitsContract } from "./contract/rate-limits.ts";
import { sessionsContract } from "./contract/sessions.ts";
import { valuesContract } from "./contract/values.ts";
import { waitsContract } from "./contract/waits.ts";

export function engineContract(name: string, create: EngineFactory): void {
  describe(name, () => {
    valuesContract(create);
    lifetimesContract(create);
    countersContract(create);
    keyEventsContract(create);
    waitsContract(create);
    leasesContract(create);
    onceContract(create);
    poolsContract(create);
    poolDefinitionsContract(create);
    poolReasonsContract(create);
    rateLimitsContract(create);
    barriersContract(create);
    queuesContract(create);
    channelsContract(create);
    sessionsContract(create);
  });
}
