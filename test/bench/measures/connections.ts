/** P10, of connections: what one that is let in and reads two channels costs its server, at rest. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FanOutContestant, type FanOutServer, native, socketIo, web, ws } from "../fan-out/contestants.ts";
import type { Crowd } from "../fan-out/crowd.ts";
import { goal, type Measure, partake } from "../measure.ts";
import { residentBytes } from "../process-figures.ts";
import { formatNumber } from "../statistics.ts";

const contestants: readonly FanOutContestant[] = [web, native, ws, socketIo];
const counts = [1000, 5000] as const;
/** What opening left for the collector is gone by then. A broker's first ping comes much later. */
const restMs = 3000;
const kilobyte = 1000;
const boundKilobytes = 6;

export const connections: Measure = {
  id: "P10C",
  title: "a connection at rest, let in, with two channels to read: resident KB of the server",
  // Memory is no matter of the weather: one round.
  async run({ progress }) {
    const { present, missing } = partake(contestants);
    const figures: Record<string, Record<number, number>> = {};
    for (const { name, ...contestant } of present) {
      const costs: Record<number, number> = {};
      for (const count of counts) {
        progress(`P10C: ${count} of ${name}`);
        costs[count] = await costOf(contestant, count);
      }
      figures[name] = costs;
    }
    const costOfMany = (name: string): number => figures[name]?.[5000] ?? Number.NaN;
    const ours = costOfMany(web.name);
    const [rival] = present
      .filter((one) => one !== web)
      .map(({ name }) => ({ name, value: costOfMany(name) }))
      .sort((a, b) => a.value - b.value);
    return {
      id: "P10C",
      title: connections.title,
      headline: { unit: "each of 5,000", ours, rival, ratio: rival && ours / rival.value },
      head: ["contestant", ...counts.map((count) => `each of ${count.toLocaleString("en")}`)],
      rows: present.map(({ name }) => [
        name,
        ...counts.map((count) => formatNumber(figures[name]?.[count] ?? Number.NaN)),
      ]),
      goals: [goal(`≤ ${boundKilobytes} KB each of 5,000`, ours, ours <= boundKilobytes)],
      missing,
      raw: figures,
    };
  },
};

/** Of a server of its own: what it has more with so many connections than with none, for each. */
async function costOf(contestant: Omit<FanOutContestant, "name" | "missing">, count: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
  const server = await contestant.start(directory);
  try {
    await Bun.sleep(restMs);
    const before = residentBytes(server.pid);
    const after = await residentWith(server, {
      dialect: contestant.dialect,
      address: server.address,
      connections: count,
    });
    return (after - before) / count / kilobyte;
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function residentWith(server: FanOutServer, crowd: Crowd): Promise<number> {
  const argv = [process.execPath, join(import.meta.dir, "../fan-out/crowd.ts"), JSON.stringify(crowd)];
  const child = Bun.spawn(argv, { stdio: ["pipe", "pipe", "inherit"] });
  await child.stdout.getReader().read();
  await Bun.sleep(restMs);
  const bytes = residentBytes(server.pid);
  child.stdin.end();
  await child.exited;
  return bytes;
}
