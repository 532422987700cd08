/**
 * What every engine must keep, as sentences: run it with a factory that makes an engine on a clock the test turns.
 */
import { describe } from "bun:test";
import type { EngineFactory } from "./contract/actor.ts";
import { leasesContract } from "./contract/leases.ts";
import { onceContract } from "./contract/once.ts";
import { sessionsContract } from "./contract/sessions.ts";
import { valuesContract } from "./contract/values.ts";
import { waitsContract } from "./contract/waits.ts";

export function engineContract(name: string, create: EngineFactory): void {
  describe(name, () => {
    valuesContract(create);
    waitsContract(create);
    leasesContract(create);
    onceContract(create);
    sessionsContract(create);
  });
}
