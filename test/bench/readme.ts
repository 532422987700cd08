/** The README's table of figures: one row a measure, our figure beside the best rival's, and which goals are reached. Replaces what
 *  stands between two markers. */
import { join } from "node:path";
import { type Result, verdictOn } from "./measure.ts";
import { formatNumber, table } from "./statistics.ts";

const path = join(import.meta.dir, "../../README.md");
const begin = "<!-- figures -->";
const marks = { reached: "✓", MISSED: "✗", "not measured": "?" } as const;
const end = "<!-- /figures -->";

/** @param circumstances when, where and how often it was measured */
export async function writeFigures(results: readonly Result[], circumstances: string): Promise<void> {
  const text = await Bun.file(path).text();
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`README.md: wanted ${begin} and ${end} behind it`);
  const head = ["what", "ours", "best rival", "ratio", "goals: ✓ reached, ✗ missed"];
  const figures = `${circumstances}\n\n${table(head, results.map(rowOf))}\n`;
  await Bun.write(path, `${text.slice(0, from + begin.length)}\n${figures}${text.slice(to)}`);
}

function rowOf({ id, title, headline, goals }: Result): readonly string[] {
  const { unit, ours, rival, ratio } = headline;
  return [
    `**${id}** ${title}<br>${unit}`,
    formatNumber(ours),
    rival === undefined ? "" : `${rival.name}: ${formatNumber(rival.value)}`,
    ratio === undefined ? "" : formatNumber(ratio),
    goals.map((goal) => `${marks[verdictOn(goal)]} ${goal.text} (${formatNumber(goal.value)})`).join("<br>"),
  ];
}
