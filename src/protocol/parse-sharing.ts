/**
 * The parsers of rate limits, barriers and work queues. Checks shape and range; what needs state is the engine's.
 */
import type { Request } from "./commands.ts";
import { badField } from "./errors.ts";
import {
  type Fields,
  readInteger,
  readKey,
  readList,
  readObject,
  readOneOf,
  readOptionalBoolean,
  readOptionalInteger,
  readOptionalKey,
  readOptionalString,
  readValue,
  readWaitMs,
} from "./fields.ts";
import { jobPriorityMax, type Limits, partiesMax, rateMax, reasonCharactersMax, takenJobsMax } from "./limits.ts";
import type { JobInput, SharingCommands } from "./sharing.ts";

type Parsers = {
  readonly [Name in keyof SharingCommands]: (fields: Fields, limits: Limits) => Request<Name>;
};

export const sharingParsers: Parsers = {
  limit: (fields, limits) => {
    const limit = readInteger(fields, "limit", 1, rateMax);
    return {
      key: readKey(fields, "key", limits),
      limit,
      windowMs: readInteger(fields, "windowMs", 1, limits.ttlMsMax),
      cost: readOptionalInteger(fields, "cost", 1, limit),
      waitMs: readWaitMs(fields, limits),
    };
  },
  "limit.penalize": (fields, limits) => ({
    key: readKey(fields, "key", limits),
    forMs: readInteger(fields, "forMs", 1, limits.ttlMsMax),
  }),
  barrier: (fields, limits) => ({
    key: readKey(fields, "key", limits),
    parties: readInteger(fields, "parties", 1, partiesMax),
    waitMs: readWaitMs(fields, limits),
    join: readOptionalBoolean(fields, "join"),
  }),
  "queue.push": (fields, limits) => ({
    queue: readKey(fields, "queue", limits),
    items: readList(fields, "items", limits.queueJobsMax).map((item) => parseJob(item, limits)),
    closes: readOptionalBoolean(fields, "closes"),
  }),
  "queue.take": parseTake,
  "queue.ack": readTaken,
  "queue.nack": (fields, limits) => ({
    ...readTaken(fields, limits),
    delayMs: readOptionalInteger(fields, "delayMs", 0, limits.ttlMsMax),
    reason: readOptionalString(fields, "reason")?.slice(0, reasonCharactersMax),
    pass: readOptionalBoolean(fields, "pass"),
  }),
  "queue.renew": (fields, limits) => ({
    ...readTaken(fields, limits),
    ackMs: readInteger(fields, "ackMs", 1, limits.ttlMsMax),
  }),
  "queue.close": (fields, limits) => ({ queue: readKey(fields, "queue", limits) }),
  "queue.info": (fields, limits) => ({ queue: readKey(fields, "queue", limits) }),
};

function parseJob(item: unknown, limits: Limits): JobInput {
  const fields = readObject(item, "items");
  return {
    id: readOptionalKey(fields, "id", limits),
    data: readValue(fields, "data"),
    priority: readOptionalInteger(fields, "priority", -jobPriorityMax, jobPriorityMax),
  };
}

function parseTake(fields: Fields, limits: Limits): Request<"queue.take"> {
  const ackMs = readOptionalInteger(fields, "ackMs", 1, limits.ttlMsMax);
  const scope = readOneOf(fields, "scope", ["session", "ttl"] as const);
  if (scope === "ttl" && ackMs === undefined) throw badField("ackMs", "milliseconds, with scope ttl", ackMs);
  return {
    queue: readKey(fields, "queue", limits),
    count: readOptionalInteger(fields, "count", 1, takenJobsMax),
    ackMs,
    scope,
    waitMs: readWaitMs(fields, limits),
  };
}

/** One taking of one job. */
function readTaken(fields: Fields, limits: Limits): Request<"queue.ack"> {
  return {
    queue: readKey(fields, "queue", limits),
    job: readKey(fields, "job", limits),
    fence: readInteger(fields, "fence", 0),
  };
}
