/** P5: what a hundred thousand keys cost: the rate of new keys, memory an item, and a sweep of what expires. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ephemeral, ephemeralLines } from "../contestants/ephemeral.ts";
import { goal, headline, type Measure, Rounds } from "../measure.ts";
import { residentBytes } from "../process-figures.ts";
import { formatNumber } from "../statistics.ts";
import { runLoad } from "../workers.ts";

const presentKeys = 100_000;
const newKeys = 20_000;

export const keys: Measure = {
  id: "P5",
  title: `${presentKeys.toLocaleString("en")} keys present`,
  async run({ rounds, progress }) {
    const figures = new Rounds();
    for (let round = 1; round <= rounds; round++) {
      progress(`P5 round ${round}/${rounds}`);
      const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
      const broker = await ephemeral.start(directory);
      try {
        const load = {
          contestant: ephemeralLines.name,
          address: broker.address,
          operation: "set",
          workers: 1,
        } as const;
        const fresh = (count: number) => runLoad({ ...load, inFlight: 64, count, keys: count });
        figures.add("new keys/s on an empty broker", (await fresh(newKeys)).perSecond);
        const before = residentBytes(broker.pid ?? 0);
        await fresh(presentKeys);
        figures.add("resident bytes an item", (residentBytes(broker.pid ?? 0) - before) / presentKeys);
        figures.add("new keys/s with the keys present", (await fresh(newKeys)).perSecond);
      } finally {
        await broker.stop();
        rmSync(directory, { recursive: true, force: true });
      }
    }
    const ratio = figures.ratio("new keys/s with the keys present", "new keys/s on an empty broker");
    const bytes = figures.of("resident bytes an item").median;
    return {
      id: "P5",
      title: keys.title,
      headline: headline(figures, { unit: "bytes an item", ours: "resident bytes an item" }),
      head: ["figure", "median", "min–max"],
      rows: Object.keys(figures.toJSON()).map((name) => {
        const { median, min, max } = figures.of(name);
        return [name, formatNumber(median), `${formatNumber(min)}–${formatNumber(max)}`];
      }),
      goals: [
        goal("a new key ≥ 0.9 × its rate on an empty broker", ratio, ratio >= 0.9),
        goal("≤ 400 bytes a 100-byte item", bytes, bytes <= 400),
      ],
      missing: [],
      raw: figures,
    };
  },
};
