/**
 * What a client shares with others beside values and leases: turns, work, and what only one of them makes. One part, as most
 * who need one of these need another.
 */
import type { Connection } from "./connection/connection.ts";
import type { ClientSettings } from "./options.ts";
import { SharedWork } from "./sharing/shared-work.ts";
import { SingleFlight } from "./sharing/single-flight.ts";
import { Grants } from "./turns/grants.ts";

export interface Coordination {
  readonly grants: Grants;
  readonly sharedWork: SharedWork;
  readonly singleFlight: SingleFlight;
}

export function coordination(connection: Connection, { clock, defaultTtlMs }: ClientSettings): Coordination {
  return {
    grants: new Grants(connection, clock),
    sharedWork: new SharedWork(connection, clock),
    singleFlight: new SingleFlight(connection, defaultTtlMs),
  };
}
