/**
 * The keys and their values: versions, deadlines, who waits for a key to appear, and for a while which keys have expired.
 * Values stay the bytes they came as. Counts on its caller to have swept, so a key that is here is alive.
 */

import type { EncodedValue, ListedItem } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import type { Awaitable, ListPage, ListRequest, SetRequest, StoredValue, Waiting } from "../engine.ts";
import { Expiring, type ExpiryHeap } from "./expiry-heap.ts";
import { type Wait, WaitQueues, type Waits } from "./wait-queue.ts";
import { inWords } from "./wording.ts";

/** What an item costs beside its key and its value, measured: entry, two string headers, its places in map and heap. */
const entryOverheadBytes = 190;

/** A key and its value; its own node in the heap. Eight fields, inherited ones included, fit 80 bytes; a ninth makes it 112. */
class Entry extends Expiring {
  readonly key: string;
  /** Place in the order of first setting, which `list` walks by. */
  readonly sequence: number;
  readonly #keyspace: Keyspace;
  value: EncodedValue;
  version = 0;

  constructor(keyspace: Keyspace, sequence: number, request: SetRequest) {
    super();
    this.#keyspace = keyspace;
    this.key = request.key;
    this.sequence = sequence;
    this.value = request.value;
  }

  override expire(): void {
    this.#keyspace.expired(this);
  }
}

export class Keyspace {
  readonly #expiries: ExpiryHeap;
  readonly #limits: Limits;
  readonly #entries = new Map<string, Entry>();
  /** Keys that expired, with the instant they are forgotten; soonest first. */
  readonly #remembered = new Map<string, number>();
  /** Keys of the few values their clients have compressed: a flag in each entry would cost every entry its place in memory. */
  readonly #compressed = new Set<string>();
  readonly #waiting: WaitQueues<undefined, StoredValue>;
  #version = 0;
  #sequence = 0;
  #storeBytes = 0;
  #expiredCount = 0;

  constructor(options: { expiries: ExpiryHeap; limits: Limits; waits: Waits }) {
    this.#expiries = options.expiries;
    this.#limits = options.limits;
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
  get(key: string, waiting: Waiting, nowMs: number): Awaitable<StoredValue> {
    const stored = this.find(key, nowMs);
    if (stored !== undefined) return stored;
    if (waiting.waitMs === 0) throw this.#missing(key, nowMs);
    return this.#waiting.enqueue({ name: key, request: undefined, waiting, nowMs }).answer;
  }

  /** Stores and wakes all who wait for the key. */
  set(request: SetRequest, nowMs: number): { readonly version: number } {
    const present = this.#entries.get(request.key);
    refuseUnlessWanted(request, present);
    const entry = present ?? this.#add(request);
    this.#write(entry, request, nowMs);
    if (this.#waiting.first(request.key) !== undefined)
      this.#waiting.settleAll(request.key, this.#stored(entry, nowMs));
    return { version: entry.version };
  }

  del(key: string, version: number | undefined): { readonly deleted: boolean } {
    const entry = this.#entries.get(key);
    if (entry === undefined) return { deleted: false };
    if (version !== undefined && version !== entry.version) throw wrongVersion("delete", version, entry);
    this.#expiries.remove(entry);
    this.#drop(entry);
    return { deleted: true };
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
    const { expiredRememberedMs, expiredRememberedMax } = this.#limits;
    this.#drop(entry);
    this.#expiredCount += 1;
    this.#remembered.delete(entry.key);
    this.#remembered.set(entry.key, entry.expiresAtMs + expiredRememberedMs);
    for (const [key, forgetAtMs] of this.#remembered) {
      if (this.#remembered.size <= expiredRememberedMax && forgetAtMs > entry.expiresAtMs) break;
      this.#remembered.delete(key);
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#remembered.clear();
    this.#compressed.clear();
    this.#storeBytes = 0;
  }

  #add(request: SetRequest): Entry {
    if (this.#entries.size >= this.#limits.itemsMax) {
      const actual = `${this.#entries.size} keys are stored, limit is ${this.#limits.itemsMax}`;
      throw new EphemeralError("max_items", `Cannot set key ${JSON.stringify(request.key)}: ${actual}`);
    }
    const entry = new Entry(this, this.#sequence++, request);
    this.#entries.set(request.key, entry);
    this.#remembered.delete(request.key);
    this.#storeBytes += Buffer.byteLength(entry.key) + sizeOf(entry.value) + entryOverheadBytes;
    return entry;
  }

  #write(entry: Entry, { value, compressed, ttlMs }: SetRequest, nowMs: number): void {
    this.#storeBytes += sizeOf(value) - sizeOf(entry.value);
    this.#version += 1;
    entry.version = this.#version;
    entry.value = value;
    if (compressed) this.#compressed.add(entry.key);
    else this.#compressed.delete(entry.key);
    this.#expiries.set(entry, ttlMs === undefined ? Number.POSITIVE_INFINITY : nowMs + ttlMs);
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#compressed.delete(entry.key);
    this.#storeBytes -= Buffer.byteLength(entry.key) + sizeOf(entry.value) + entryOverheadBytes;
  }

  #stored({ key, value, version, expiresAtMs }: Entry, nowMs: number): StoredValue {
    const ttlMs = expiresAtMs === Number.POSITIVE_INFINITY ? undefined : expiresAtMs - nowMs;
    return { value, version, compressed: this.#compressed.has(key), ttlMs };
  }

  /** Tells an expired key from one that was never there, for as long as that is remembered. */
  #missing(key: string, nowMs: number): EphemeralError {
    const forgetAtMs = this.#remembered.get(key);
    const name = JSON.stringify(key);
    if (forgetAtMs === undefined || forgetAtMs <= nowMs) {
      return new EphemeralError("not_found", `Cannot get key ${name}: nothing is stored under it`);
    }
    const ago = inWords(nowMs - (forgetAtMs - this.#limits.expiredRememberedMs));
    return new EphemeralError("expired", `Cannot get key ${name}: its time to live ended ${ago} ago`);
  }
}

function listedAs(entry: Entry): ListedItem {
  const item = { hasValue: true, version: entry.version };
  return entry.expiresAtMs === Number.POSITIVE_INFINITY ? item : { expires: entry.expiresAtMs, ...item };
}

function refuseUnlessWanted(request: SetRequest, entry: Entry | undefined): void {
  const name = JSON.stringify(request.key);
  if (request.if === "absent" && entry !== undefined) {
    const actual = `wanted absent, it stands at version ${entry.version}`;
    throw new EphemeralError("exists", `Cannot set key ${name}: ${actual}`, { details: { version: entry.version } });
  }
  if (entry === undefined && (request.if === "present" || request.version !== undefined)) {
    throw new EphemeralError("not_found", `Cannot set key ${name}: wanted present, nothing is stored under it`);
  }
  if (entry !== undefined && request.version !== undefined && request.version !== entry.version) {
    throw wrongVersion("set", request.version, entry);
  }
}

function wrongVersion(action: string, wanted: number, entry: Entry): EphemeralError {
  const actual = `wanted version ${wanted}, it stands at ${entry.version}`;
  return new EphemeralError("version_mismatch", `Cannot ${action} key ${JSON.stringify(entry.key)}: ${actual}`, {
    details: { version: entry.version },
  });
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
