/**
 * Jobs as people write them: words, lines of standard input, or JSON; and what is in a job as a text again, for a terminal,
 * an argument or a variable. Knows no broker.
 */
import type { QueueItem } from "../../client/command-options.ts";
import { fromJsonValue, jsonText } from "../../protocol/json-values.ts";
import { usageError } from "../failure.ts";

export interface GivenJobs {
  /** As operands; `-` stands for the lines of standard input. */
  readonly words: readonly string[];
  /** Whether words and lines are JSON. */
  readonly isJson: boolean;
  /** For those that say none themselves. */
  readonly priority: number | undefined;
}

const form = "a job is any value, or { data, id, priority } with data in it";

/** All that was given, in its order. A text is its own id, so that the same text counts once.
 *  @throws {HintedError} `bad_command` for what is no JSON */
export async function readJobs({ words, isJson, priority }: GivenJobs): Promise<readonly QueueItem[]> {
  const stdin = words.includes("-") ? linesOf(await Bun.stdin.text()) : [];
  const texts = words.flatMap((word) => (word === "-" ? stdin : [word]));
  return texts.map((text, index) => {
    const job = isJson ? jobIn(text, index + 1) : { id: text, data: text };
    return { priority, ...job };
  });
}

/** A text as it is, anything else as JSON. */
export function textOfData(data: unknown): string {
  return typeof data === "string" ? data : jsonText(data);
}

function linesOf(text: string): readonly string[] {
  return text.split(/\r?\n/).filter((line) => line !== "");
}

function jobIn(text: string, number: number): Exclude<QueueItem, string> {
  let value: unknown;
  try {
    value = fromJsonValue(JSON.parse(text));
  } catch {
    throw usageError(`Cannot read jobs: number ${number} is no JSON (${text.length} characters)`, `In JSON ${form}`);
  }
  if (typeof value === "string") return { id: value, data: value };
  // What an id and a priority may be, the broker decides.
  return isJob(value) ? value : { data: value };
}

const members: ReadonlySet<string> = new Set(["id", "data", "priority"]);

/** An object with data and nothing else that a job does not have is a job as a whole. */
function isJob(value: unknown): value is Exclude<QueueItem, string> {
  if (typeof value !== "object" || value === null || !("data" in value)) return false;
  return Object.keys(value).every((key) => members.has(key));
}
