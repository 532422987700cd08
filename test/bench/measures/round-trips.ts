/** P1, P2, P3 and P4: round trips one at a time, 64 in flight, and from 8 processes; and what the server's CPU pays. */
import type { Contestant } from "../contestant.ts";
import { echo } from "../contestants/echo.ts";
import { ephemeral, ephemeralLines } from "../contestants/ephemeral.ts";
import { flock } from "../contestants/flock.ts";
import { liveMutex } from "../contestants/live-mutex.ts";
import { memcached } from "../contestants/memcached.ts";
import { properLockfile } from "../contestants/proper-lockfile.ts";
import { redis } from "../contestants/redis.ts";
import { seed } from "../contestants/seed.ts";
import { wdio } from "../contestants/wdio.ts";
import { type Goal, goal, headline, type Measure, namesOf, type Result, Rounds, withContestants } from "../measure.ts";
import { cpuMs } from "../process-figures.ts";
import { formatNumber } from "../statistics.ts";
import { type LoadOptions, runLoad } from "../workers.ts";

interface Shape {
  readonly id: string;
  readonly title: string;
  readonly contestants: readonly Contestant[];
  readonly unit: string;
  readonly load: Pick<LoadOptions, "operation" | "workers" | "inFlight" | "count">;
  goals(figures: Figures): readonly Goal[];
}

interface Figures {
  readonly rate: Rounds;
  readonly p50: Rounds;
  readonly cpu: Rounds;
}

const shapes: readonly Shape[] = [
  {
    id: "P1",
    title: "one client, one command at a time, 100-byte values",
    contestants: [ephemeral, ephemeralLines, echo, redis, memcached, wdio, seed],
    unit: "commands/s",
    load: { operation: "set", workers: 1, inFlight: 1, count: 20_000 },
    goals: ({ rate, p50 }) => {
      const ours = rate.ratio(ephemeralLines.name, echo.name);
      const slower = p50.ratio(ephemeralLines.name, echo.name);
      return [
        goal("broker ≥ 0.85 × raw echo of the same bytes", ours, ours >= 0.85),
        goal("p50 ≤ 1.2 × raw echo's", slower, slower <= 1.2),
      ];
    },
  },
  {
    id: "P2",
    title: "one client, 64 commands in flight",
    contestants: [ephemeral, ephemeralLines, echo, redis, memcached, wdio, seed],
    unit: "commands/s",
    load: { operation: "set", workers: 1, inFlight: 64, count: 100_000 },
    goals: ({ rate }) => {
      const redisRatio = rate.ratio(ephemeral.name, redis.name);
      const seedRatio = rate.ratio(ephemeral.name, seed.name);
      return [
        goal("≥ 1.5 × Redis through Bun's client", redisRatio, redisRatio >= 1.5),
        goal("≥ 15 × the seed's client", seedRatio, seedRatio >= 15),
      ];
    },
  },
  {
    id: "P3",
    title: "8 worker processes, one command at a time each",
    contestants: [ephemeral, ephemeralLines, redis, memcached, wdio, seed],
    unit: "commands/s",
    load: { operation: "set", workers: 8, inFlight: 1, count: 8_000 },
    goals: ({ rate, cpu }) => {
      const ours = rate.ratio(ephemeral.name, redis.name);
      const cost = cpu.ratio(ephemeral.name, redis.name);
      return [
        goal("total ≥ 1.0 × Redis over its unix socket", ours, ours >= 1),
        goal("P4: server CPU per command ≤ 1.1 × Redis's", cost, cost <= 1.1),
      ];
    },
  },
  {
    id: "LOCK",
    title: "one uncontended lock, taken and given back, one at a time",
    contestants: [ephemeral, redis, liveMutex, properLockfile, flock, seed],
    unit: "pairs/s",
    load: { operation: "lock", workers: 1, inFlight: 1, count: 5_000 },
    goals: () => [],
  },
];

export const roundTrips: readonly Measure[] = shapes.map((shape) => ({
  id: shape.id,
  title: shape.title,
  run: (options) => run(shape, options),
}));

/** Who opens a connection or a file for every command is given a tenth of the work. */
const slowShare = 10;
const slow: readonly Contestant[] = [seed, wdio, properLockfile];

/** Not ourselves, nor one that only shows what cannot be had cheaper. */
function isRival(contestant: Contestant): boolean {
  return ![ephemeral, ephemeralLines, echo, flock].includes(contestant);
}

async function run(shape: Shape, options: Parameters<Measure["run"]>[0]): Promise<Result> {
  const figures: Figures = { rate: new Rounds(), p50: new Rounds(), cpu: new Rounds() };
  const { missing } = await withContestants(shape.contestants, async (running) => {
    for (let round = 1; round <= options.rounds; round++) {
      for (const [contestant, { address, pid }] of running) {
        const { name } = contestant;
        options.progress(`${shape.id} round ${round}/${options.rounds}: ${name}`);
        const count = slow.includes(contestant) ? shape.load.count / slowShare : shape.load.count;
        const cpuBefore = pid === undefined ? 0 : cpuMs(pid);
        const load = { ...shape.load, count, contestant: name, address, keys: 1000 } as const;
        const { perSecond, p50Us } = await runLoad(load);
        figures.rate.add(name, perSecond);
        figures.p50.add(name, p50Us);
        // The warm-up's commands are served too.
        const commands = (count + Math.min(count, 3000)) * shape.load.workers;
        if (pid !== undefined) figures.cpu.add(name, ((cpuMs(pid) - cpuBefore) * 1000) / commands);
      }
    }
  });
  return {
    id: shape.id,
    title: shape.title,
    headline: headline(figures.rate, {
      unit: shape.unit,
      ours: ephemeral.name,
      rivals: namesOf(shape.contestants.filter(isRival)),
    }),
    head: ["contestant", "per second", "min–max", "p50 µs", "server CPU µs each"],
    rows: shape.contestants.map(({ name }) => {
      const rate = figures.rate.of(name);
      return [
        name,
        formatNumber(rate.median),
        `${formatNumber(rate.min)}–${formatNumber(rate.max)}`,
        formatNumber(figures.p50.of(name).median),
        formatNumber(figures.cpu.of(name).median),
      ];
    }),
    goals: shape.goals(figures),
    missing,
    raw: figures,
  };
}
