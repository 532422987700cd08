/**
 * The broker's bounds as flags and environment variables: one of each for every bound of limits.ts, named after it, read
 * in its unit. The seed's names stand beside ours.
 */
import { closeCodes, type ErrorCode } from "../../protocol/errors.ts";
import { defaultLimits, type Limits } from "../../protocol/limits.ts";
import { countUnit, durationUnit, sizeUnit, type Unit } from "../units.ts";

export interface Bound {
  readonly limit: keyof Limits;
  /** Without its dashes. */
  readonly flag: string;
  /** The first that is set counts. */
  readonly environment: readonly string[];
  readonly unit: Unit;
  /** The default, in a form the flag takes. */
  readonly standard: string;
  /** What becomes of what goes past it. */
  readonly breach: Breach;
  readonly description: string;
}

/** A refusal, the end of the connection, or both; and what there is to know besides. */
export interface Breach {
  readonly error?: ErrorCode;
  readonly closeCode?: number;
  readonly remark?: string;
}

const breaches: Readonly<Record<keyof Limits, Breach>> = {
  frameBytesMax: { error: "too_large", closeCode: closeCodes.badRequest },
  valueBytesMax: { error: "too_large" },
  keyBytesMax: { error: "bad_command" },
  itemsMax: { error: "max_items" },
  namesMax: { error: "too_many_names" },
  poolItemsMax: { error: "max_items" },
  rateGrantsMax: { error: "too_many_names" },
  queueJobsMax: { error: "max_items" },
  queueBytesMax: { error: "max_items" },
  jobIdsRemembered: { remark: "the oldest is forgotten" },
  jobAttemptsMax: { remark: "the job is dead, and listed" },
  onEndMax: { error: "max_items" },
  waitsMax: { error: "too_many_commands" },
  waitsPerSessionMax: { error: "too_many_commands" },
  lingerMsMax: { error: "bad_command" },
  connectionsMax: { error: "too_many_connections" },
  commandsInFlightMax: { error: "too_many_commands" },
  commandsHeldBytesMax: { error: "too_many_commands" },
  outboxBytesMax: { closeCode: closeCodes.slow, remark: "after stallMs" },
  latestKeysMax: { remark: "the oldest is dropped, and told" },
  watchesPerSessionMax: { error: "too_many_names" },
  methodsPerSessionMax: { error: "too_many_names" },
  requestBytesMax: { error: "too_many_commands" },
  subscriptionsPerConnectionMax: { error: "too_many_names" },
  historyCountMax: { remark: "the oldest is forgotten" },
  historyBytesMax: { remark: "the oldest is forgotten" },
  historyTtlMs: { remark: "it is forgotten" },
  historyBytesTotalMax: { remark: "the oldest is forgotten" },
  channelsRemembered: { remark: "the one used longest ago is forgotten" },
  serialsRemembered: { error: "bad_command" },
  stallMs: { closeCode: closeCodes.slow },
  helloTimeoutMs: { closeCode: closeCodes.stale },
  helloBytesMax: { error: "too_large", closeCode: closeCodes.badRequest },
  pingIntervalMs: { remark: "a ping is pushed" },
  pongTimeoutMs: { closeCode: closeCodes.noPong },
  authFailuresPerMinuteMax: { remark: "HTTP 429 for the rest of the minute" },
  ttlMsMax: { error: "invalid_ttl" },
  expiredRememberedMs: { error: "not_found" },
  expiredRememberedMax: { error: "not_found" },
};

const descriptions: Readonly<Record<keyof Limits, string>> = {
  frameBytesMax: "One command or reply",
  valueBytesMax: "One value",
  keyBytesMax: "One key",
  itemsMax: "Live keys",
  namesMax: "Names made on first use",
  poolItemsMax: "Items of all defined pools",
  rateGrantsMax: "Grants of rate limits within their windows",
  queueJobsMax: "Jobs of all queues",
  queueBytesMax: "Jobs of all queues",
  jobIdsRemembered: "Ids of done jobs that count for nothing when pushed again",
  jobAttemptsMax: "How often one job is taken",
  onEndMax: "Commands to be run when the run ends",
  waitsMax: "Waiting commands in all",
  waitsPerSessionMax: "Waiting commands of one session",
  lingerMsMax: "How long a session may outlive its connection",
  connectionsMax: "Connections",
  commandsInFlightMax: "Unanswered commands of one connection",
  commandsHeldBytesMax: "Commands of one connection that wait for their turn",
  outboxBytesMax: "Unsent bytes of one connection",
  latestKeysMax: 'Keys kept for a slow reader with overflow "latest"',
  watchesPerSessionMax: "Key prefixes one session watches",
  methodsPerSessionMax: "Methods one session serves",
  requestBytesMax: "Data of requests that are not answered yet",
  subscriptionsPerConnectionMax: "Channels one connection subscribes to",
  historyCountMax: "Messages a channel remembers",
  historyBytesMax: "Messages a channel remembers",
  historyTtlMs: "How long a channel remembers a message",
  historyBytesTotalMax: "Messages of all channels",
  channelsRemembered: "Channels without subscribers whose epoch is known",
  serialsRemembered: "Publications of one session that are known when said again",
  stallMs: "How long replies may stay unsent",
  helloTimeoutMs: "How long a WebSocket may take to say hello",
  helloBytesMax: "One frame before hello, of a WebSocket, or in MessagePack where there is a secret",
  pingIntervalMs: "How often a WebSocket is pinged",
  pongTimeoutMs: "How long a ping of a WebSocket may stay unanswered",
  authFailuresPerMinuteMax: "Wrong tokens from one address in a minute",
  ttlMsMax: "The longest time to live",
  expiredRememberedMs: 'How long a key answers "expired"',
  expiredRememberedMax: 'How many keys answer "expired"',
};

const seedNames: Partial<Record<keyof Limits, string>> = {
  frameBytesMax: "BROKER_MAX_REQUEST_SIZE",
  valueBytesMax: "BROKER_MAX_VALUE_SIZE",
  itemsMax: "BROKER_MAX_ITEMS",
};

/** In the order of limits.ts. */
export const bounds: readonly Bound[] = Object.entries(defaultLimits).map(([name, value]) => {
  // defaultLimits has exactly the members of Limits.
  const limit = name as keyof Limits;
  const words = limit.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
  const ours = `EPHEMERAL_${words.replaceAll("-", "_").toUpperCase()}`;
  const seeds = seedNames[limit];
  const unit = unitOf(limit);
  return {
    limit,
    flag: words,
    environment: seeds === undefined ? [ours] : [ours, seeds],
    unit,
    standard: unit.write(value),
    breach: breaches[limit],
    description: descriptions[limit],
  };
});

/** Units stand in the names: that is what they are there for. */
function unitOf(limit: keyof Limits): Unit {
  if (limit.includes("Bytes")) return sizeUnit;
  return /Ms(?:Max)?$/.test(limit) ? durationUnit : countUnit;
}
