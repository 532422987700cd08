/**
 * The seed's examples: their blocks of code as they read, by the headings they stand under, and which of them were asked for.
 */
import { join } from "node:path";

const text = await Bun.file(join(import.meta.dir, "../seed-examples.md")).text();

const taken = new Set<string>();

/** The block under a heading, or under a bold line below that: "3. Release Leases", "Workers Can't Connect: Verify broker
 *  started". */
export function seedBlock(name: string): string {
  const block = blocks.get(name);
  if (block === undefined) throw new Error(`there is no block "${name}" but ${[...blocks.keys()].join(", ")}`);
  taken.add(name);
  return block;
}

/** The names of blocks nobody has asked for. */
export const seedBlocksLeft = (): readonly string[] => [...blocks.keys()].filter((name) => !taken.has(name));

/** Whether a block is a runner's set-up, which starts a broker for others. */
export const isSetUp = (name: string): boolean => name.startsWith("1. ");

const blocks = readBlocks();

function readBlocks(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let heading = "";
  let bold = "";
  for (const [, title, label, language, code = ""] of text.matchAll(
    /^#{2,3} (.*)$|^\*\*(.*):\*\*$|^```(\w+)\n([\s\S]*?)^```$/gm,
  )) {
    if (title !== undefined) [heading, bold] = [title, ""];
    if (label !== undefined) bold = `: ${label}`;
    if (language === undefined) continue;
    const name = `${heading}${bold}${language === "bash" ? " (shell)" : ""}`;
    if (found.has(name)) throw new Error(`two blocks are called "${name}"`);
    found.set(name, code);
  }
  return found;
}
