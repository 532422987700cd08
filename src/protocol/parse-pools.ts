/**
 * The parsers of pools, locks and semaphores. Tags leave them in alphabetical order, each once, so that who asks for the same
 * items asks in the same words. Checks shape and range; what needs state is the engine's.
 */
import type { Request } from "./commands.ts";
import { badField, EphemeralError } from "./errors.ts";
import {
  type Fields,
  isAbsent,
  readInteger,
  readKey,
  readList,
  readObject,
  readOneOf,
  readOptionalInteger,
  readString,
  readTtl,
  readValue,
  readWaitMs,
} from "./fields.ts";
import { acquiredItemsMax, type Limits, reasonCharactersMax, tagBytesMax, tagsMax, wantsMax } from "./limits.ts";
import type { PoolItemInput, PoolMode, PoolWant } from "./pools.ts";

export function parsePoolItems(fields: Fields, limits: Limits): Request<"pool.define"> {
  const items = readList(fields, "items", limits.poolItemsMax);
  return { pool: readKey(fields, "pool", limits), items: items.map((item) => parseItem(item, limits)) };
}

export function parsePoolSlots(fields: Fields, limits: Limits): Request<"pool.remove"> {
  const pool = readKey(fields, "pool", limits);
  if (isAbsent(fields.slots)) return { pool, slots: undefined };
  const slots = readList(fields, "slots", limits.poolItemsMax).map((slot) => readInteger({ slots: slot }, "slots", 0));
  return { pool, slots };
}

export function parseAcquire(fields: Fields, limits: Limits): Request<"acquire"> {
  return {
    wants: readWants(fields, limits),
    ttl: readTtl(fields, limits) || undefined,
    waitMs: readWaitMs(fields, limits),
    prefer: readOneOf(fields, "prefer", ["last"] as const),
    owner: isAbsent(fields.owner) ? undefined : readKey(fields, "owner", limits),
  };
}

export function parseRenew(fields: Fields, limits: Limits): Request<"renew"> {
  const ttl = readTtl(fields, limits);
  if (ttl === undefined) throw new EphemeralError("ttl_required", "Cannot renew grant: wanted a ttl in milliseconds");
  if (ttl === 0) throw new EphemeralError("invalid_ttl", "Cannot renew grant: wanted a ttl over 0 ms, got 0");
  return { grant: readString(fields, "grant"), ttl };
}

export function parseQuarantine(fields: Fields, limits: Limits): Request<"quarantine"> {
  const reason = readString(fields, "reason").slice(0, reasonCharactersMax);
  if (isAbsent(fields.pool) || !isAbsent(fields.grant)) return { grant: readString(fields, "grant"), reason };
  return { pool: readKey(fields, "pool", limits), slot: readInteger(fields, "slot", 0), reason };
}

export function parseWhy(fields: Fields, limits: Limits): Request<"why"> {
  if (isAbsent(fields.pool)) return { key: readKey(fields, "key", limits) };
  if (!isAbsent(fields.key)) throw badField("key", "nothing beside pool", fields.key);
  return { pool: readKey(fields, "pool", limits) };
}

function parseItem(item: unknown, limits: Limits): PoolItemInput {
  const fields = readObject(item, "items");
  return { value: readValue(fields), tags: readTags(fields, "tags", limits) };
}

function readWants(fields: Fields, limits: Limits): readonly PoolWant[] {
  const list = readList(fields, "wants", wantsMax);
  if (list.length === 0) throw badField("wants", `a list of 1 to ${wantsMax}`, list);
  const wants = list.map((want) => parseWant(readObject(want, "wants"), limits));
  if (wants.length === 1) return wants;
  refuseTwins(wants);
  const count = wants.reduce((sum, want) => sum + want.count, 0);
  if (count > acquiredItemsMax) throw badField("wants", `at most ${acquiredItemsMax} items in all`, list);
  return wants;
}

function parseWant(fields: Fields, limits: Limits): PoolWant {
  return {
    pool: readKey(fields, "pool", limits),
    count: readOptionalInteger(fields, "count", 1, acquiredItemsMax) ?? 1,
    match: readTags(fields, "match", limits),
    mode: readOneOf<PoolMode>(fields, "mode", ["exclusive", "shared"]) ?? "exclusive",
    size: readOptionalInteger(fields, "size", 1, limits.poolItemsMax),
  };
}

function refuseTwins(wants: readonly PoolWant[]): void {
  const seen = new Set<string>();
  for (const { pool, match, mode } of wants) {
    const want = JSON.stringify([pool, match, mode]);
    if (seen.has(want)) throw badField("wants", "each pool, match and mode once; ask for more with count", wants);
    seen.add(want);
  }
}

const noTags: readonly string[] = Object.freeze([]);

function readTags(fields: Fields, name: string, limits: Limits): readonly string[] {
  if (isAbsent(fields[name])) return noTags;
  const tags = readList(fields, name, tagsMax);
  if (tags.length === 0) return noTags;
  const bounds = { ...limits, keyBytesMax: tagBytesMax };
  return [...new Set(tags.map((tag) => readKey({ [name]: tag }, name, bounds)))].sort();
}
