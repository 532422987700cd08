/**
 * The engine's rules again, as plainly as they can be written: lists, linear searches, no index and no heap. The model test
 * runs programs against it and the real one. A command answers with an error code or an object, or with undefined when it
 * waits: then `outcomes` has its answer, under the command's number, once it is there.
 */
import type { Limits } from "../../src/protocol/limits.ts";
import type { ManualClock } from "./manual-clock.ts";
import type { Asking, Ending, Failure, Item, Lease, LeaseStep, Outcome, Turn, Wait } from "./naive-state.ts";

export class NaiveEngine {
  readonly outcomes = new Map<number, Outcome>();
  /** What became of keys, as `set k 1`. */
  readonly events: string[] = [];
  items: Item[] = [];
  leases: Lease[] = [];
  turns: Turn[] = [];
  waits: Wait[] = [];
  itemsExpired = 0;
  leasesExpired = 0;
  #failures: Failure[] = [];
  #ownedInOrder: Item[] = [];
  #expired: { readonly key: string; readonly forgetAtMs: number }[] = [];
  readonly #sizes = new Map<string, number>();
  readonly #clock: ManualClock;
  readonly #limits: Limits;
  #order = 0;
  #version = 0;
  #fence: number;

  constructor(clock: ManualClock, limits: Limits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#fence = clock.nowMs() * 1000;
  }

  get #nowMs(): number {
    return this.#clock.nowMs();
  }

  /** The instant of the next ending, for a clock that stops at each. */
  nextEndingAtMs(): number | undefined {
    return this.#nextEnding()?.endsAtMs;
  }

  sweep(): void {
    for (let next = this.#nextEnding(); next && next.endsAtMs <= this.#nowMs; next = this.#nextEnding()) {
      if ("command" in next) this.#finish(next as Wait, "timeout");
      else if ("worker" in next) this.#leaseExpires(next as Lease);
      else if ("version" in next) this.#itemExpires(next as Item);
      else this.#failures = this.#failures.filter((failure) => failure !== next);
    }
  }

  set(request: {
    key: string;
    value: string;
    ttlMs: number;
    if?: string | undefined;
    owner?: string | undefined;
  }): Outcome {
    this.sweep();
    const item = this.items.find(({ key }) => key === request.key);
    if (request.if === "absent" && item) return "exists";
    if (request.if === "present" && !item) return "not_found";
    if (!item && this.items.length >= this.#limits.itemsMax) return "max_items";
    this.#store(request);
    return { version: this.#version };
  }

  get({ key, refresh }: { key: string; refresh: boolean }, asking: Asking): Outcome | undefined {
    this.sweep();
    const item = this.items.find((other) => other.key === key);
    if (item && refresh) Object.assign(item, this.#endingIn(item.ttlMs));
    if (item) return this.#stored(item);
    if (asking.waitMs === 0) return this.#missing(key);
    return this.#wait("get", key, asking);
  }

  touch(key: string, ttlMs: number): Outcome {
    this.sweep();
    const item = this.items.find((other) => other.key === key);
    if (!item) return this.#missing(key);
    Object.assign(item, { ttlMs, ...this.#endingIn(ttlMs) });
    return { expiresAtMs: item.endsAtMs };
  }

  incr({ key, by, ttlMs }: { key: string; by: number; ttlMs: number | undefined }): Outcome {
    this.sweep();
    const item = this.items.find((other) => other.key === key);
    const value = Number(item?.value ?? 0) + by;
    if (Number.isNaN(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER) return "not_a_number";
    if (!item && ttlMs === undefined) return "ttl_required";
    if (!item && this.items.length >= this.#limits.itemsMax) return "max_items";
    this.#store({ key, value: `${value}`, ttlMs, owner: item?.owner });
    return { value, version: this.#version };
  }

  del(key: string): Outcome {
    this.sweep();
    const item = this.items.find((other) => other.key === key);
    if (item) this.#delete(item);
    return { deleted: item !== undefined };
  }

  lease(request: LeaseStep, asking: Asking): Outcome | undefined {
    this.sweep();
    const { key, worker } = request;
    const size = this.#sizes.get(key);
    const holders = this.leases.filter((lease) => lease.key === key);
    const held = holders.find((lease) => lease.worker === worker);
    if (size !== undefined && request.size !== undefined && size !== request.size) {
      return "size_mismatch";
    }
    if (held) return this.#renewOrRefuse(held, request, asking.session);
    if (holders.length > 0 && holders.length >= (size ?? request.size ?? Number.POSITIVE_INFINITY)) {
      if (asking.waitMs === 0 || request.size === undefined) return "pool_exhausted";
      const refusal = this.#wait("lease", key, asking, request);
      if (refusal === undefined) this.#sizes.set(key, request.size);
      return refusal;
    }
    const names = new Set(this.leases.map((lease) => lease.key)).size + this.turns.length + this.#failures.length;
    const hasRoom = (holders.length > 0 || names < this.#limits.namesMax) && this.leases.length < this.#limits.namesMax;
    if (!hasRoom) return "too_many_names";
    return this.#grant(request, asking.session);
  }

  release(request: { session: string; worker: string; key: string | undefined }): Outcome {
    this.sweep();
    const { session, worker, key } = request;
    const chosen = this.leases.filter((lease) => {
      return lease.worker === worker && (key === undefined || key === "*" || lease.key === key);
    });
    if (key === undefined && chosen.length > 1) return "bad_command";
    if (chosen.some((lease) => lease.scope === "session" && lease.session !== session)) {
      return "not_owner";
    }
    for (const lease of chosen) this.#free(lease);
    return { released: chosen.length > 0 };
  }

  once(key: string, asking: Asking): Outcome | undefined {
    this.sweep();
    const item = this.items.find((other) => other.key === key);
    if (item) return { role: "follower", stored: this.#stored(item) };
    if (this.#failures.some((failure) => failure.key === key)) return "producer_failed";
    if (this.turns.some((turn) => turn.key === key)) {
      if (asking.waitMs === 0) return "timeout";
      return this.#wait("once", key, asking);
    }
    const names = new Set(this.leases.map((lease) => lease.key)).size + this.turns.length + this.#failures.length;
    if (names >= this.#limits.namesMax) return "too_many_names";
    return this.#lead(key, asking.session);
  }

  resolve(request: { key: string; fence: number; value: string; ttlMs: number }): Outcome {
    this.sweep();
    const turn = this.turns.find(({ key, fence }) => key === request.key && fence === request.fence);
    const isNew = this.items.every((item) => item.key !== request.key);
    if (!turn) return "not_owner";
    if (isNew && this.items.length >= this.#limits.itemsMax) return "max_items";
    this.turns = this.turns.filter((other) => other !== turn);
    this.#store(request);
    return { version: this.#version };
  }

  reject({ key, fence, cacheMs, pass }: { key: string; fence: number; cacheMs: number; pass: boolean }): Outcome {
    this.sweep();
    const turn = this.turns.find((other) => other.key === key && other.fence === fence);
    if (!turn) return "not_owner";
    this.turns = this.turns.filter((other) => other !== turn);
    if (pass) {
      this.#leadNext(key);
      return {};
    }
    for (const wait of this.#waitsFor("once", key)) this.#finish(wait, "producer_failed");
    if (cacheMs > 0) this.#failures.push({ key, ...this.#endingIn(cacheMs) });
    return {};
  }

  cancel(command: number): boolean {
    this.sweep();
    const wait = this.waits.find((other) => other.command === command);
    if (wait) this.#finish(wait, "cancelled");
    return wait !== undefined;
  }

  endSession(session: string): void {
    this.sweep();
    for (const wait of this.waits.filter((other) => other.session === session)) this.#finish(wait, "cancelled");
    for (const lease of this.leases.filter((other) => other.session === session)) {
      if (lease.scope === "session") this.#free(lease);
      else lease.isOrphan = true;
    }
    for (const turn of this.turns.filter((other) => other.session === session)) {
      this.turns = this.turns.filter((other) => other !== turn);
      this.#leadNext(turn.key);
    }
    for (const item of this.ownedBy(session)) this.#delete(item);
  }

  #leadNext(key: string): void {
    const [heir] = this.#waitsFor("once", key);
    if (heir) this.#finish(heir, this.#lead(key, heir.session));
  }

  /** The session's keys, in the order they became its. */
  ownedBy(session: string): Item[] {
    return this.#ownedInOrder.filter((item) => item.owner === session);
  }

  #nextEnding(): Ending | undefined {
    const all: Ending[] = [...this.items, ...this.leases, ...this.#failures, ...this.waits];
    return all.sort((a, b) => a.endsAtMs - b.endsAtMs || a.order - b.order)[0];
  }

  #endingIn(ms: number): Ending {
    return { endsAtMs: ms < 0 ? Number.MAX_VALUE : this.#nowMs + ms, order: this.#order++ };
  }

  #finish(wait: Wait, outcome: Outcome): void {
    this.waits = this.waits.filter((other) => other !== wait);
    this.outcomes.set(wait.command, outcome);
  }

  #wait(
    action: Wait["action"],
    key: string,
    { command, session, waitMs }: Asking,
    lease?: LeaseStep,
  ): Outcome | undefined {
    const ofSession = this.waits.filter((wait) => wait.session === session).length;
    if (ofSession >= this.#limits.waitsPerSessionMax || this.waits.length >= this.#limits.waitsMax) {
      return "too_many_commands";
    }
    this.waits.push({ command, action, key, session, sinceAtMs: this.#nowMs, lease, ...this.#endingIn(waitMs) });
    return undefined;
  }

  #waitsFor(action: Wait["action"], key: string): Wait[] {
    return this.waits.filter((wait) => wait.action === action && wait.key === key);
  }

  #missing(key: string): Outcome {
    const isRemembered = this.#expired.some((other) => other.key === key && other.forgetAtMs > this.#nowMs);
    return isRemembered ? "expired" : "not_found";
  }

  #delete(item: Item): void {
    this.#remove(item);
    this.events.push(`del ${item.key} ${item.version}`);
  }

  #remove(item: Item): void {
    this.items = this.items.filter((other) => other !== item);
    this.#ownedInOrder = this.#ownedInOrder.filter((other) => other !== item);
  }

  #stored({ value, version, endsAtMs }: Item): object {
    return { value, version, compressed: false, ttlMs: endsAtMs - this.#nowMs };
  }

  /** Without a ttl an item that is there keeps its deadline. */
  #store(request: { key: string; value: string; ttlMs: number | undefined; owner?: string | undefined }): void {
    const { key, value, ttlMs, owner } = request;
    this.#version += 1;
    const present = this.items.find((other) => other.key === key);
    const item = present ?? { key, value, version: 0, ttlMs: 0, owner: undefined, sinceAtMs: 0, endsAtMs: 0, order: 0 };
    if (!present) this.items.push(item);
    Object.assign(item, { value, version: this.#version });
    if (ttlMs !== undefined) Object.assign(item, { ttlMs, ...this.#endingIn(ttlMs) });
    if (item.owner !== owner) {
      Object.assign(item, { owner, sinceAtMs: this.#nowMs });
      this.#ownedInOrder = [...this.#ownedInOrder.filter((other) => other !== item), item];
    }
    this.events.push(`set ${key} ${this.#version}`);
    this.#expired = this.#expired.filter((other) => other.key !== key);
    this.#failures = this.#failures.filter((failure) => failure.key !== key);
    for (const wait of this.#waitsFor("get", key)) this.#finish(wait, this.#stored(item));
    for (const wait of this.#waitsFor("once", key)) {
      this.#finish(wait, { role: "follower", stored: this.#stored(item) });
    }
  }

  #itemExpires(item: Item): void {
    this.#remove(item);
    this.events.push(`expired ${item.key} ${item.version}`);
    this.itemsExpired += 1;
    const forgetAtMs = item.endsAtMs + this.#limits.expiredRememberedMs;
    const others = this.#expired.filter(({ key }) => key !== item.key);
    this.#expired = [...others, { key: item.key, forgetAtMs }].slice(-this.#limits.expiredRememberedMax);
  }

  #leaseExpires(lease: Lease): void {
    this.leasesExpired += 1;
    this.#free(lease);
  }

  #grant({ key, worker, ttlMs, size, scope = "ttl" }: LeaseStep, session: string): Outcome {
    if (size !== undefined) this.#sizes.set(key, size);
    let value = 0;
    while (this.leases.some((lease) => lease.key === key && lease.value === value)) value += 1;
    const sinceAtMs = this.#nowMs;
    const fence = ++this.#fence;
    const ending = this.#endingIn(ttlMs);
    this.leases.push({ key, worker, value, fence, session, scope, sinceAtMs, isOrphan: false, ...ending });
    return { value, fence, expiresAtMs: ending.endsAtMs };
  }

  #renewOrRefuse(held: Lease, request: LeaseStep, session: string): Outcome {
    if (held.scope === "session" && held.session !== session) return "not_owner";
    if (request.size !== undefined) this.#sizes.set(request.key, request.size);
    if (held.session === session && !held.isOrphan) held.scope = request.scope ?? held.scope;
    Object.assign(held, this.#endingIn(request.ttlMs));
    return { value: held.value, fence: held.fence, expiresAtMs: held.endsAtMs };
  }

  #free(lease: Lease): void {
    const { key } = lease;
    this.leases = this.leases.filter((other) => other !== lease);
    for (let [wait] = this.#waitsFor("lease", key); wait?.lease; [wait] = this.#waitsFor("lease", key)) {
      const heldCount = this.leases.filter((other) => other.key === key).length;
      if (heldCount >= (this.#sizes.get(key) ?? Number.POSITIVE_INFINITY)) break;
      this.#finish(wait, this.#grant(wait.lease, wait.session));
      this.#renewTwins(key, wait.lease.worker);
    }
    if (this.leases.every((other) => other.key !== key)) this.#sizes.delete(key);
  }

  #renewTwins(key: string, worker: string): void {
    const held = this.leases.find((lease) => lease.key === key && lease.worker === worker);
    for (const twin of this.#waitsFor("lease", key)) {
      if (!held || twin.lease?.worker !== worker) continue;
      this.#finish(twin, this.#renewOrRefuse(held, twin.lease, twin.session));
    }
  }

  #lead(key: string, session: string): Outcome {
    const fence = ++this.#fence;
    this.turns.push({ key, session, fence, sinceAtMs: this.#nowMs });
    return { role: "leader", fence };
  }
}
