/**
 * Durations, sizes and counts as people write them on a command line, and durations as they like to read them.
 * A reader answers undefined for anything it cannot take whole; who asked knows what to call it.
 */
import { KiB, MiB } from "../protocol/sizes.ts";

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const durationUnits = new Map([
  ["", 1],
  ["ms", 1],
  ["s", secondMs],
  ["m", minuteMs],
  ["h", hourMs],
  ["d", dayMs],
]);

const sizeUnits = new Map([
  ["", 1],
  ["B", 1],
  ["kB", 1000],
  ["KiB", KiB],
  ["MB", 1_000_000],
  ["MiB", MiB],
  ["GB", 1_000_000_000],
  ["GiB", 1024 * MiB],
]);

/** How a text becomes a number, and what to call what it should have been. */
export interface Unit {
  readonly read: (text: string) => number | undefined;
  /** Exactly, in a form that reads back. */
  readonly write: (amount: number) => string;
  /** For messages: "a duration such as …". */
  readonly form: string;
  /** For help: `DURATION`. */
  readonly hint: string;
}

export const durationUnit: Unit = {
  read: parseDurationMs,
  write: (amount) => writeExactly(amount, ["d", "h", "m", "s", "ms"], durationUnits),
  form: "a duration such as 500ms, 10s, 5m, 2h or 1d",
  hint: "DURATION",
};
export const sizeUnit: Unit = {
  read: parseSizeBytes,
  write: (amount) => writeExactly(amount, ["GiB", "MiB", "KiB", "B"], sizeUnits),
  form: "a size such as 4096, 10kB, 64KiB or 1MiB",
  hint: "SIZE",
};
export const countUnit: Unit = {
  read: parseCount,
  write: (amount) => `${amount}`,
  form: "a whole number such as 100",
  hint: "N",
};

export const numberUnit: Unit = {
  read: parseNumber,
  write: (amount) => `${amount}`,
  form: "a number such as 5, -1 or 0.5",
  hint: "NUMBER",
};

/** Milliseconds of `500ms 10s 5m 2h 1.5d`; a bare number is milliseconds. */
function parseDurationMs(text: string): number | undefined {
  return parseWithUnit(text, durationUnits);
}

/** Bytes of `64KiB 1MiB 10kB`; a bare number is bytes. */
function parseSizeBytes(text: string): number | undefined {
  return parseWithUnit(text, sizeUnits);
}

/** A whole number, not negative, in plain digits. */
function parseCount(text: string): number | undefined {
  return /^\d+$/.test(text) ? safeInteger(Number(text)) : undefined;
}

/** Any number a count can change by, in plain digits. */
function parseNumber(text: string): number | undefined {
  const number = /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : undefined;
}

function parseWithUnit(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = units.get(unit ?? "");
  // 1.1 * 1000 is 1100.0000000000001: what is a whole number but for that is taken as one.
  return digits === undefined || factor === undefined ? undefined : safeInteger(rounded(Number(digits) * factor));
}

/** In the largest of `units`, largest first, that leaves nothing over. */
function writeExactly(amount: number, units: readonly string[], factors: ReadonlyMap<string, number>): string {
  for (const unit of units) {
    const factor = factors.get(unit) ?? 1;
    if (amount !== 0 && amount % factor === 0) return `${amount / factor}${unit}`;
  }
  return `${amount}`;
}

function rounded(amount: number): number {
  const whole = Math.round(amount);
  return Math.abs(whole - amount) < 1e-6 ? whole : amount;
}

function safeInteger(amount: number): number | undefined {
  return Number.isSafeInteger(amount) ? amount : undefined;
}

/** `850ms`, `12s`, `2m 5s`, `3h`, `1d 2h`: the two largest units that are not zero, rounded down. */
export function formatDuration(durationMs: number): string {
  if (durationMs < secondMs) return `${Math.max(0, Math.floor(durationMs))}ms`;
  const parts = (
    [
      ["d", dayMs, Number.POSITIVE_INFINITY],
      ["h", hourMs, 24],
      ["m", minuteMs, 60],
      ["s", secondMs, 60],
    ] as const
  ).map(([unit, unitMs, wrap]) => [Math.floor(durationMs / unitMs) % wrap, unit] as const);
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(" ");
}

/** `812 B`, `64 KiB`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < KiB) return `${bytes} B`;
  const [amount, unit] = bytes < MiB ? [bytes / KiB, "KiB"] : [bytes / MiB, "MiB"];
  return `${amount.toFixed(1).replace(".0", "")} ${unit}`;
}
