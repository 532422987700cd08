/**
 * Random programs of 24 sessions that want items of pools, run against the memory engine and against `NaivePools`: every
 * answer, every hold and every wait must agree after every step, and every item must be accounted for. A failure prints its
 * seed; EPHEMERAL_TEST_SEED runs it again and EPHEMERAL_TEST_STEPS sets how many steps there are in all.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Awaitable, WaitHandle } from "../../src/engine/engine.ts";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import type { PoolWant } from "../../src/protocol/pools.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { NaivePools, type Outcome, slotsOf } from "../support/naive-pools.ts";
import { isThorough } from "../support/thorough.ts";
import { answerOf, cancelled } from "./contract/actor.ts";
import { definition, type GrantAnswer } from "./contract/pool-actor.ts";

const stepsPerProgram = 200;
const steps = Number(process.env.EPHEMERAL_TEST_STEPS ?? (isThorough ? 15_000 : 5000));
const seed = Number(process.env.EPHEMERAL_TEST_SEED ?? Date.now() % 2 ** 31);
/** Small, so that programs run into them. */
const limits = {
  ...defaultLimits,
  namesMax: 14,
  poolItemsMax: 8,
  waitsMax: 25,
  waitsPerSessionMax: 4,
};
const sessionIds = Array.from({ length: 24 }, (_, index) => `s${index}`);

const session = fc.constantFrom(...sessionIds);
const nth = fc.nat(6);
const definedPool = fc.constantFrom("p", "q");
const items = fc.array(fc.constantFrom("ann a", "ben b", "cat a b", "dan", "dan", "eve a"), {
  minLength: 1,
  maxLength: 5,
});
const mode = fc.constantFrom("exclusive", "exclusive", "shared");
const definedWant = fc.record({
  pool: definedPool,
  count: fc.constantFrom(1, 1, 1, 1, 1, 2),
  match: fc.constantFrom([], [], [], [], ["a"], ["a"], ["b"], ["a", "b"]),
  mode,
  size: fc.constant(undefined),
});
const madeWant = fc
  .record({
    pool: fc.constantFrom(["k", 1], ["l", 1], ["m", 2], ["m", 2], ["m", 2], ["m", 2], ["m", 3]),
    count: fc.constantFrom(1, 1, 1, 1, 1, 2),
    mode,
    isSized: fc.constantFrom(true, true, true, true, true, false),
  })
  .map(({ pool: [name, size], count, mode, isSized }) => ({
    pool: String(name),
    count,
    match: [] as string[],
    mode,
    size: isSized ? Number(size) : undefined,
  }));
const wants = fc
  .array(fc.oneof({ weight: 3, arbitrary: definedWant }, { weight: 4, arbitrary: madeWant }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((list) => {
    const seen = new Set<string>();
    return list.filter(({ pool, match, mode }) => {
      const isNew = !seen.has(`${pool} ${match} ${mode}`);
      seen.add(`${pool} ${match} ${mode}`);
      return isNew;
    }) as readonly PoolWant[];
  });

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      action: fc.constant("acquire"),
      session,
      wants,
      waitMs: fc.constantFrom(0, -1, -1, -1, 30, 200),
      ttlMs: fc.constantFrom(undefined, undefined, 5, 60),
      prefersLast: fc.boolean(),
      owner: fc.constantFrom(undefined, undefined, "o0", "o1", "o2", "o3", "o4"),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      action: fc.constant("release"),
      nth,
      isStranger: fc.constantFrom(false, false, false, true),
    }),
  },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("renew"), nth, ttlMs: fc.constantFrom(5, 100) }) },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("quarantine"), nth }) },
  {
    weight: 1,
    arbitrary: fc.record({
      action: fc.constant("quarantineItem"),
      pool: fc.constantFrom("p", "p", "p", "q", "q", "k"),
      slot: fc.nat(5),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      action: fc.constantFrom("define", "define", "add"),
      pool: fc.constantFrom("p", "p", "p", "q", "q", "k"),
      items,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      action: fc.constant("remove"),
      pool: definedPool,
      slots: fc.option(fc.array(fc.nat(5), { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ action: fc.constant("cancel"), nth }) },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("end"), session }) },
  {
    weight: 3,
    arbitrary: fc.record({ action: fc.constantFrom("advance", "skip"), ms: fc.constantFrom(1, 5, 30, 100) }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** `toEqual`, which is slow, only to tell a difference: there are a dozen comparisons a step. */
function requireEqual(actual: unknown, expected: unknown): void {
  if (!Bun.deepEquals(actual, expected)) expect(actual).toEqual(expected);
}

/** The two, on one clock, and what the real one has answered. */
class Pair {
  readonly clock = new ManualClock();
  readonly engine = new MemoryEngine({ clock: this.clock, limits });
  readonly outcomes = new Map<number, Outcome>();
  readonly naive = new NaivePools({
    clock: this.clock,
    limits,
    slotsGiven: (session, fence) => this.#slotsHeld(session, fence),
  });
  readonly #cancels: { readonly command: number; readonly cancel: NonNullable<WaitHandle["cancel"]> }[] = [];
  #command = 0;

  constructor() {
    for (const [pool, items] of [
      ["p", ["ann a", "ben b", "cat a b", "dan"]],
      ["q", ["ann a", "dan"]],
    ] as const) {
      this.engine.definePool({ pool, items: items.map(definition) });
      this.naive.define(pool, items);
    }
  }

  apply(step: Step): void {
    const command = this.#command++;
    const { engine, naive } = this;
    if (step.action === "acquire") this.#acquire(step, command);
    else if (step.action === "define") {
      this.#record(
        command,
        () => engine.definePool({ pool: step.pool, items: step.items.map(definition) }),
        () => naive.define(step.pool, step.items),
      );
    } else if (step.action === "add") {
      this.#record(
        command,
        () => engine.addToPool({ pool: step.pool, items: step.items.map(definition) }),
        () => naive.add(step.pool, step.items),
      );
    } else if (step.action === "remove") {
      this.#record(
        command,
        () => engine.removeFromPool(step),
        () => naive.remove(step.pool, step.slots),
      );
    } else if (step.action === "quarantineItem") {
      const { pool, slot } = step;
      this.#record(
        command,
        () => engine.quarantineItem({ pool, slot, reason: "broken" }, { id: "s0", label: undefined }),
        () => naive.quarantineItem(pool, slot),
      );
    } else if (step.action === "cancel") this.#cancel(step.nth);
    else if (step.action === "end") this.end(step.session);
    else if (step.action === "advance") this.advance(step.ms);
    else if (step.action === "skip") this.clock.skip(step.ms);
    else if (step.action === "release" || step.action === "renew" || step.action === "quarantine") {
      this.#endGrant(step, command);
    }
  }

  advance(ms: number): void {
    const untilMs = this.clock.nowMs() + ms;
    for (let atMs = this.naive.nextEndingAtMs(); atMs !== undefined && atMs <= untilMs; ) {
      this.clock.advance(Math.max(atMs - this.clock.nowMs(), 0));
      this.naive.sweep();
      atMs = this.naive.nextEndingAtMs();
    }
    this.clock.advance(untilMs - this.clock.nowMs());
  }

  /** What is overdue happens first, so that the naive one sees which items a session got that ends in the same call. */
  end(id: string): void {
    this.engine.stats();
    this.naive.sweep();
    this.engine.endSession({ id, label: undefined });
    this.naive.endSession(id);
  }

  async compare(): Promise<void> {
    const { engine, naive } = this;
    const { grants, waits, grantsExpired } = engine.stats();
    naive.sweep();
    await new Promise((resolve) => setImmediate(resolve));
    requireEqual(Object.fromEntries(this.outcomes), Object.fromEntries(naive.outcomes));
    this.outcomes.clear();
    naive.outcomes.clear();
    const expected = { grants: naive.grants.length, waits: naive.waits.length, grantsExpired: naive.grantsExpired };
    requireEqual({ grants, waits, grantsExpired }, expected);
    this.#compareSessions();
    for (const name of ["p", "q", "k", "l", "m"]) this.#comparePool(name);
  }

  /** By the real engine's own account: no item has two holders unless all share it, and each is held, free or out. */
  #comparePool(name: string): void {
    const pool = this.naive.pools.find((other) => other.name === name);
    if (pool === undefined) {
      expect(() => this.engine.why({ name, isPoolOnly: true })).toThrow();
      return;
    }
    const why = this.engine.why({ name, isPoolOnly: true });
    const byItem = Map.groupBy(why.holders, ({ item }) => item);
    for (const [, holders] of byItem) {
      if (holders.length > 1) expect(holders.every(({ mode }) => mode === "shared")).toBe(true);
    }
    const circulating = pool.items.filter(({ isLeaving }) => !isLeaving);
    const isFree = ({ holders, isQuarantined }: (typeof circulating)[number]): boolean =>
      holders.length === 0 && !isQuarantined;
    const actual = { size: why.size, free: why.free, held: byItem.size, out: why.quarantinedCount };
    requireEqual(actual, {
      size: circulating.length,
      free: circulating.filter(isFree).length,
      held: pool.items.filter(({ holders }) => holders.length > 0).length,
      out: pool.items.filter(({ isQuarantined }) => isQuarantined).length,
    });
    const waiting = this.naive.waits.filter((wait) => wait.wants.some((want) => want.pool === name));
    const sessions = why.waiters.map((waiter) => waiter.session);
    requireEqual(
      sessions,
      waiting.map((wait) => wait.session),
    );
  }

  #compareSessions(): void {
    const { engine, naive } = this;
    const held = (id: string) =>
      engine.holdsOf(id).map((hold) => (hold.kind === "grant" ? `${hold.id} ${slotsIn(hold.items)}` : "other"));
    const waits = (id: string) => engine.waitsOf(id).map(({ key, sinceAtMs }) => `${key} since ${sinceAtMs}`);
    requireEqual(
      sessionIds.map((id) => [id, held(id), waits(id)]),
      sessionIds.map((id) => {
        const grants = naive.grants.filter((grant) => grant.session === id);
        const own = naive.waits.filter((wait) => wait.session === id);
        const names = own.map(
          ({ wants, sinceAtMs }) => `${[...new Set(wants.map(({ pool }) => pool))].join(", ")} since ${sinceAtMs}`,
        );
        return [id, grants.map((grant) => `${grant.id} ${slotsOf(grant)}`), names];
      }),
    );
  }

  #acquire(step: Extract<Step, { action: "acquire" }>, command: number): void {
    const { session: id, waitMs, ...request } = step;
    const handle: WaitHandle = {};
    const waiting = { caller: { id, label: undefined }, waitMs, handle };
    const ask = () => this.engine.acquire(request, waiting);
    this.#record(command, ask, () => this.naive.acquire({ command, ...request, session: id, waitMs }));
    if (handle.cancel) this.#cancels.push({ command, cancel: handle.cancel });
  }

  /** Of the newest grants first: they are alive. */
  #endGrant(step: Extract<Step, { action: "release" | "renew" | "quarantine" }>, command: number): void {
    const grant = this.naive.grants.at(-1 - step.nth);
    const id = grant?.id ?? "g1";
    const owner = grant?.session ?? "s0";
    const who = step.action === "release" && step.isStranger ? "stranger" : owner;
    const caller = { id: who, label: undefined };
    const { engine, naive } = this;
    if (step.action === "release") {
      this.#record(
        command,
        () => engine.releaseGrant(id, caller),
        () => naive.release(who, id),
      );
    } else if (step.action === "renew") {
      const { ttlMs } = step;
      this.#record(
        command,
        () => engine.renewGrant({ grant: id, ttlMs }, caller),
        () => naive.renew(who, id, ttlMs),
      );
    } else {
      const quarantine = () => engine.quarantineGrant({ grant: id, reason: "broken" }, caller);
      this.#record(command, quarantine, () => naive.quarantine(who, id));
    }
  }

  #cancel(nth: number): void {
    const chosen = this.#cancels.at(-1 - nth);
    if (chosen) expect(chosen.cancel(cancelled())).toBe(this.naive.cancel(chosen.command));
  }

  #slotsHeld(id: string, fence: number): readonly string[] | undefined {
    const hold = this.engine.holdsOf(id).find((other) => other.kind === "grant" && other.fence === fence);
    return hold?.kind === "grant" ? slotsIn(hold.items) : undefined;
  }

  /** The real one first: of several right choices the naive one takes the one that was made. */
  #record(command: number, run: () => Awaitable<unknown>, runNaively: () => Outcome | undefined): void {
    answerOf(run).then((answer: GrantAnswer) => {
      const { id, fence, items, expiresAtMs } = answer;
      const granted = items && { id, fence, items: slotsIn(items), expiresAtMs };
      this.outcomes.set(command, answer.error ?? granted ?? answer);
    });
    const expected = runNaively();
    if (expected !== undefined) this.naive.outcomes.set(command, expected);
  }
}

function slotsIn(items: readonly { readonly pool: string; readonly slot: number }[]): readonly string[] {
  return items.map(({ pool, slot }) => `${pool}/${slot}`);
}

test(
  "every program of 24 sessions goes as the naive pools say, and leaves every item free",
  async () => {
    let granted = 0;
    const program = fc.array(step, { minLength: 1, maxLength: stepsPerProgram, size: "max" });
    const property = fc.asyncProperty(program, async (steps) => {
      const pair = new Pair();
      for (const step of steps) {
        pair.apply(step);
        if (step.action !== "skip") await pair.compare();
      }
      for (const id of sessionIds) pair.end(id);
      await pair.compare();
      expect(pair.engine.stats()).toMatchObject({ grants: 0, waits: 0 });
      expect(pair.clock.alarmsPending).toBeLessThanOrEqual(1);
      granted += pair.naive.granted;
    });
    await fc.assert(property, { seed, numRuns: Math.ceil((2 * steps) / stepsPerProgram) });
    console.log(`pools.model: ${granted} acquisitions, seed ${seed}`);
  },
  20_000 + 3 * steps,
);
