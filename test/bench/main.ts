/** `bun run bench [--only P1,P2] [--rounds 5] [--json FILE] [--readme]`: every measure, the contestants alternating, medians and spread,
 *  and which goals are reached. Absent contestants are named. Figures are of this machine, now; ratios travel better. */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type Measure, type Result, verdictOn } from "./measure.ts";
import { connections } from "./measures/connections.ts";
import { contention } from "./measures/contention.ts";
import { fanOut } from "./measures/fan-out.ts";
import { keys } from "./measures/keys.ts";
import { locks } from "./measures/locks.ts";
import { executable, idle, startUp } from "./measures/program.ts";
import { queues } from "./measures/queues.ts";
import { returning } from "./measures/returning.ts";
import { roundTrips } from "./measures/round-trips.ts";
import { stalledReaders } from "./measures/stalled.ts";
import { writeFigures } from "./readme.ts";
import { formatNumber, table } from "./statistics.ts";

const measures: readonly Measure[] = [
  ...roundTrips,
  locks,
  contention,
  queues,
  keys,
  fanOut,
  startUp,
  idle,
  connections,
  executable,
  stalledReaders,
  returning,
];

const { values: flags } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "5" },
    json: { type: "string" },
    readme: { type: "boolean", default: false },
  },
});
const rounds = Number(flags.rounds);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error(`--rounds: wanted a count, got ${flags.rounds}`);
const wanted = new Set(flags.only?.split(",") ?? measures.map(({ id }) => id));
for (const id of wanted) {
  if (!measures.some((measure) => measure.id === id)) {
    throw new Error(`--only: there is no measure ${id}; there are ${measures.map((measure) => measure.id).join(", ")}`);
  }
}

const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

const processor = cpus()[0]?.model ?? "unknown processor";
const circumstances = `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${processor}, Bun ${Bun.version}, ${rounds} rounds`;
console.log(`${circumstances}\n`);
const results: Result[] = [];
for (const measure of measures) {
  if (!wanted.has(measure.id)) continue;
  const result = await measure.run({ rounds, progress });
  progress("");
  results.push(result);
  console.log(`### ${result.id}: ${result.title}\n\n${table(result.head, result.rows)}\n`);
  for (const goal of result.goals) console.log(`- ${verdictOn(goal)}: ${goal.text} (${formatNumber(goal.value)})`);
  for (const absent of result.missing) console.log(`- missing: ${absent}`);
  console.log();
}
if (flags.readme) {
  const only = flags.only === undefined ? "" : ` --only ${flags.only}`;
  await writeFigures(results, `${circumstances}, by \`bun run bench${only} --rounds ${rounds} --readme\`.`);
}
if (flags.json !== undefined) {
  await Bun.write(
    flags.json,
    `${JSON.stringify({ atMs: Date.now(), processor, bun: Bun.version, rounds, results }, null, 2)}\n`,
  );
}
