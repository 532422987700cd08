/**
 * Items of a pool as people write them: words, JSON, or a file with a JSON list or one item a line. Knows no broker.
 */
import { jsonValue } from "../../protocol/json-values.ts";
import type { PoolItemInput } from "../../protocol/pools.ts";
import { usageError } from "../failure.ts";

export interface GivenItems {
  /** As operands. */
  readonly words: readonly string[];
  /** Whether those are JSON. */
  readonly isJson: boolean;
  /** A file, or `-` for standard input. */
  readonly file: string | undefined;
  /** For all of them. */
  readonly tags: readonly string[];
}

const form = 'an item is a word; with --json-value, or in a file, JSON or {"value":…,"tags":[…]}';

/** All that was given, operands first. Values stand as they are written to the broker.
 *  @throws {HintedError} `bad_command` for what is no item, or when there is none */
export async function readItems({ words, isJson, file, tags }: GivenItems): Promise<readonly PoolItemInput[]> {
  const typed = words.map((word, index) => (isJson ? itemIn(word, `ITEM ${index + 1}`) : { value: word, tags: [] }));
  const items = [...typed, ...(file === undefined ? [] : await itemsIn(file))];
  if (items.length === 0) throw usageError("Cannot read items: there are none", `Give some, or --file; ${form}`);
  return items.map((item) => ({
    value: jsonValue(item.value),
    tags: [...item.tags, ...tags],
  }));
}

async function itemsIn(file: string): Promise<readonly PoolItemInput[]> {
  const text = await textIn(file);
  // A list is JSON from its first character to its last; a line of a list of lines may be a list as well.
  const list = text.trimStart().startsWith("[") ? parsed(text) : undefined;
  if (Array.isArray(list)) return list.map((item, index) => readItem(item, `item ${index + 1}`));
  const lines = text.split("\n").map((line, index) => ({ line: line.trim(), number: index + 1 }));
  return lines.filter(({ line }) => line !== "").map(({ line, number }) => itemIn(line, `line ${number}`));
}

async function textIn(file: string): Promise<string> {
  try {
    return await (file === "-" ? Bun.stdin : Bun.file(file)).text();
  } catch (error) {
    const reason = error instanceof Error ? error.message : `${error}`;
    throw usageError(`Cannot read --file: ${reason}`, "Name a file, or - for standard input");
  }
}

function itemIn(text: string, where: string): PoolItemInput {
  const item = parsed(text);
  if (item === undefined) {
    throw usageError(`Cannot read items: ${where} is no JSON (${text.length} characters)`, `In JSON ${form}`);
  }
  return readItem(item, where);
}

/** An object with a value, and perhaps tags, and nothing else is an item as a whole; anything else is a value. */
function readItem(item: unknown, where: string): PoolItemInput {
  if (typeof item !== "object" || item === null || Array.isArray(item) || !("value" in item)) {
    return { value: item, tags: [] };
  }
  const { value, tags = [], ...others }: { value: unknown; tags?: unknown } = item;
  if (Object.keys(others).length > 0) return { value: item, tags: [] };
  const isTags = Array.isArray(tags) && tags.every((tag) => typeof tag === "string");
  if (!isTags) throw usageError(`Cannot read items: the tags of ${where} are no list of words`, `In JSON ${form}`);
  return { value, tags };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
