/**
 * `unknown` in, a checked command out: one hand-written parser a command, nothing trusted before. Fields we do not know are
 * left alone, so that older and newer clients can talk to us. Checks shape and range; what needs state is the engine's.
 */
import type { Command, CommandName, LeaseScope, Request } from "./commands.ts";
import { parseOnEnd } from "./end-of-run.ts";
import { badField, EphemeralError } from "./errors.ts";
import {
  type Fields,
  isAbsent,
  readInteger,
  readKey,
  readObject,
  readOneOf,
  readOptionalBoolean,
  readOptionalInteger,
  readOptionalKey,
  readOptionalNumber,
  readOptionalString,
  readOverflow,
  readPrefix,
  readString,
  readTtl,
  readValue,
  readWaitMs,
} from "./fields.ts";
import { type Limits, labelCharactersMax, reasonCharactersMax } from "./limits.ts";
import { channelParsers } from "./parse-channels.ts";
import { parseAcquire, parsePoolItems, parsePoolSlots, parseQuarantine, parseRenew, parseWhy } from "./parse-pools.ts";
import { requestParsers } from "./parse-requests.ts";
import { sharingParsers } from "./parse-sharing.ts";

type Parsers = { readonly [Name in CommandName]: (fields: Fields, limits: Limits) => Request<Name> };

const nothing = Object.freeze({});
const parseNothing = (): Record<never, never> => nothing;

const parsers: Parsers = {
  set: (fields, limits) => ({
    key: readKey(fields, "key", limits),
    value: readValue(fields),
    ttl: readTtl(fields, limits),
    scope: readOneOf(fields, "scope", ["session"] as const),
    if: readOneOf(fields, "if", ["absent", "present"] as const),
    version: readOptionalInteger(fields, "version", 0),
    compressed: fields.compressed === true,
    beforeSize: readOptionalInteger(fields, "beforeSize", 0),
    afterSize: readOptionalInteger(fields, "afterSize", 0),
  }),
  get: (fields, limits) => ({
    key: readKey(fields, "key", limits),
    waitMs: readWaitMs(fields, limits),
    refresh: readOptionalBoolean(fields, "refresh"),
  }),
  del: (fields, limits) => ({
    key: readKey(fields, "key", limits),
    version: readOptionalInteger(fields, "version", 0),
  }),
  touch: (fields, limits) => ({ key: readKey(fields, "key", limits), ttl: readTtl(fields, limits) }),
  incr: (fields, limits) => ({
    key: readKey(fields, "key", limits),
    by: readOptionalNumber(fields, "by"),
    ttl: readTtl(fields, limits),
    ttlIfNew: readOptionalInteger(fields, "ttlIfNew", 1, limits.ttlMsMax),
  }),
  watch: (fields, limits) => ({ prefix: readPrefix(fields, limits), overflow: readOverflow(fields) }),
  unwatch: (fields, limits) => ({ prefix: readPrefix(fields, limits) }),
  list: (fields) => ({
    prefix: readOptionalString(fields, "prefix"),
    cursor: readOptionalString(fields, "cursor"),
    limit: readOptionalInteger(fields, "limit", 1),
  }),
  lease: (fields, limits) => {
    if (!fields.key || !fields.workerId)
      throw missing("key_and_worker_required", "Cannot lease: wanted key and workerId");
    return {
      key: readKey(fields, "key", limits),
      workerId: readKey(fields, "workerId", limits),
      ttl: readTtl(fields, limits) || undefined,
      size: readOptionalInteger(fields, "size", 1),
      waitMs: readWaitMs(fields, limits),
      scope: readOneOf<LeaseScope>(fields, "scope", ["ttl", "session"]),
    };
  },
  release: (fields, limits) => {
    if (!isAbsent(fields.grant)) return { grant: readString(fields, "grant") };
    if (!fields.workerId) throw missing("worker_required", "Cannot release: wanted workerId");
    return {
      workerId: readKey(fields, "workerId", limits),
      key: readOptionalKey(fields, "key", limits),
    };
  },
  once: (fields, limits) => ({ key: readKey(fields, "key", limits), waitMs: readWaitMs(fields, limits) }),
  "once.resolve": (fields, limits) => ({
    key: readKey(fields, "key", limits),
    fence: readInteger(fields, "fence", 0),
    value: readValue(fields),
    ttl: readTtl(fields, limits),
  }),
  "once.reject": (fields, limits) => ({
    key: readKey(fields, "key", limits),
    fence: readInteger(fields, "fence", 0),
    reason: readString(fields, "reason").slice(0, reasonCharactersMax),
    cacheMs: readOptionalInteger(fields, "cacheMs", 0, limits.ttlMsMax),
    pass: readOptionalBoolean(fields, "pass"),
  }),
  "pool.define": parsePoolItems,
  "pool.add": parsePoolItems,
  "pool.remove": parsePoolSlots,
  acquire: parseAcquire,
  renew: parseRenew,
  quarantine: parseQuarantine,
  why: parseWhy,
  ...sharingParsers,
  ...requestParsers,
  ...channelParsers,
  cancel: (fields) => ({ target: readInteger(fields, "target", 0) }),
  challenge: parseNothing,
  hello: parseHello,
  bye: parseNothing,
  kick: (fields, limits) => ({ session: readKey(fields, "session", limits) }),
  ping: parseNothing,
  stats: parseNothing,
  health: parseNothing,
  metrics: parseNothing,
  ps: parseNothing,
  join: parseNothing,
  drain: parseNothing,
  onEnd: parseOnEnd,
};

/** The command's id when it can be read, so that even a refusal can carry it. */
export function readCommandId(message: Fields): number | undefined {
  return isId(message.id) ? message.id : undefined;
}

/** Turns a frame's object into a command.
 *  @throws {EphemeralError} `unknown_action`, `bad_command` naming the field, or the code the command's own contract gives
 *  (`invalid_ttl`, `key_and_worker_required`, `worker_required`) */
export function parseCommand(message: Fields, limits: Limits): Command {
  const { id, action } = message;
  if (!isAbsent(id) && !isId(id)) throw badField("id", "an integer from 0 to 2^53-1", id);
  if (typeof action !== "string" || !isCommandName(action)) {
    throw new EphemeralError("unknown_action", `Cannot run command: there is no action ${nameForPeople(action)}`);
  }
  const request = parsers[action](message, limits);
  // The table pairs each action with the request of the same name; the compiler cannot follow the pair through the lookup.
  return { action, id: isId(id) ? id : undefined, request } as Command;
}

function isId(id: unknown): id is number {
  return typeof id === "number" && Number.isSafeInteger(id) && id >= 0;
}

function isCommandName(action: string): action is CommandName {
  return Object.hasOwn(parsers, action);
}

/** An action is no secret, but it is a stranger's text: short and quoted, or only its kind. */
function nameForPeople(action: unknown): string {
  return typeof action === "string" && action.length <= 40 ? JSON.stringify(action) : "of that kind";
}

function parseHello(fields: Fields, limits: Limits): Request<"hello"> {
  return {
    protocol: readInteger(fields, "protocol", 1),
    client: readClient(fields.client),
    label: readOptionalString(fields, "label")?.slice(0, labelCharactersMax),
    auth: readAuth(fields.auth),
    token: readOptionalString(fields, "token"),
    lingerMs: readOptionalInteger(fields, "lingerMs", 0, limits.lingerMsMax),
    session: readSession(fields.session),
  };
}

function readClient(client: unknown): Request<"hello">["client"] {
  if (isAbsent(client)) return undefined;
  const fields = readObject(client, "client");
  return {
    name: readString(fields, "name").slice(0, labelCharactersMax),
    version: readString(fields, "version").slice(0, labelCharactersMax),
  };
}

function readSession(session: unknown): Request<"hello">["session"] {
  if (isAbsent(session)) return undefined;
  const fields = readObject(session, "session");
  return { id: readString(fields, "id"), secret: readString(fields, "secret") };
}

function readAuth(auth: unknown): Request<"hello">["auth"] {
  if (isAbsent(auth)) return undefined;
  const fields = readObject(auth, "auth");
  return { nonce: readString(fields, "nonce"), proof: readString(fields, "proof") };
}

function missing(code: "key_and_worker_required" | "worker_required", message: string): EphemeralError {
  return new EphemeralError(code, message);
}
