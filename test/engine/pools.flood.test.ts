/**
 * A hundred thousand acquisitions of 32 sessions that take, wait, give back, give up and die at random. After every step:
 * no item has two holders that do not share it, nobody got what an earlier waiter could use, and nobody waits for what is
 * free. EPHEMERAL_TEST_STEPS sets how many acquisitions there are, EPHEMERAL_TEST_SEED which.
 */
import { expect, test } from "bun:test";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import type { Acquired } from "../../src/engine/pooling.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import type { PoolMode, PoolWant } from "../../src/protocol/pools.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { announceSeed, Random } from "../support/random.ts";
import { isThorough } from "../support/thorough.ts";
import { cancelled } from "./contract/actor.ts";
import { definition } from "./contract/pool-actor.ts";

const acquisitions = Number(process.env.EPHEMERAL_TEST_STEPS ?? (isThorough ? 100_000 : 25_000));
const accounts = ["ann a", "ben a", "cat b", "dan b", "eve a b", "fay"];
const sizes = { seats: 3, db: 1, x: 1, y: 1 };

interface Request {
  readonly arrival: number;
  readonly session: string;
  readonly wants: readonly PoolWant[];
  readonly cancel: () => boolean;
}

interface Held {
  readonly request: Request;
  readonly grant: Acquired;
  readonly endsAtMs: number;
  readonly modes: ReadonlyMap<string, PoolMode>;
}

/** Everything the test knows of its own: who asked, who waits, who holds which item. */
class World {
  readonly clock = new ManualClock();
  readonly engine = new MemoryEngine({ clock: this.clock, limits: defaultLimits });
  readonly random = new Random();
  readonly waiting = new Map<Request, Promise<void>>();
  readonly held = new Map<string, Held>();
  /** Holders of each item, `pool/slot`. */
  readonly holders = new Map<string, Set<Held>>();
  readonly sessions = Array.from({ length: 32 }, (_, index) => `s${index}`);
  readonly quarantined = new Set<number>();
  granted = 0;
  deaths = 0;
  #fresh: Held[] = [];
  #arrival = 0;
  #lastFence = 0;

  constructor() {
    this.engine.definePool({ pool: "accounts", items: accounts.map(definition) });
  }

  async step(): Promise<void> {
    const dice = this.random.integer(100);
    if (dice < 46) this.#acquire();
    else if (dice < 88) this.#release();
    else if (dice < 92) this.#cancel();
    else if (dice < 94) this.#kill();
    else if (dice < 96) this.#quarantine();
    else if (dice < 98) this.#repair();
    else this.#pass();
    await null;
    await null;
    this.#check();
  }

  /** Ends everything, and shows that every item can be had. */
  async end(): Promise<void> {
    for (const id of this.sessions) this.engine.endSession({ id, label: undefined });
    await Promise.all(this.waiting.values());
    this.engine.addToPool({
      pool: "accounts",
      items: [...this.quarantined].map((slot) => definition(accounts[slot] ?? "")),
    });
    const wants: PoolWant[] = [{ pool: "accounts", count: 6, match: [], mode: "exclusive", size: undefined }];
    for (const [pool, size] of Object.entries(sizes))
      wants.push({ pool, count: size, match: [], mode: "exclusive", size });
    const request = { wants, ttlMs: undefined, prefersLast: false, owner: undefined };
    const all = this.engine.acquire(request, { caller: { id: "last", label: undefined }, waitMs: 0, handle: {} });
    expect(all).toMatchObject({ items: { length: 12 } });
    this.engine.endSession({ id: "last", label: undefined });
    expect(this.engine.stats()).toMatchObject({ grants: 0, waits: 0 });
  }

  #acquire(): void {
    const { random } = this;
    const session = random.pick(this.sessions);
    const wants = this.#wants();
    const ttlMs = random.integer(10) === 0 ? 1 + random.integer(50) : undefined;
    const handle: { cancel?: ((reason: ReturnType<typeof cancelled>) => boolean) | undefined } = {};
    const request: Request = {
      arrival: this.#arrival++,
      session,
      wants,
      cancel: () => handle.cancel?.(cancelled()) ?? false,
    };
    const waitMs = this.waiting.size < 60 ? -1 : 0;
    const waiting = { caller: { id: session, label: undefined }, waitMs, handle };
    const took = (grant: Acquired): void => this.#took(request, grant, ttlMs);
    try {
      const answer = this.engine.acquire(
        { wants, ttlMs, prefersLast: random.integer(4) === 0, owner: undefined },
        waiting,
      );
      if (answer instanceof Promise) {
        const over = answer.then(took, () => {}).then(() => void this.waiting.delete(request));
        this.waiting.set(request, over);
      } else took(answer);
    } catch (error) {
      expect(error).toMatchObject({ code: "pool_exhausted" });
    }
  }

  #wants(): readonly PoolWant[] {
    const { random } = this;
    const one = (): PoolWant => {
      const mode = random.pick<PoolMode>(["exclusive", "exclusive", "shared"]);
      if (random.integer(2) === 0) {
        return {
          pool: "accounts",
          count: 1 + random.integer(2),
          match: random.pick([[], ["a"], ["b"]]),
          mode,
          size: undefined,
        };
      }
      const pool = random.pick(["seats", "db", "db", "x", "y"] as const);
      return { pool, count: 1, match: [], mode, size: sizes[pool] };
    };
    const [first, second] = [one(), one()];
    return random.integer(4) === 0 && second.pool !== first.pool ? [first, second] : [first];
  }

  #took(request: Request, grant: Acquired, ttlMs: number | undefined): void {
    const modes = new Map(request.wants.map(({ pool, mode }) => [pool, mode]));
    // A grant that waited was given at this instant, too: nothing passes between.
    const endsAtMs = ttlMs === undefined ? Number.POSITIVE_INFINITY : this.clock.nowMs() + ttlMs;
    const held: Held = { request, grant, endsAtMs, modes };
    this.held.set(grant.id, held);
    this.#fresh.push(held);
    this.granted++;
  }

  #release(): void {
    const held = this.random.integer(3) === 0 ? [...this.held.values()].at(-1) : this.held.values().next().value;
    if (held === undefined) return;
    this.#drop(held);
    expect(this.engine.releaseGrant(held.grant.id, { id: held.request.session, label: undefined })).toEqual({
      released: true,
    });
  }

  #cancel(): void {
    const [request] = this.waiting.keys();
    if (request !== undefined) expect(request.cancel()).toBe(true);
  }

  #kill(): void {
    const index = this.random.integer(this.sessions.length);
    const id = this.sessions[index] ?? "";
    this.engine.endSession({ id, label: undefined });
    for (const held of [...this.held.values()]) if (held.request.session === id) this.#drop(held);
    this.sessions[index] = `s${++this.deaths + 32}`;
  }

  #quarantine(): void {
    const held = [...this.held.values()].find(({ grant }) => grant.items.some(({ pool }) => pool === "accounts"));
    if (held === undefined || this.quarantined.size > 2) return;
    for (const { pool, slot } of held.grant.items) if (pool === "accounts") this.quarantined.add(slot);
    this.#drop(held);
    this.engine.quarantineGrant(
      { grant: held.grant.id, reason: "broken" },
      { id: held.request.session, label: undefined },
    );
  }

  #repair(): void {
    const [slot] = this.quarantined;
    if (slot === undefined) return;
    this.quarantined.delete(slot);
    expect(this.engine.addToPool({ pool: "accounts", items: [definition(accounts[slot] ?? "")] })).toEqual({ size: 6 });
  }

  #pass(): void {
    const untilMs = this.clock.nowMs() + 1 + this.random.integer(20);
    const soonest = Math.min(untilMs, ...[...this.held.values()].map(({ endsAtMs }) => endsAtMs));
    for (const held of [...this.held.values()]) if (held.endsAtMs <= soonest) this.#drop(held);
    this.clock.advance(soonest - this.clock.nowMs());
  }

  #drop(held: Held): void {
    this.held.delete(held.grant.id);
    for (const item of itemsOf(held)) this.holders.get(item)?.delete(held);
  }

  #check(): void {
    const fresh = this.#fresh.sort((a, b) => a.grant.fence - b.grant.fence);
    this.#fresh = [];
    for (const held of fresh) {
      if (held.grant.fence <= this.#lastFence) throw new Error(`fence ${held.grant.fence} does not grow`);
      this.#lastFence = held.grant.fence;
      for (const item of itemsOf(held)) this.#hold(item, held);
      this.#requireTurn(held);
    }
    const [first] = this.waiting.keys();
    if (first?.wants.every((want) => this.#isThere(want))) {
      throw new Error(`request ${first.arrival} waits though all it wants is free: ${JSON.stringify(first.wants)}`);
    }
  }

  #hold(item: string, held: Held): void {
    const holders = this.holders.get(item) ?? new Set();
    this.holders.set(item, holders);
    const isShared = [held, ...holders].every((one) => modeOf(one, item) === "shared");
    if (holders.size > 0 && !isShared) throw new Error(`${item} has two holders`);
    holders.add(held);
  }

  /** Nobody who came earlier and waits still could use what was given. */
  #requireTurn({ request, grant, modes }: Held): void {
    for (const other of this.waiting.keys()) {
      if (other.arrival >= request.arrival) continue;
      for (const { pool, match, mode } of other.wants) {
        if (mode === "shared" && modes.get(pool) === "shared") continue;
        const taken = grant.items.find(
          (item) => item.pool === pool && match.every((tag) => tagsOf(pool, item.slot).includes(tag)),
        );
        if (taken)
          throw new Error(`request ${request.arrival} got ${pool}/${taken.slot} before request ${other.arrival}`);
      }
    }
  }

  #isThere({ pool, count, match, mode, size }: PoolWant): boolean {
    const slots = Array.from({ length: size ?? accounts.length }, (_, slot) => slot);
    const open = slots.filter((slot) => {
      if (!match.every((tag) => tagsOf(pool, slot).includes(tag))) return false;
      if (pool === "accounts" && this.quarantined.has(slot)) return false;
      const holders = [...(this.holders.get(`${pool}/${slot}`) ?? [])];
      return holders.length === 0 || (mode === "shared" && holders.every((one) => one.modes.get(pool) === "shared"));
    });
    return open.length >= count;
  }
}

function itemsOf({ grant }: Held): readonly string[] {
  return grant.items.map(({ pool, slot }) => `${pool}/${slot}`);
}

function modeOf({ modes }: Held, item: string): PoolMode | undefined {
  return modes.get(item.split("/")[0] ?? "");
}

function tagsOf(pool: string, slot: number): readonly string[] {
  return pool === "accounts" ? (accounts[slot]?.split(" ").slice(1) ?? []) : [];
}

test(
  `${acquisitions} acquisitions: no item has two holders, none is lost, nobody is overtaken`,
  async () => {
    announceSeed("pools.flood");
    const world = new World();
    let steps = 0;
    for (; world.granted < acquisitions; steps++) await world.step();
    await world.end();
    console.log(`pools.flood: ${world.granted} acquisitions in ${steps} steps, ${world.deaths} sessions died`);
    expect(world.deaths).toBeGreaterThan(acquisitions / 100);
  },
  20_000 + acquisitions / 10,
);
