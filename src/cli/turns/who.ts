/**
 * Who has something, since when and who waits for it, in one line for people: the answer of `why`, and what is said of a long
 * wait. Reads what the broker tells; knows no command.
 */
import type { WhyHolder, WhyQuarantined, WhyReply, WhyWaiter } from "../../protocol/pools.ts";
import { formatDuration } from "../units.ts";

/** So many are named; the others are counted. */
const namedMax = 3;

/** `"database": held by checkout.spec.ts for 41s; waiting: login.spec.ts for 12s` */
export function whoInWords(why: WhyReply, nowMs: number): string {
  const { name, holdersCount, waitersCount, quarantined, quarantinedCount, cycle } = why;
  const parts = [
    holdersInWords(why, nowMs),
    several(quarantined.map(quarantineInWords), quarantinedCount),
    waitersCount === 0 ? "" : `waiting: ${waitersInLine(why, nowMs)}`,
    cycle === undefined ? "" : `in a circle: ${cycle}`,
  ];
  const isAlone = holdersCount === 0 && waitersCount === 0;
  const said = parts.filter((part) => part !== "").join("; ");
  return `${JSON.stringify(name)}: ${said}${isAlone ? "; nobody waits" : ""}`;
}

/** Who holds it, or what there is of it. */
function holdersInWords({ holders, holdersCount, size, free }: WhyReply, nowMs: number): string {
  const of = size === undefined || size <= 1 ? "" : `${free} of ${size} free`;
  if (holdersCount === 0) return of || (size === 0 ? "nobody has defined it, or it is empty" : "nobody holds it");
  const named = holders.map((holder) => {
    const shared = holder.mode === "shared" ? " (shared)" : "";
    return `${itemOf(holder, size)}held by ${nameOf(holder)} for ${since(holder, nowMs)}${shared}`;
  });
  return `${of}${of && "; "}${several(named, holdersCount)}`;
}

function itemOf({ item, kind }: WhyHolder, size: number | undefined): string {
  if (item === undefined || size === 1) return "";
  return `${kind === "lease" ? "number" : "item"} ${item} `;
}

function waitersInWords(
  waiters: readonly WhyWaiter[],
  { name, nowMs }: { name: string; nowMs: number },
): readonly string[] {
  const plain = JSON.stringify(name);
  return waiters.map((waiter) => {
    const wants = waiter.wants === plain ? "" : ` (for ${waiter.wants})`;
    return `${nameOf(waiter)} for ${since(waiter, nowMs)}${wants}`;
  });
}

function quarantineInWords({ item, reason, label }: WhyQuarantined): string {
  return `item ${item} quarantined by ${label}: ${reason}`;
}

/** Who waits, in the order they came. */
export function waitersInLine({ name, waiters, waitersCount }: WhyReply, nowMs: number): string {
  return several(waitersInWords(waiters, { name, nowMs }), waitersCount);
}

/** The label, which people chose; else what the kernel knows; of a lease its worker. */
export function nameOf({
  label,
  session,
  workerId,
}: {
  readonly label?: string | undefined;
  readonly session?: string | undefined;
  readonly workerId?: string | undefined;
}): string {
  const who = label ?? session;
  if (workerId === undefined) return who ?? "nobody who is connected";
  return who === undefined ? workerId : `${workerId} (${who})`;
}

function since({ sinceAtMs }: { readonly sinceAtMs: number }, nowMs: number): string {
  return formatDuration(nowMs - sinceAtMs);
}

function several(named: readonly string[], count: number): string {
  const shown = named.slice(0, namedMax);
  return count > shown.length ? `${shown.join(", ")} and ${count - shown.length} more` : shown.join(", ");
}
