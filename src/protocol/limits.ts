/**
 * Every bound of the broker, with its unit last in its name. All of them are settable when a broker starts and told to
 * each client in the reply to `hello`. Defaults only; the values in force live in the broker's frozen configuration.
 */
import { EphemeralError } from "./errors.ts";
import { KiB, MiB } from "./sizes.ts";

/** The bounds and their defaults. Sizes are bytes, durations milliseconds, the rest counts. */
export const defaultLimits = {
  /** One frame, its LF or length prefix not counted. */
  frameBytesMax: 1 * MiB,
  /** One stored value, as encoded. */
  valueBytesMax: 256 * KiB,
  /** One key or name, as UTF-8. */
  keyBytesMax: 512,
  /** Live keys. */
  itemsMax: 10_000,
  /** Names made on first use: leased keys, once keys, locks, pools, limits, barriers, queues, and channels while somebody
   *  subscribes. */
  namesMax: 100_000,
  /** Items of all defined pools, and the size of one made on first use. */
  poolItemsMax: 10_000,
  /** What rate limits have granted within their windows, in all; grants of one millisecond count once. */
  rateGrantsMax: 1_000_000,
  /** Jobs of all queues, dead ones and those in flight included, and the bytes of their ids and data. */
  queueJobsMax: 100_000,
  queueBytesMax: 64 * MiB,
  /** Ids of jobs that are done, kept so that pushing them again counts for nothing. */
  jobIdsRemembered: 100_000,
  /** How often a job is taken before it is dead. */
  jobAttemptsMax: 3,
  /** Commands to be run when the run ends. */
  onEndMax: 64,
  /** Commands waiting in the whole broker, and of one session. */
  waitsMax: 10_000,
  waitsPerSessionMax: 256,
  /** The longest a session may outlive its connection. */
  lingerMsMax: 60_000,
  connectionsMax: 10_000,
  /** Commands of one connection that are not answered yet. */
  commandsInFlightMax: 1024,
  /** Bytes of the commands of one connection that wait for their turn, as they came. */
  commandsHeldBytesMax: 4 * MiB,
  /** Bytes said to one connection and not taken by its kernel yet. */
  outboxBytesMax: 4 * MiB,
  /** Keys of which the overflow `latest` keeps the newest push for a slow reader. */
  latestKeysMax: 1024,
  /** Key prefixes one session may watch. */
  watchesPerSessionMax: 64,
  /** Methods one session may serve. */
  methodsPerSessionMax: 64,
  /** The data of requests that are not answered yet, in all. */
  requestBytesMax: 64 * MiB,
  /** Channels one connection may subscribe to. */
  subscriptionsPerConnectionMax: 128,
  /** History of one channel: messages, their bytes, and how long one is kept. */
  historyCountMax: 1000,
  historyBytesMax: 1 * MiB,
  historyTtlMs: 60_000,
  /** History of all channels. */
  historyBytesTotalMax: 256 * MiB,
  /** Channels without subscribers whose epoch and offset are known. */
  channelsRemembered: 10_000,
  /** Publications of one session, so that one said again is not published again. */
  serialsRemembered: 1024,
  /** How long a connection's unsent replies may exceed `outboxBytesMax` before it is closed as slow. */
  stallMs: 10_000,
  /** How long a WebSocket may take to say `hello`, and the bytes of one frame until then; also those of a MessagePack frame on
   *  the pipe, where there is a secret. */
  helloTimeoutMs: 10_000,
  helloBytesMax: 16 * KiB,
  /** How often a WebSocket is pinged, and how long its client may take to answer. */
  pingIntervalMs: 25_000,
  pongTimeoutMs: 8_000,
  /** Wrong tokens and proofs from one address within a minute before the web door refuses to listen to it. */
  authFailuresPerMinuteMax: 10,
  /** The longest time to live anything can be given: 30 days. */
  ttlMsMax: 30 * 24 * 60 * 60 * 1000,
  /** How long, and for how many keys, `expired` is answered before `not_found`. */
  expiredRememberedMs: 30_000,
  expiredRememberedMax: 10_000,
} as const satisfies Record<string, number>;

export type Limits = { readonly [Name in keyof typeof defaultLimits]: number };

/** How long a session outlives its connection unless its client says so. A page that changes networks is back within. */
export const defaultLingerMs = { pipe: 0, web: 5000 } as const;
/** Frames in a row that cannot be read before the connection is closed. */
export const badFramesInARowMax = 3;
/** Wrong per-message proofs on one connection before it is closed. */
export const authFailuresMax = 5;
/** A label is for people: longer ones are cut. */
export const labelCharactersMax = 200;
/** A failure's reason is kept, and told to everyone who waits: longer ones are cut. */
export const reasonCharactersMax = 2000;

/** Tags of one item, and of one want; each has at most so many bytes. */
export const tagsMax = 16;
export const tagBytesMax = 128;
/** Wants of one `acquire`, the items it can get in all, and slots named in one `pool.remove`. */
export const wantsMax = 16;
export const acquiredItemsMax = 1000;
/** The most that a rate limit can allow in its window: each grant in it is remembered. */
export const rateMax = 10_000;
/** Parties of one barrier. */
export const partiesMax = 10_000;
/** Jobs taken by one `queue.take`. */
export const takenJobsMax = 1000;
/** Words of a command that is run at the end, and bytes of all that is said of it. */
export const endCommandWordsMax = 1000;
export const endCommandBytesMax = 64 * KiB;
/** Priorities of jobs reach from minus this to this. */
export const jobPriorityMax = 1000;
/** Channels that `channels` lists. */
export const channelsListedMax = 1000;
/** Holders, waiters and quarantined items `why` lists, and dead jobs `queue.info`; they count the others. */
export const whyListedMax = 100;

/** Bounds that hang together: what the first is, in words, and whether it is so. */
type Relation = readonly [wanted: string, holds: boolean, names: readonly (keyof Limits)[]];

/** Refuses bounds that are none, or contradict each other.
 *  @throws {EphemeralError} `bad_command` naming the bound, or the relation and both of its bounds as they are; `details.limits`
 *  has their names */
export function assertLimits(limits: Limits): void {
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value <= 0)
      throw badLimits([name], `wanted ${name} over 0 and whole, got ${value}`);
  }
  for (const [wanted, holds, names] of relations(limits)) {
    const actual = names.map((name) => `${name} is ${limits[name]}`).join(", ");
    if (!holds) throw badLimits(names, `wanted ${wanted}; ${actual}`);
  }
}

function relations(limits: Limits): readonly Relation[] {
  const { valueBytesMax, keyBytesMax, frameBytesMax, outboxBytesMax, historyBytesMax, commandsHeldBytesMax } = limits;
  return [
    ["valueBytesMax below frameBytesMax", valueBytesMax < frameBytesMax, ["valueBytesMax", "frameBytesMax"]],
    ["keyBytesMax below valueBytesMax", keyBytesMax < valueBytesMax, ["keyBytesMax", "valueBytesMax"]],
    [
      // Who comes back gets all that a channel remembers, while as much again is published.
      "outboxBytesMax at least twice historyBytesMax and frameBytesMax together",
      2 * (historyBytesMax + frameBytesMax) <= outboxBytesMax,
      ["outboxBytesMax", "historyBytesMax", "frameBytesMax"],
    ],
    [
      "commandsHeldBytesMax at least frameBytesMax",
      frameBytesMax <= commandsHeldBytesMax,
      ["commandsHeldBytesMax", "frameBytesMax"],
    ],
    [
      "waitsPerSessionMax at most waitsMax",
      limits.waitsPerSessionMax <= limits.waitsMax,
      ["waitsPerSessionMax", "waitsMax"],
    ],
  ];
}

function badLimits(names: readonly string[], wanted: string): EphemeralError {
  return new EphemeralError("bad_command", `Cannot start broker: ${wanted}`, { details: { limits: names } });
}
