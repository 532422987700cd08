/** P6 and P7: one message to many readers, as many as there can be a second, and how long one takes at half that load. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FanOutContestant, native, nats, pipe, redis, socketIo, web, ws } from "../fan-out/contestants.ts";
import type { FanOutLoad } from "../fan-out/load.ts";
import { runFanOut } from "../fan-out/run.ts";
import { goal, headline, type Measure, namesOf, partake, Rounds } from "../measure.ts";
import { formatNumber } from "../statistics.ts";

const contestants: readonly FanOutContestant[] = [pipe, web, nats, redis, native, ws, socketIo];
const readers = 500;
const messages = 2000;
const shape = { readers, batch: 10, bytes: 128 };
/** Who is slow is given a tenth of the work. */
const slow: readonly FanOutContestant[] = [socketIo, ws];
const slowShare = 10;

export const fanOut: Measure = {
  id: "P6",
  title: `${readers} readers, 128 bytes, 10 messages a turn`,
  run: async ({ rounds, progress }) => {
    const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
    const figures = { rate: new Rounds(), cpu: new Rounds(), p50: new Rounds(), p99: new Rounds() };
    const { present, missing } = partake(contestants);
    try {
      for (let round = 1; round <= rounds; round++) {
        for (const contestant of present) {
          progress(`P6 round ${round}/${rounds}: ${contestant.name}`);
          await play(contestant, { directory, figures });
        }
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    const { rate, cpu, p50, p99 } = figures;
    const [best, cost, p50Ms, p99Ms] = [rate, cpu, p50, p99].map((figure) => figure.of(pipe.name).median);
    const overNats = rate.ratio(pipe.name, nats.name);
    const overSocketIo = rate.ratio(pipe.name, socketIo.name);
    return {
      id: "P6",
      title: fanOut.title,
      headline: headline(rate, {
        unit: "deliveries/s",
        ours: pipe.name,
        rivals: namesOf(contestants.filter((one) => one !== pipe && one !== web)),
      }),
      head: [
        "contestant",
        "deliveries a second",
        "min–max",
        "server CPU µs each",
        "at half the load: p50 ms",
        "p99 ms",
      ],
      rows: present.map(({ name }) => [
        name,
        formatNumber(rate.of(name).median),
        `${formatNumber(rate.of(name).min)}–${formatNumber(rate.of(name).max)}`,
        formatNumber(cpu.of(name).median),
        formatNumber(p50.of(name).median),
        formatNumber(p99.of(name).median),
      ]),
      goals: [
        goal("≥ 1.0 M deliveries a second", best ?? 0, (best ?? 0) >= 1e6),
        goal("≤ 1.1 µs broker CPU each", cost ?? 0, (cost ?? 9) <= 1.1),
        goal("≥ 1.5 × NATS", overNats, overNats >= 1.5),
        goal("≥ 10 × Socket.IO", overSocketIo, overSocketIo >= 10),
        goal("P7: p50 ≤ 2 ms at half the load", p50Ms ?? 0, (p50Ms ?? 9) <= 2),
        goal("P7: p99 ≤ 10 ms at half the load", p99Ms ?? 0, (p99Ms ?? 99) <= 10),
      ],
      missing,
      raw: figures,
    };
  },
};

interface Play {
  readonly directory: string;
  readonly figures: { readonly rate: Rounds; readonly cpu: Rounds; readonly p50: Rounds; readonly p99: Rounds };
}

/** One contestant's round: a server of its own, all it can do, and then half of that. */
async function play(contestant: FanOutContestant, { directory, figures }: Play): Promise<void> {
  const server = await contestant.start(directory);
  try {
    const count = slow.includes(contestant) ? messages / slowShare : messages;
    const load: FanOutLoad = { ...shape, dialect: contestant.dialect, address: server.address, messages: count };
    const full = await runFanOut(load, server);
    figures.rate.add(contestant.name, full.perSecond);
    figures.cpu.add(contestant.name, (full.cpuMs * 1000) / (count * readers));
    const half = await runFanOut({ ...load, rate: full.perSecond / 2 }, server);
    figures.p50.add(contestant.name, half.p50Ms);
    figures.p99.add(contestant.name, half.p99Ms);
  } finally {
    await server.stop();
  }
}
