/** P10, of connections: what one that is let in and reads two channels costs its server, at rest. The first thousand also pay for
 *  what a runtime makes of code that runs often; what each further one costs is what a connection costs. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FanOutContestant, native, socketIo, web, ws } from "../fan-out/contestants.ts";
import type { Crowd } from "../fan-out/crowd.ts";
import { goal, type Measure, partake } from "../measure.ts";
import { residentBytes } from "../process-figures.ts";
import { formatNumber } from "../statistics.ts";

const contestants: readonly FanOutContestant[] = [web, native, ws, socketIo];
const first = 1000;
const further = 4000;
/** What opening left for the collector is gone by then. A broker's first ping comes much later. */
const restMs = 3000;
const kilobyte = 1000;
const boundKilobytes = 6;

interface Cost {
  readonly first: number;
  readonly further: number;
}

export const connections: Measure = {
  id: "P10C",
  title: "a connection at rest, let in, with two channels to read: resident KB of the server",
  // Memory is no matter of the weather: one round.
  async run({ progress }) {
    const { present, missing } = partake(contestants);
    const costs = new Map<string, Cost>();
    for (const contestant of present) {
      progress(`P10C: ${contestant.name}`);
      costs.set(contestant.name, await costOf(contestant));
    }
    const furtherOf = (name: string): number => costs.get(name)?.further ?? Number.NaN;
    const ours = furtherOf(web.name);
    const [rival] = present
      .filter((one) => one !== web)
      .map(({ name }) => ({ name, value: furtherOf(name) }))
      .sort((a, b) => a.value - b.value);
    return {
      id: "P10C",
      title: connections.title,
      headline: { unit: `each further one after ${first}`, ours, rival, ratio: rival && ours / rival.value },
      head: ["contestant", `each of the first ${first}`, `each of ${further} more`],
      rows: [...costs].map(([name, cost]) => [name, formatNumber(cost.first), formatNumber(cost.further)]),
      goals: [goal(`≤ ${boundKilobytes} KB each further one`, ours, ours <= boundKilobytes)],
      missing,
      raw: Object.fromEntries(costs),
    };
  },
};

async function costOf({ dialect, start }: FanOutContestant): Promise<Cost> {
  const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
  const { address, pid, stop } = await start(directory);
  const crowds: AsyncDisposable[] = [];
  const residentWith = async (connections: number): Promise<number> => {
    if (connections > 0) crowds.push(await crowd({ dialect, address, connections }));
    await Bun.sleep(restMs);
    return residentBytes(pid);
  };
  try {
    const none = await residentWith(0);
    const some = await residentWith(first);
    const many = await residentWith(further);
    return { first: (some - none) / first / kilobyte, further: (many - some) / further / kilobyte };
  } finally {
    for (const each of crowds) await each[Symbol.asyncDispose]();
    await stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Connections that stay until they are disposed of. */
async function crowd(options: Crowd): Promise<AsyncDisposable> {
  const argv = [process.execPath, join(import.meta.dir, "../fan-out/crowd.ts"), JSON.stringify(options)];
  const child = Bun.spawn(argv, { stdio: ["pipe", "pipe", "inherit"] });
  await child.stdout.getReader().read();
  return {
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await child.exited;
    },
  };
}
