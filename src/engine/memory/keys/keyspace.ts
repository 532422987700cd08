/**
 * The keys and their values: versions, deadlines, who waits for a key to appear, and for a while which keys have expired.
 * Values stay the bytes they came as. Counts on its caller to have swept, so a key that is here is alive.
 */

import type { EncodedValue, ListedItem } from "../../../protocol/commands.ts";
import { EphemeralError } from "../../../protocol/errors.ts";
import type { Limits } from "../../../protocol/limits.ts";
import type { KeyEvent, KeyEventKind } from "../../../protocol/pushes.ts";
import type {
  Awaitable,
  GetRequest,
  HeldBySession,
  IncrRequest,
  ListPage,
  ListRequest,
  SetRequest,
  StoredValue,
  TouchRequest,
  Waiting,
} from "../../engine.ts";
import { Expiring, type ExpiryHeap } from "../../expiry-heap.ts";
import { type Wait, WaitQueues, type Waits } from "../../wait-queue.ts";
import { inWords } from "../../wording.ts";
import { sumOf } from "./counting.ts";
import { ExpiredKeys } from "./expired-keys.ts";
import { refuseUnlessWanted, wrongVersion } from "./key-conditions.ts";
import { SessionKeys } from "./session-keys.ts";

/** What an item costs beside its key and its value, measured: entry, two string headers, its places in map and heap. */
const entryOverheadBytes = 190;

/** What entries given the same time to live one after another share, so that none needs a field of its own for it. */
interface Lifetime {
  readonly keyspace: Keyspace;
  readonly ttlMs: number | undefined;
}

/** A key and its value; its own node in the heap. Eight fields, inherited ones included, fit 80 bytes; a ninth makes it 112. */
class Entry extends Expiring {
  readonly key: string;
  /** Place in the order of first setting, which `list` walks by. */
  readonly sequence: number;
  lifetime: Lifetime;
  value: EncodedValue;
  version = 0;

  constructor(first: Pick<Entry, "key" | "sequence" | "lifetime" | "value">) {
    super();
    this.key = first.key;
    this.sequence = first.sequence;
    this.lifetime = first.lifetime;
    this.value = first.value;
  }

  override expire(): void {
    this.lifetime.keyspace.expired(this);
  }
}

export class Keyspace {
  readonly #expiries: ExpiryHeap;
  readonly #limits: Limits;
  readonly #entries = new Map<string, Entry>();
  readonly #expired: ExpiredKeys;
  /** Keys of the few values their clients have compressed: a flag in each entry would cost every entry its place in memory. */
  readonly #compressed = new Set<string>();
  readonly #owned = new SessionKeys();
  readonly #waiting: WaitQueues<undefined, StoredValue>;
  /** Told what becomes of keys. */
  observer: ((event: KeyEvent) => void) | undefined;
  #lastLifetime: Lifetime = { keyspace: this, ttlMs: undefined };
  #version = 0;
  #sequence = 0;
  #storeBytes = 0;
  #expiredCount = 0;

  constructor(options: { expiries: ExpiryHeap; limits: Limits; waits: Waits }) {
    this.#expiries = options.expiries;
    this.#limits = options.limits;
    this.#expired = new ExpiredKeys(options.limits);
    this.#waiting = new WaitQueues({ waits: options.waits, action: "get", timedOut: neverSet });
  }

  get size(): number {
    return this.#entries.size;
  }
  get storeBytes(): number {
    return this.#storeBytes;
  }
  /** How many keys have come to their deadline so far. */
  get expiredCount(): number {
    return this.#expiredCount;
  }

  /** The value of a live key. */
  find(key: string, nowMs: number): StoredValue | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : this.#stored(entry, nowMs);
  }

  /** Reads `key`, or waits until it is set. */
  get({ key, refresh }: GetRequest, waiting: Waiting, nowMs: number): Awaitable<StoredValue> {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      if (refresh) this.#live(entry, entry.lifetime.ttlMs, nowMs);
      return this.#stored(entry, nowMs);
    }
    if (waiting.waitMs === 0) throw this.#missing("get", key, nowMs);
    return this.#waiting.enqueue({ name: key, request: undefined, waiting, nowMs }).answer;
  }

  /** Stores and wakes all who wait for the key. */
  set(request: SetRequest, nowMs: number): { readonly version: number } {
    const present = this.#entries.get(request.key);
    refuseUnlessWanted(request, present);
    const entry = present ?? this.#add(request);
    this.#live(entry, request.ttlMs, nowMs);
    this.#owned.setOwner(request.key, request.owner?.id, nowMs);
    this.#write(entry, request);
    if (this.#waiting.first(request.key) !== undefined)
      this.#waiting.settleAll(request.key, this.#stored(entry, nowMs));
    return { version: entry.version };
  }

  touch({ key, ttlMs }: TouchRequest, nowMs: number): { readonly expiresAtMs: number } {
    const entry = this.#entries.get(key);
    if (entry === undefined) throw this.#missing("touch", key, nowMs);
    this.#live(entry, ttlMs, nowMs);
    return { expiresAtMs: entry.expiresAtMs };
  }

  incr({ key, by, ttlMs, ttlMsIfNew }: IncrRequest, nowMs: number): { value: number; version: number } {
    const entry = this.#entries.get(key);
    // A compressed value is a text to us, whatever it looks like.
    const isText = entry !== undefined && this.#compressed.has(key);
    const value = sumOf(key, { value: isText ? '""' : entry?.value, by });
    const changed = { value: `${value}`, compressed: false };
    if (entry === undefined) {
      const wholeTtlMs = ttlMs ?? ttlMsIfNew;
      if (wholeTtlMs === undefined) throw ttlRequired(key);
      return { value, ...this.set({ key, ...changed, ttlMs: wholeTtlMs }, nowMs) };
    }
    if (ttlMs !== undefined) this.#live(entry, ttlMs, nowMs);
    this.#write(entry, changed);
    return { value, version: entry.version };
  }

  del(key: string, version: number | undefined): { readonly deleted: boolean } {
    const entry = this.#entries.get(key);
    if (entry === undefined) return { deleted: false };
    if (version !== undefined && version !== entry.version) throw wrongVersion("delete", version, entry);
    this.#delete(entry);
    return { deleted: true };
  }

  /** Deletes what the session owns. */
  endSession(sessionId: string): void {
    for (const { key } of this.#owned.of(sessionId)) {
      const entry = this.#entries.get(key);
      if (entry !== undefined) this.#delete(entry);
    }
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return this.#owned.of(sessionId).map(({ key, sinceAtMs }) => {
      return { kind: "key", id: key, version: this.#entries.get(key)?.version ?? 0, sinceAtMs };
    });
  }

  /** Walks the keys in the order they were first set, from behind `cursor`. */
  list({ prefix, cursor, limit }: ListRequest): ListPage {
    const items: Record<string, ListedItem> = Object.create(null);
    const after = cursor === undefined ? -1 : sequenceIn(cursor);
    let listed = 0;
    let lastSequence = after;
    for (const entry of this.#entries.values()) {
      if (entry.sequence <= after || !entry.key.startsWith(prefix)) continue;
      if (listed === limit) return { items, cursor: String(lastSequence) };
      items[entry.key] = listedAs(entry);
      lastSequence = entry.sequence;
      listed += 1;
    }
    return { items, cursor: undefined };
  }

  /** For entries only: the deadline of `entry` has passed. */
  expired(entry: Entry): void {
    this.#drop(entry, "expired");
    this.#expiredCount += 1;
    this.#expired.add(entry.key, entry.expiresAtMs);
  }

  clear(): void {
    this.#entries.clear();
    this.#expired.clear();
    this.#compressed.clear();
    this.#owned.clear();
    this.#storeBytes = 0;
  }

  #add(request: SetRequest): Entry {
    if (this.#entries.size >= this.#limits.itemsMax) {
      const actual = `${this.#entries.size} keys are stored, limit is ${this.#limits.itemsMax}`;
      throw new EphemeralError("max_items", `Cannot set key ${JSON.stringify(request.key)}: ${actual}`);
    }
    const { key, value } = request;
    const entry = new Entry({ key, value, sequence: this.#sequence++, lifetime: this.#lastLifetime });
    this.#entries.set(key, entry);
    this.#expired.delete(key);
    this.#storeBytes += Buffer.byteLength(entry.key) + sizeOf(entry.value) + entryOverheadBytes;
    return entry;
  }

  #write(entry: Entry, { value, compressed }: Pick<SetRequest, "value" | "compressed">): void {
    this.#storeBytes += sizeOf(value) - sizeOf(entry.value);
    this.#version += 1;
    entry.version = this.#version;
    entry.value = value;
    if (compressed) this.#compressed.add(entry.key);
    else this.#compressed.delete(entry.key);
    this.#tell(entry, "set");
  }

  /** Lets `entry` live `ttlMs` from now on. */
  #live(entry: Entry, ttlMs: number | undefined, nowMs: number): void {
    if (entry.lifetime.ttlMs !== ttlMs) {
      if (this.#lastLifetime.ttlMs !== ttlMs) this.#lastLifetime = { keyspace: this, ttlMs };
      entry.lifetime = this.#lastLifetime;
    }
    this.#expiries.set(entry, ttlMs === undefined ? Number.POSITIVE_INFINITY : nowMs + ttlMs);
  }

  #delete(entry: Entry): void {
    this.#expiries.remove(entry);
    this.#drop(entry, "del");
  }

  #drop(entry: Entry, event: KeyEventKind): void {
    this.#entries.delete(entry.key);
    this.#compressed.delete(entry.key);
    this.#owned.delete(entry.key);
    this.#storeBytes -= Buffer.byteLength(entry.key) + sizeOf(entry.value) + entryOverheadBytes;
    this.#tell(entry, event);
  }

  #tell({ key, version }: Entry, event: KeyEventKind): void {
    this.observer?.({ key, event, version });
  }

  #stored({ key, value, version, expiresAtMs }: Entry, nowMs: number): StoredValue {
    const ttlMs = expiresAtMs === Number.POSITIVE_INFINITY ? undefined : expiresAtMs - nowMs;
    return { value, version, compressed: this.#compressed.has(key), ttlMs };
  }

  /** Tells an expired key from one that was never there, for as long as that is remembered. */
  #missing(action: string, key: string, nowMs: number): EphemeralError {
    const endedAtMs = this.#expired.endedAtMs(key, nowMs);
    const wanted = `Cannot ${action} key ${JSON.stringify(key)}`;
    if (endedAtMs === undefined) {
      return new EphemeralError("not_found", `${wanted}: nothing is stored under it`);
    }
    return new EphemeralError("expired", `${wanted}: its time to live ended ${inWords(nowMs - endedAtMs)} ago`);
  }
}

function listedAs(entry: Entry): ListedItem {
  const item = { hasValue: true, version: entry.version };
  return entry.expiresAtMs === Number.POSITIVE_INFINITY ? item : { expires: entry.expiresAtMs, ...item };
}

function ttlRequired(key: string): EphemeralError {
  const text = `Cannot increment key ${JSON.stringify(key)}: it is new, wanted a ttl in milliseconds, got none`;
  return new EphemeralError("ttl_required", text);
}

function neverSet({ waitMs, name }: Wait<undefined, StoredValue>): EphemeralError {
  const text = `Timed out after ${waitMs} ms waiting for key ${JSON.stringify(name)}: nobody has set it`;
  return new EphemeralError("timeout", text);
}

function sequenceIn(cursor: string): number {
  if (!/^\d{1,15}$/.test(cursor)) {
    throw new EphemeralError("bad_command", "Cannot list keys: the cursor is none that a list answered");
  }
  return Number(cursor);
}

function sizeOf(value: EncodedValue): number {
  return typeof value === "string" ? Buffer.byteLength(value) : value.byteLength;
}
