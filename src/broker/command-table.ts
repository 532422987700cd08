/** Every command's row, gathered from the handlers. A command without one is a compile error here. */
import type { CompressionCounts } from "./compression-counts.ts";
import type { CommandTable } from "./dispatcher.ts";
import type { EndOfRun } from "./end-of-run.ts";
import { type AdminParts, adminRows } from "./handlers/admin.ts";
import { channelRows } from "./handlers/channels.ts";
import { leaseRows } from "./handlers/leases.ts";
import { lifetimeRows } from "./handlers/lifetime.ts";
import { limitRows } from "./handlers/limits.ts";
import { onceRows } from "./handlers/once.ts";
import { poolRows } from "./handlers/pools.ts";
import { queueRows } from "./handlers/queues.ts";
import { requestRows } from "./handlers/requests.ts";
import { sessionRows } from "./handlers/sessions.ts";
import { valueRows } from "./handlers/values.ts";
import { watchRows } from "./handlers/watches.ts";
import type { Lifetime } from "./lifetime.ts";

/** What handlers need of the broker. */
export interface CommandParts extends AdminParts {
  readonly compression: CompressionCounts;
  readonly lifetime: Lifetime;
  /** Undefined where nothing is run at the end. */
  readonly endOfRun: EndOfRun | undefined;
}

export function commandTable(parts: CommandParts): CommandTable {
  return {
    ...valueRows(parts),
    ...watchRows(parts),
    ...leaseRows(parts),
    ...onceRows(parts),
    ...poolRows(parts),
    ...limitRows(parts),
    ...queueRows(parts),
    ...requestRows(parts),
    ...channelRows(parts),
    ...sessionRows(parts),
    ...adminRows(parts),
    ...lifetimeRows(parts),
  };
}
