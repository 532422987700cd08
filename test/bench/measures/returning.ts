/** P13: everybody comes back at once and has what was missed. The rivals here remember nothing, so there is none to compare. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipe, web } from "../fan-out/contestants.ts";
import type { Return, ReturnReport } from "../fan-out/returning.ts";
import { goal, headline, type Measure, partake, Rounds } from "../measure.ts";
import { formatNumber } from "../statistics.ts";

const shape = { readers: 1000, missed: 300, bytes: 128 };
const boundMs = 3000;

export const returning: Measure = {
  id: "P13",
  title: `${shape.readers.toLocaleString("en")} readers come back at once, ${shape.missed} missed messages each`,
  async run({ rounds, progress }) {
    const { present, missing } = partake([pipe, web]);
    const all = new Rounds();
    const median = new Rounds();
    for (let round = 1; round <= rounds; round++) {
      for (const contestant of present) {
        progress(`P13 round ${round}/${rounds}: ${contestant.name}`);
        const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
        const server = await contestant.start(directory);
        try {
          const report = await comeBack({ ...shape, dialect: contestant.dialect, address: server.address });
          all.add(contestant.name, report.allMs);
          median.add(contestant.name, report.medianMs);
        } finally {
          await server.stop();
          rmSync(directory, { recursive: true, force: true });
        }
      }
    }
    return {
      id: "P13",
      title: returning.title,
      headline: headline(all, { unit: "ms until all have recovered, over WebSockets", ours: web.name }),
      head: ["contestant", "all recovered ms", "min–max", "half of them ms"],
      rows: present.map(({ name }) => {
        const { median: middle, min, max } = all.of(name);
        const range = `${formatNumber(min)}–${formatNumber(max)}`;
        return [name, formatNumber(middle), range, formatNumber(median.of(name).median)];
      }),
      goals: present.map(({ name }) => {
        const { median: ms } = all.of(name);
        return goal(`${name}: all recovered within ${boundMs} ms`, ms, ms <= boundMs);
      }),
      missing,
      raw: { all, median },
    };
  },
};

async function comeBack(options: Return): Promise<ReturnReport> {
  const argv = [process.execPath, join(import.meta.dir, "../fan-out/returning.ts"), JSON.stringify(options)];
  const child = Bun.spawn(argv, { stdio: ["ignore", "pipe", "inherit"] });
  return JSON.parse(await new Response(child.stdout).text()) as ReturnReport; // printed by returning.ts
}
