/** What a measure is: a few rounds over everybody who takes part, and then a table and verdicts on our goals. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Contestant, Running } from "./contestant.ts";
import { type Summary, summarize } from "./statistics.ts";

export interface Goal {
  readonly text: string;
  readonly value: number;
  readonly isReached: boolean;
}

/** Our figure beside the best rival's, for one row of the README's table. */
export interface Headline {
  /** What is counted. */
  readonly unit: string;
  readonly ours: number;
  readonly rival?: { readonly name: string; readonly value: number } | undefined;
  /** The median of the rounds' ratios. */
  readonly ratio?: number | undefined;
}

export interface Result {
  readonly id: string;
  readonly title: string;
  readonly headline: Headline;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly goals: readonly Goal[];
  /** Who did not take part, and why. */
  readonly missing: readonly string[];
  /** Every round's raw figures, by contestant. */
  readonly raw: unknown;
}

export interface Measure {
  readonly id: string;
  readonly title: string;
  run(options: { readonly rounds: number; readonly progress: (text: string) => void }): Promise<Result>;
}

/** Starts every contestant that can take part, gives them to `work`, and stops them whatever happens. */
export async function withContestants<T>(
  wanted: readonly Contestant[],
  work: (running: ReadonlyMap<Contestant, Running>) => Promise<T>,
): Promise<{ readonly outcome: T; readonly missing: readonly string[] }> {
  const directory = mkdtempSync(join(tmpdir(), "eph-bench-"));
  const running = new Map<Contestant, Running>();
  const missing: string[] = [];
  try {
    for (const contestant of wanted) {
      const why = contestant.missing();
      if (why !== undefined) missing.push(`${contestant.name}: ${why}`);
      else running.set(contestant, await contestant.start(directory));
    }
    return { outcome: await work(running), missing };
  } finally {
    for (const { stop } of running.values()) await stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Who of `wanted` can take part, and why the others cannot. */
export function partake<T extends { readonly name: string; missing(): string | undefined }>(
  wanted: readonly T[],
): { readonly present: readonly T[]; readonly missing: readonly string[] } {
  return {
    present: wanted.filter((one) => one.missing() === undefined),
    missing: wanted.flatMap((one) => (one.missing() === undefined ? [] : [`${one.name}: ${one.missing()}`])),
  };
}

/** Figures of one kind, by contestant, over the rounds so far. */
export class Rounds {
  readonly #values = new Map<string, number[]>();

  add(name: string, value: number): void {
    this.#values.set(name, [...(this.#values.get(name) ?? []), value]);
  }

  of(name: string): Summary {
    return summarize(this.#values.get(name) ?? []);
  }

  /** The median of `name`'s figure over `other`'s, round by round. */
  ratio(name: string, other: string): number {
    const theirs = this.#values.get(other) ?? [];
    return summarize((this.#values.get(name) ?? []).map((value, round) => value / (theirs[round] ?? Number.NaN)))
      .median;
  }

  toJSON(): Record<string, readonly number[]> {
    return Object.fromEntries(this.#values);
  }
}

export interface HeadlineOptions {
  readonly unit: string;
  /** The contestant that is us. */
  readonly ours: string;
  /** Who does the same thing; whoever was not there is left out. */
  readonly rivals?: readonly string[];
  /** Else the larger figure is. */
  readonly isLessBetter?: boolean;
}

export function headline(
  figures: Rounds,
  { unit, ours, rivals = [], isLessBetter = false }: HeadlineOptions,
): Headline {
  const [rival] = rivals
    .map((name) => ({ name, value: figures.of(name).median }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => (isLessBetter ? a.value - b.value : b.value - a.value));
  const ratio = rival && figures.ratio(ours, rival.name);
  return { unit, ours: figures.of(ours).median, rival, ratio };
}

/** The names of `contestants`. */
export function namesOf(contestants: readonly { readonly name: string }[]): readonly string[] {
  return contestants.map(({ name }) => name);
}

/** In a word; what an absent contestant would have to be compared with is neither reached nor missed. */
export function verdictOn({ value, isReached }: Goal): "reached" | "MISSED" | "not measured" {
  if (Number.isNaN(value)) return "not measured";
  return isReached ? "reached" : "MISSED";
}

export function goal(text: string, value: number, isReached: boolean): Goal {
  return { text, value, isReached };
}
