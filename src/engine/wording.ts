/**
 * How people are told who has what and since when, in every message about a wait. One wording for all of them, so that
 * whoever has read one can read the next. Reads holders, changes nothing.
 */
import type { Caller } from "./engine.ts";

/** More holders than this are counted, not named. */
const holdersNamedMax = 5;

/** A duration as people say it: `40 ms`, `7 s`, `12 min`, `5 h`. */
export function inWords(durationMs: number): string {
  if (durationMs < 1000) return `${durationMs} ms`;
  const seconds = Math.floor(durationMs / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}

/** The label a session goes by, or its id while it has none. */
export function nameOf(caller: Caller): string {
  return caller.label ?? caller.id;
}

/** The first few of `sentences`, and how many more there are. */
export function listed(sentences: Iterable<string>, count: number): string {
  const named: string[] = [];
  for (const sentence of sentences) {
    if (named.length === holdersNamedMax) break;
    named.push(sentence);
  }
  return count > named.length ? `${named.join(", ")} and ${count - named.length} more` : named.join(", ");
}
