/** P12: one reader in ten reads nothing. What the others feel of it, what the server keeps, and what the stalled are told. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultLimits } from "../../../src/protocol/limits.ts";
import { type FanOutContestant, native, nats, pipe, web, webGap, ws } from "../fan-out/contestants.ts";
import type { FanOutLoad, FanOutReport } from "../fan-out/load.ts";
import { runFanOut } from "../fan-out/run.ts";
import { goal, headline, type Measure, namesOf, partake, Rounds } from "../measure.ts";
import { formatNumber } from "../statistics.ts";

const rivals = [nats, native, ws];
const ours = [pipe, web, webGap];
const contestants: readonly FanOutContestant[] = [...ours, ...rivals];
const readers = 27;
const stalled = 3;
/** More than the kernel and our outboxes keep for a reader, at a load that leaves every server time. */
const shape = { readers, batch: 4, bytes: 4096, messages: 4800, rate: 40_000 };
const mib = 1024 * 1024;
const boundMib = ((readers + stalled) * defaultLimits.outboxBytesMax) / mib;

export const stalledReaders: Measure = {
  id: "P12",
  title: `${stalled} of ${readers + stalled} readers read nothing, 4 KiB messages`,
  async run({ rounds, progress }) {
    const { present, missing } = partake(contestants);
    const figures = { alone: new Rounds(), beside: new Rounds(), grown: new Rounds() };
    const fates = new Map<FanOutContestant, FanOutReport["stalled"]>();
    for (let round = 1; round <= rounds; round++) {
      for (const contestant of present) {
        progress(`P12 round ${round}/${rounds}: ${contestant.name}`);
        fates.set(contestant, await play(contestant, figures));
      }
    }
    const { alone, beside, grown } = figures;
    const slower = Math.max(...ours.map(({ name }) => medianRatio(beside, alone, name)));
    const keptMib = Math.max(...ours.map(({ name }) => grown.of(name).median));
    const deceived = ours.reduce((sum, one) => sum + (fates.get(one)?.deceived ?? 0), 0);
    return {
      id: "P12",
      title: stalledReaders.title,
      headline: headline(beside, {
        unit: "the others' p99 ms",
        ours: pipe.name,
        rivals: namesOf(rivals),
        isLessBetter: true,
      }),
      head: ["contestant", "the others' p99 ms", "p99 ms without", "memory grown MB", "the stalled"],
      rows: present.map((contestant) => [
        contestant.name,
        ...[beside, alone, grown].map((figure) => formatNumber(figure.of(contestant.name).median)),
        fateOf(fates.get(contestant)),
      ]),
      goals: [
        goal("p99 ≤ 1.5 × without, by each door", slower, slower <= 1.5),
        goal("memory ≤ connections × outbox bound, MB", keptMib, keptMib <= boundMib),
        goal("nobody loses a message untold", deceived, deceived === 0),
      ],
      missing,
      raw: figures,
    };
  },
};

type Figures = Record<"alone" | "beside" | "grown", Rounds>;

/** One contestant's round: the same load without the stalled and with them, each on a server of its own. */
async function play(contestant: FanOutContestant, figures: Figures): Promise<FanOutReport["stalled"]> {
  const { name } = contestant;
  figures.alone.add(name, (await playWith(contestant, 0)).p99Ms);
  const run = await playWith(contestant, stalled);
  figures.beside.add(name, run.p99Ms);
  figures.grown.add(name, run.grownBytes / mib);
  return run.stalled;
}

async function playWith(contestant: FanOutContestant, count: number) {
  const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
  const server = await contestant.start(directory);
  try {
    const load: FanOutLoad = { ...shape, dialect: contestant.dialect, address: server.address, stalled: count };
    return await runFanOut(load, server);
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function medianRatio(over: Rounds, under: Rounds, name: string): number {
  const theirs = under.toJSON()[name] ?? [];
  const ratios = new Rounds();
  for (const [round, value] of (over.toJSON()[name] ?? []).entries()) ratios.add(name, value / (theirs[round] ?? 0));
  return ratios.of(name).median;
}

function fateOf(
  { closed, told, whole, deceived }: FanOutReport["stalled"] = { closed: 0, told: 0, whole: 0, deceived: 0 },
) {
  const fates = {
    closed: closed,
    "told of a gap": told,
    "got everything late": whole,
    "lost messages untold": deceived,
  };
  return Object.entries(fates)
    .flatMap(([fate, count]) => (count > 0 ? `${count} ${fate}` : []))
    .join(", ");
}
