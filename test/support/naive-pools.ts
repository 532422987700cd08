/**
 * The rules of pools again, as plainly as they can be written: lists, linear searches, every waiter looked at again after
 * every change. The model test runs programs against it and the real engine. A command answers with an error code or an
 * object, or with undefined when it waits: then `outcomes` has its answer, under the command's number, once it is there.
 */
import type { PoolWant } from "../../src/protocol/pools.ts";
import { definition as parsed } from "../engine/contract/pool-actor.ts";
import type { ManualClock } from "./manual-clock.ts";
import { findCircle } from "./naive-deadlocks.ts";
import { type Chosen, chooseNaively, conflicts, hasAll, type Item, isOpen, type Pool } from "./naive-pool-items.ts";

export type Outcome = string | object;

export interface Grant {
  readonly id: string;
  readonly fence: number;
  readonly session: string;
  readonly owner: string | undefined;
  readonly sinceAtMs: number;
  readonly items: readonly { readonly pool: Pool; readonly item: Item }[];
  endsAtMs: number;
  order: number;
}

export interface Wait {
  readonly command: number;
  readonly session: string;
  readonly owner: string | undefined;
  readonly wants: readonly PoolWant[];
  readonly ttlMs: number | undefined;
  readonly prefersLast: boolean;
  readonly sinceAtMs: number;
  readonly endsAtMs: number;
  readonly order: number;
}

export interface NaiveLimits {
  readonly namesMax: number;
  readonly poolItemsMax: number;
  readonly waitsMax: number;
  readonly waitsPerSessionMax: number;
}

export class NaivePools {
  readonly outcomes = new Map<number, Outcome>();
  pools: Pool[] = [];
  grants: Grant[] = [];
  waits: Wait[] = [];
  grantsExpired = 0;
  granted = 0;
  readonly #clock: ManualClock;
  readonly #limits: NaiveLimits;
  /** What the real engine gave where more than one choice is right. */
  readonly #slotsGiven: (session: string, fence: number) => readonly string[] | undefined;
  readonly #last = new Map<string, number>();
  #order = 0;
  #fence: number;

  constructor(options: {
    clock: ManualClock;
    limits: NaiveLimits;
    slotsGiven: (session: string, fence: number) => readonly string[] | undefined;
  }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#slotsGiven = options.slotsGiven;
    this.#fence = this.#nowMs * 1000;
  }

  get #nowMs(): number {
    return this.#clock.nowMs();
  }

  nextEndingAtMs(): number | undefined {
    return this.#nextEnding()?.endsAtMs;
  }

  sweep(): void {
    for (let next = this.#nextEnding(); next && next.endsAtMs <= this.#nowMs; next = this.#nextEnding()) {
      if ("command" in next) this.#finish(next, "timeout");
      else {
        this.grantsExpired++;
        this.#free([next]);
      }
    }
  }

  define(name: string, items: readonly string[]): Outcome {
    this.sweep();
    const pool = this.#pool(name);
    if (pool?.kind === "made") return "size_mismatch";
    if (pool?.definition === items.join()) return { size: sizeOf(pool) };
    if (items.length > sizeOf(pool) && this.#itemsCount() - sizeOf(pool) + items.length > this.#limits.poolItemsMax) {
      return "max_items";
    }
    if (!pool && this.pools.length >= this.#limits.namesMax) return "too_many_names";
    const changed = pool ?? this.#open(name);
    const staying = [...changed.items];
    const added: string[] = [];
    for (const wanted of items) {
      const index = staying.findIndex((item) => item.text === wanted);
      const [item] = index < 0 ? [] : staying.splice(index, 1);
      if (item) item.isLeaving = false;
      else added.push(wanted);
    }
    for (const item of staying) this.#takeOut(changed, item);
    for (const wanted of added) this.#putIn(changed, wanted);
    changed.kind = "defined";
    changed.definition = items.join();
    return this.#changed(changed);
  }

  add(name: string, items: readonly string[]): Outcome {
    this.sweep();
    const pool = this.#pool(name);
    if (pool?.kind === "made") return "size_mismatch";
    if (pool?.kind !== "defined") return "unknown_pool";
    const out = pool.items.filter((item) => item.isLeaving || item.isQuarantined);
    const chosen = items.map((text) => {
      const index = out.findIndex((item) => item.value === parsed(text).value);
      return { text, item: index < 0 ? undefined : out.splice(index, 1)[0] };
    });
    const growth = chosen.filter(({ item }) => !item || item.isLeaving).length;
    if (growth > 0 && this.#itemsCount() + growth > this.#limits.poolItemsMax) return "max_items";
    for (const { text, item } of chosen) {
      if (!item) this.#putIn(pool, text);
      else Object.assign(item, { text, tags: parsed(text).tags, isLeaving: false, isQuarantined: false });
    }
    return this.#changed(pool);
  }

  remove(name: string, slots: readonly number[] | undefined): Outcome {
    this.sweep();
    const pool = this.#pool(name);
    if (pool?.kind === "made") return "size_mismatch";
    if (pool?.kind !== "defined") return "unknown_pool";
    const chosen = slots?.map((slot) => pool.items.find((item) => item.slot === slot && !item.isLeaving)) ?? pool.items;
    if (chosen.includes(undefined)) return "not_found";
    for (const item of [...chosen]) if (item) this.#takeOut(pool, item);
    if (slots === undefined) Object.assign(pool, { kind: "awaited", definition: undefined });
    return this.#changed(pool);
  }

  acquire(asked: Omit<Wait, "sinceAtMs" | "endsAtMs" | "order"> & { waitMs: number }): Outcome | undefined {
    this.sweep();
    const refused =
      this.#openAll(asked.wants) ?? (asked.wants.some((w) => this.#isImpossible(asked.wants, w)) && "size_mismatch");
    if (refused) return this.#refuse(refused);
    const endsAtMs = asked.waitMs > 0 ? this.#nowMs + asked.waitMs : Number.POSITIVE_INFINITY;
    const wait: Wait = { ...asked, sinceAtMs: this.#nowMs, endsAtMs, order: this.#order++ };
    const chosen = this.#choose(wait, this.waits);
    if (chosen) return this.#hasRoom() ? this.#grant(wait, chosen) : this.#refuse("too_many_names");
    if (asked.waitMs === 0) {
      const isUnknown = asked.wants.some(({ pool }) => this.#pool(pool)?.kind === "awaited");
      return this.#refuse(isUnknown ? "unknown_pool" : "pool_exhausted");
    }
    if (findCircle(wait, this)) return this.#refuse("deadlock");
    const own = this.waits.filter(({ session }) => session === asked.session);
    if (own.length >= this.#limits.waitsPerSessionMax || this.waits.length >= this.#limits.waitsMax) {
      return this.#refuse("too_many_commands");
    }
    this.waits.push(wait);
    return undefined;
  }

  renew(session: string, id: string, ttlMs: number): Outcome {
    this.sweep();
    const grant = this.#own(session, id);
    if (!grant) return "not_owner";
    Object.assign(grant, { endsAtMs: this.#nowMs + ttlMs, order: this.#order++ });
    return { expiresAtMs: grant.endsAtMs };
  }

  release(session: string, id: string): Outcome {
    this.sweep();
    const grant = this.#own(session, id);
    if (!grant) return "not_owner";
    this.#free([grant]);
    return { released: true };
  }

  quarantine(session: string, id: string): Outcome {
    this.sweep();
    const grant = this.#own(session, id);
    if (!grant) return "not_owner";
    const defined = grant.items.filter(({ pool }) => pool.kind === "defined");
    if (defined.length === 0) return "bad_command";
    for (const { item } of defined) item.isQuarantined = true;
    this.#free([grant]);
    return {};
  }

  quarantineItem(name: string, slot: number): Outcome {
    this.sweep();
    const pool = this.#pool(name);
    if (pool?.kind === "made") return "size_mismatch";
    if (pool?.kind !== "defined") return "unknown_pool";
    const item = pool.items.find((other) => other.slot === slot && !other.isLeaving);
    if (!item) return "not_found";
    item.isQuarantined = true;
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
    const own = this.waits.filter((wait) => wait.session === session);
    for (const wait of own) this.outcomes.set(wait.command, "cancelled");
    this.waits = this.waits.filter((wait) => wait.session !== session);
    this.#free(this.grants.filter((grant) => grant.session === session));
    for (const key of [...this.#last.keys()]) if (key.startsWith(`${session} `)) this.#last.delete(key);
  }

  /** The items a waiter may have, were it not for others: those that are there, by tags. */
  itemsFor({ pool: name, match }: PoolWant): readonly Item[] {
    const pool = this.#pool(name);
    return pool?.items.filter((item) => !item.isLeaving && hasAll(item.tags, match)) ?? [];
  }

  #choose(wait: Wait, earlier: readonly Wait[]): Chosen | undefined {
    const isKept = (want: PoolWant, item: Item): boolean =>
      earlier.some((other) =>
        other.wants.some((theirs) => conflicts(theirs, want) && this.itemsFor(theirs).includes(item)),
      );
    return chooseNaively(wait.wants, (want) => {
      const items = this.itemsFor(want).filter((item) => isOpen(item, want.mode) && !isKept(want, item));
      const last = wait.prefersLast ? this.#last.get(`${wait.session} ${want.pool}`) : undefined;
      return items.sort((a, b) => Number(b.slot === last) - Number(a.slot === last) || a.slot - b.slot);
    });
  }

  #grant(wait: Wait, chosen: Chosen): object {
    const fence = ++this.#fence;
    const given = this.#slotsGiven(wait.session, fence);
    const items = chosen(given);
    const sinceAtMs = this.#nowMs;
    const endsAtMs = wait.ttlMs === undefined ? Number.POSITIVE_INFINITY : sinceAtMs + wait.ttlMs;
    const order = this.#order++;
    const taken = items.map(({ item, want }) => ({ item, pool: this.#pool(want.pool) as Pool }));
    const about = { session: wait.session, owner: wait.owner, sinceAtMs, endsAtMs, order };
    const grant: Grant = { id: `g${fence}`, fence, ...about, items: taken };
    for (const { item, want } of items) {
      item.holders.push({ grant, mode: want.mode });
      if (wait.prefersLast) this.#last.set(`${wait.session} ${want.pool}`, item.slot);
    }
    this.grants.push(grant);
    this.granted++;
    return { id: grant.id, fence, items: slotsOf(grant), expiresAtMs: wait.ttlMs === undefined ? undefined : endsAtMs };
  }

  #free(grants: readonly Grant[]): void {
    this.grants = this.grants.filter((grant) => !grants.includes(grant));
    for (const grant of grants) {
      for (const { pool, item } of grant.items) {
        item.holders = item.holders.filter((holder) => holder.grant !== grant);
        if (item.isLeaving && item.holders.length === 0) pool.items = pool.items.filter((other) => other !== item);
      }
    }
    this.#handOn();
  }

  #finish(wait: Wait, outcome: Outcome): void {
    this.waits = this.waits.filter((other) => other !== wait);
    this.outcomes.set(wait.command, outcome);
    this.#handOn();
  }

  #handOn(): void {
    for (const [index, wait] of this.waits.entries()) {
      const chosen = this.#choose(wait, this.waits.slice(0, index));
      if (!chosen) continue;
      this.waits = this.waits.filter((other) => other !== wait);
      this.outcomes.set(wait.command, this.#hasRoom() ? this.#grant(wait, chosen) : "too_many_names");
      this.#handOn();
      return;
    }
    this.#dropIdle();
  }

  #changed(pool: Pool): Outcome {
    for (const wait of this.waits.filter(({ wants }) => wants.some((want) => want.pool === pool.name))) {
      if (!wait.wants.some((want) => this.#isImpossible(wait.wants, want))) continue;
      this.waits = this.waits.filter((other) => other !== wait);
      this.outcomes.set(wait.command, "size_mismatch");
    }
    this.#handOn();
    return { size: sizeOf(pool) };
  }

  /** Opens or makes what is wanted; the code of the refusal when that cannot be. */
  #openAll(wants: readonly PoolWant[]): string | undefined {
    const opened: Pool[] = [];
    for (const { pool: name, size, count, match } of wants) {
      if (!this.#pool(name) && this.pools.length >= this.#limits.namesMax) return "too_many_names";
      const pool = this.#pool(name) ?? this.#open(name);
      opened.push(pool);
      if (size === undefined) continue;
      if (pool.kind !== "awaited" && sizeOf(pool) !== size) return "size_mismatch";
      if (pool.kind !== "awaited") continue;
      if (pool.items.length > 0 || count > size || match.length > 0) return "size_mismatch";
      pool.kind = "made";
      for (let slot = 0; slot < size; slot++) this.#putIn(pool, `${slot}`);
      this.#changed(pool);
      for (const kept of opened) if (!this.pools.includes(kept)) this.pools.push(kept);
    }
    return undefined;
  }

  #isImpossible(wants: readonly PoolWant[], want: PoolWant): boolean {
    const pool = this.#pool(want.pool);
    if (!pool || sizeOf(pool) === 0) return false;
    const ofPool = wants.filter((other) => other.pool === want.pool);
    return chooseNaively(ofPool, (other) => this.itemsFor(other)) === undefined;
  }

  #refuse(code: string): string {
    this.#dropIdle();
    return code;
  }

  #dropIdle(): void {
    const isUsed = ({ name, kind, items }: Pool): boolean =>
      kind === "defined" ||
      items.some((item) => item.holders.length > 0) ||
      this.waits.some(({ wants }) => wants.some(({ pool }) => pool === name));
    this.pools = this.pools.filter(isUsed);
  }

  #open(name: string): Pool {
    const pool: Pool = { name, kind: "awaited", items: [], definition: undefined };
    this.pools.push(pool);
    return pool;
  }

  #putIn(pool: Pool, text: string): void {
    let slot = 0;
    while (pool.items.some((item) => item.slot === slot)) slot++;
    pool.items.push({ slot, text, ...parsed(text), holders: [], isQuarantined: false, isLeaving: false });
    pool.items.sort((a, b) => a.slot - b.slot);
  }

  #takeOut(pool: Pool, item: Item): void {
    item.isLeaving = true;
    if (item.holders.length === 0) pool.items = pool.items.filter((other) => other !== item);
  }

  #pool(name: string): Pool | undefined {
    return this.pools.find((pool) => pool.name === name);
  }

  #own(session: string, id: string): Grant | undefined {
    return this.grants.find((grant) => grant.id === id && grant.session === session);
  }

  #itemsCount(): number {
    return this.pools.filter(({ kind }) => kind === "defined").reduce((sum, pool) => sum + sizeOf(pool), 0);
  }

  #hasRoom(): boolean {
    return this.grants.reduce((sum, { items }) => sum + items.length, 0) < this.#limits.namesMax;
  }

  #nextEnding(): Grant | Wait | undefined {
    const endings = [...this.grants, ...this.waits].filter(({ endsAtMs }) => endsAtMs < Number.POSITIVE_INFINITY);
    return endings.sort((a, b) => a.endsAtMs - b.endsAtMs || a.order - b.order)[0];
  }
}

export function slotsOf({ items }: Grant): readonly string[] {
  return items.map(({ pool, item }) => `${pool.name}/${item.slot}`);
}

function sizeOf(pool: Pool | undefined): number {
  return pool?.items.filter((item) => !item.isLeaving).length ?? 0;
}
