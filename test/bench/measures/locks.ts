/**
 * TURNS: what a lock costs beside plain values, what handing it on costs with a line of 64, and what a large pool with a long
 * line costs beside a small one: in the bare engine, and through connections, as its users have it. The rivals' locks are in
 * LOCK.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../../../src/client/client.ts";
import { systemClock } from "../../../src/engine/clock.ts";
import { MemoryEngine } from "../../../src/engine/memory/memory-engine.ts";
import type { Acquired } from "../../../src/engine/pooling.ts";
import { defaultLimits } from "../../../src/protocol/limits.ts";
import { ephemeral } from "../contestants/ephemeral.ts";
import { HeldPool } from "../held-pool.ts";
import { goal, headline, type Measure, Rounds } from "../measure.ts";
import { cpuMs } from "../process-figures.ts";
import { formatNumber, quantile } from "../statistics.ts";

const names = {
  lock: "lock and release, pairs/s",
  sets: "two sets, pairs/s",
  manyLocks: "the same with 64 in flight, pairs/s",
  manySets: "two sets with 64 in flight, pairs/s",
  engine: "hand-over to the first of 64, in the engine, µs",
  cpu: "the same through 64 connections, broker CPU µs",
  wall: "the same through 64 connections, all told, µs",
  small: "hand-over, 10 items and 10 waiters, in the engine, µs",
  large: "hand-over, 10,000 items and 1,000 waiters, in the engine, µs",
  smallCpu: "hand-over, 10 items and 10 waiters, through connections, broker CPU µs",
  largeCpu: "hand-over, 10,000 items and 1,000 waiters, through connections, broker CPU µs",
  fewDie: "a session dies with 1,000 locks, somebody behind each, µs a lock",
  manyDie: "the same with 8,000 locks, µs a lock",
} as const;

const pairs = 10_000;
const line = 64;
const handOvers = 20_000;

export const locks: Measure = {
  id: "TURNS",
  title: "locks and pools",
  async run({ rounds, progress }) {
    const figures = new Rounds();
    for (let round = 1; round <= rounds; round++) {
      progress(`TURNS round ${round}/${rounds}`);
      const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
      const broker = await ephemeral.start(directory);
      try {
        await uncontended(broker.address, figures, { inFlight: 1, lock: names.lock, sets: names.sets });
        await uncontended(broker.address, figures, { inFlight: line, lock: names.manyLocks, sets: names.manySets });
        const served = { address: broker.address, pid: broker.pid ?? 0 };
        await contended(served, figures);
        await handedOver(served, figures);
      } finally {
        await broker.stop();
        rmSync(directory, { recursive: true, force: true });
      }
      figures.add(names.engine, await engineHandOverUs({ items: 1, waiters: line }));
      figures.add(names.fewDie, await deathUs(1000));
      figures.add(names.manyDie, await deathUs(8000));
      figures.add(names.small, await engineHandOverUs({ items: 10, waiters: 10 }));
      figures.add(names.large, await engineHandOverUs({ items: 10_000, waiters: 1000 }));
    }
    const deaths = figures.ratio(names.manyDie, names.fewDie);
    const beside = figures.ratio(names.lock, names.sets);
    const manyBeside = figures.ratio(names.manyLocks, names.manySets);
    const handOverUs = figures.of(names.engine).median;
    const growth = figures.ratio(names.largeCpu, names.smallCpu);
    return {
      id: "TURNS",
      title: locks.title,
      headline: headline(figures, { unit: names.lock, ours: names.lock }),
      head: ["figure", "median", "min–max"],
      rows: Object.keys(figures.toJSON()).map((name) => {
        const { median, min, max } = figures.of(name);
        return [name, formatNumber(median), `${formatNumber(min)}–${formatNumber(max)}`];
      }),
      goals: [
        goal("lock and release ≥ 0.8 × the rate of two sets", beside, beside >= 0.8),
        goal("the same with 64 in flight", manyBeside, manyBeside >= 0.8),
        goal("64 waiters: hand-over ≤ 60 µs on the broker's side", handOverUs, handOverUs <= 60),
        goal("a death with 8,000 locks ≤ 2 × one with 1,000, each lock", deaths, deaths <= 2),
        goal("10,000 items and 1,000 waiters ≤ 1.5 × 10 and 10, broker CPU a hand-over", growth, growth <= 1.5),
      ],
      missing: [],
      raw: figures,
    };
  },
};

/** How many pairs run at a time, and what each figure is called. */
interface Load {
  readonly inFlight: number;
  readonly lock: string;
  readonly sets: string;
}

/** Through our client, each lane with a lock of its own; both kinds by turns, so that both have the same weather. */
async function uncontended(address: string, figures: Rounds, load: Load): Promise<void> {
  using client = new Client(address);
  const slices = 10;
  const seconds = { lock: 0, sets: 0 };
  for (let slice = -1; slice < slices; slice++) {
    const lock = await secondsOf(async (lane) => (await client.lock(`bench:${lane}`)).release());
    const sets = await secondsOf(async (lane) => {
      await client.set(`bench:${lane}`, 1);
      await client.set(`bench:${lane}`, 1);
    });
    // The first slice warms up.
    if (slice < 0) continue;
    seconds.lock += lock;
    seconds.sets += sets;
  }
  figures.add(load.lock, pairs / seconds.lock);
  figures.add(load.sets, pairs / seconds.sets);

  async function secondsOf(pair: (lane: number) => Promise<unknown>): Promise<number> {
    let left = pairs / slices;
    const repeat = async (_: unknown, lane: number): Promise<void> => {
      while (left-- > 0) await pair(lane);
    };
    const startedNs = Bun.nanoseconds();
    await Promise.all(Array.from({ length: load.inFlight }, repeat));
    return (Bun.nanoseconds() - startedNs) / 1e9;
  }
}

/** A broker that somebody else has started. */
interface Served {
  readonly address: string;
  readonly pid: number;
}

/** Everybody wants the lock again as soon as it was given back: there are always 63 in line. */
async function contended({ address, pid }: Served, figures: Rounds): Promise<void> {
  const clients = Array.from({ length: line }, () => new Client(address));
  await Promise.all(clients.map((client) => client.ping()));
  const cpuBefore = cpuMs(pid);
  const startedNs = Bun.nanoseconds();
  let left = handOvers;
  const take = async (client: Client): Promise<void> => {
    while (left-- > 0) await (await client.lock("contended")).release();
  };
  await Promise.all(clients.map(take));
  figures.add(names.wall, (Bun.nanoseconds() - startedNs) / 1000 / handOvers);
  figures.add(names.cpu, ((cpuMs(pid) - cpuBefore) * 1000) / handOvers);
  for (const client of clients) client.close();
}

/** What users pay for a hand-over from one session to another: in a small pool and in a large one, by turns. Both are there all
 *  the time, so that what the broker keeps of one is in the figures of the other. */
async function handedOver({ address, pid }: Served, figures: Rounds): Promise<void> {
  using small = await HeldPool.open({ address, name: "small", seats: 10, waiters: 10 });
  using large = await HeldPool.open({ address, name: "large", seats: 10_000, waiters: 1000 });
  const slices = 10;
  const spentUs = async (pool: HeldPool): Promise<number> => {
    const cpuBefore = cpuMs(pid);
    await pool.handOver(handOvers / slices);
    return (cpuMs(pid) - cpuBefore) * 1000;
  };
  const sums = { small: 0, large: 0 };
  for (let slice = -1; slice < slices; slice++) {
    const [ofSmall, ofLarge] = [await spentUs(small), await spentUs(large)];
    // The first slice warms up.
    if (slice < 0) continue;
    sums.small += ofSmall;
    sums.large += ofLarge;
  }
  figures.add(names.smallCpu, sums.small / handOvers);
  figures.add(names.largeCpu, sums.large / handOvers);
}

/** From the release of an item, all of which are held, to the answer of the first in line: the median in microseconds. */
async function engineHandOverUs({ items, waiters }: { items: number; waiters: number }): Promise<number> {
  const limits = { ...defaultLimits, waitsPerSessionMax: waiters };
  const engine = new MemoryEngine({ clock: systemClock, limits });
  const caller = { id: "bench", label: "bench" };
  const pool = "pool";
  await engine.definePool({
    pool,
    items: Array.from({ length: items }, (_, slot) => ({ value: `${slot}`, tags: [] })),
  });
  const want = { pool, count: 1, match: [], mode: "exclusive", size: undefined } as const;
  const request = { wants: [want], ttlMs: undefined, prefersLast: false, owner: undefined };
  const acquire = async (): Promise<Acquired> => engine.acquire(request, { caller, waitMs: -1, handle: {} });
  const held: Acquired[] = [];
  for (let item = 0; item < items; item++) held.push(await acquire());
  const queue = Array.from({ length: waiters }, acquire);
  const tookUs: number[] = [];
  for (let turn = 0; turn < handOvers; turn++) {
    // In a circle, as taking from the front of an array costs more the longer it is.
    const [grant, next] = [held[turn % items], queue[turn % waiters]];
    if (grant === undefined || next === undefined) throw new Error("somebody holds and somebody waits, always");
    const startedNs = Bun.nanoseconds();
    engine.releaseGrant(grant.id, caller);
    held[turn % items] = await next;
    tookUs.push((Bun.nanoseconds() - startedNs) / 1000);
    queue[turn % waiters] = acquire();
  }
  await Promise.all([engine.close(), ...queue.map((waiting) => waiting.catch(() => {}))]);
  return quantile(
    tookUs.sort((a, b) => a - b),
    0.5,
  );
}

/** How long it takes to hand on all that a session held, a lock: the median of nine deaths. */
async function deathUs(count: number): Promise<number> {
  const tookUs: number[] = [];
  for (let death = 0; death < 9; death++) {
    const engine = new MemoryEngine({ clock: systemClock, limits: { ...defaultLimits, waitsPerSessionMax: count } });
    const [dying, next] = [
      { id: "dying", label: "dying" },
      { id: "next", label: "next" },
    ];
    const acquire = async (lock: number, caller: typeof dying): Promise<unknown> => {
      const want = { pool: `lock ${lock}`, count: 1, match: [], mode: "exclusive", size: 1 } as const;
      const request = { wants: [want], ttlMs: undefined, prefersLast: false, owner: undefined };
      return engine.acquire(request, { caller, waitMs: -1, handle: {} });
    };
    for (let lock = 0; lock < count; lock++) await acquire(lock, dying);
    const waiting = Array.from({ length: count }, (_, lock) => acquire(lock, next));
    const startedNs = Bun.nanoseconds();
    engine.endSession(dying);
    tookUs.push((Bun.nanoseconds() - startedNs) / 1000 / count);
    await Promise.all(waiting);
    engine.close();
  }
  return quantile(
    tookUs.sort((a, b) => a - b),
    0.5,
  );
}
