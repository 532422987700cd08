/**
 * What happened, in the order it happened: one line appended to one file by every process of the run, before it lets go
 * of what the line is about. The summary is computed from nothing else.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";

export interface Entry {
  readonly event: "begin" | "end" | "login";
  readonly atMs: number;
  readonly worker: number;
  readonly pid: number;
  /** The test, as `file: title`. */
  readonly test: string;
  /** Absent for a login, which belongs to nobody in particular. */
  readonly account?: number;
}

export interface Summary {
  readonly tests: number;
  readonly pids: readonly number[];
  readonly logins: number;
  /** Per account, how many tests used it. */
  readonly uses: ReadonlyMap<number, number>;
  /** An account begun while somebody else had not ended with it, in words. */
  readonly overlaps: readonly string[];
}

/** Appends one entry: a single write, so lines of several processes never mix. */
export function record(journal: string, entry: Entry): void {
  appendFileSync(journal, `${JSON.stringify(entry)}\n`);
}

/** Every entry in the order it was written; none when nobody wrote. */
export function readJournal(journal: string): readonly Entry[] {
  if (!existsSync(journal)) return [];
  const lines = readFileSync(journal, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line): Entry => JSON.parse(line));
}

/** The facts of a run. An account is used by one at a time when its entries alternate: begin, end, begin, end. */
export function summarize(entries: readonly Entry[]): Summary {
  const users = new Map<number, string>();
  const uses = new Map<number, number>();
  const overlaps: string[] = [];
  for (const { event, account, worker, test } of entries) {
    if (account === undefined) continue;
    const user = `worker ${worker} (${test})`;
    const current = users.get(account);
    if (event === "end" && current === user) {
      users.delete(account);
      continue;
    }
    if (current !== undefined || event === "end")
      overlaps.push(`account ${account}: ${user} and ${current ?? "nobody"}`);
    users.set(account, user);
    if (event === "begin") uses.set(account, (uses.get(account) ?? 0) + 1);
  }
  return {
    tests: entries.filter(({ event }) => event === "begin").length,
    pids: [...new Set(entries.map(({ pid }) => pid))],
    logins: entries.filter(({ event }) => event === "login").length,
    uses: new Map([...uses].sort(([a], [b]) => a - b)),
    overlaps,
  };
}

/** Where the run's processes write: its folder is named by the environment. */
export function journalIn(folder: string): string {
  return `${folder}/journal.jsonl`;
}

/** `checkout.test.ts: pays` */
export function testName(file: string, title: string): string {
  return `${basename(file)}: ${title}`;
}
