/**
 * What people are told of pools: what somebody wants, who has it and for how long, who comes first. Reads pools and waiters,
 * changes nothing.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import { inWords, listed, nameOf } from "../../wording.ts";
import type { Pool } from "./pool.ts";
import type { PoolItem } from "./pool-item.ts";
import type { PoolWaiter, Want } from "./pool-waiter.ts";
import { tagsInWords } from "./slot-choice.ts";

/** `"accounts"`, `2 of "accounts" with tag "admin"`, `"database" (shared)`, several with "and" between them. */
export function wantsInWords({ wants }: PoolWaiter): string {
  return wants.map(wantInWords).join(" and ");
}

function wantInWords({ pool, selection, count, mode }: Want): string {
  const number = count === 1 ? "" : `${count} of `;
  const tags = selection.tags.length === 0 ? "" : ` with ${tagsInWords(selection.tags)}`;
  return `${number}${JSON.stringify(pool.name)}${tags}${mode === "shared" ? " (shared)" : ""}`;
}

/** The pools of a wait, as `ps` shows them. */
export function namesOf({ wants }: PoolWaiter): string {
  const [only] = wants;
  if (wants.length === 1 && only !== undefined) return only.pool.name;
  return [...new Set(wants.map(({ pool }) => pool.name))].join(", ");
}

/** `"accounts" item 2`; of a lock only its name. */
export function itemInWords(pool: Pool, slot: number): string {
  const name = JSON.stringify(pool.name);
  return pool.kind === "made" && pool.size === 1 ? name : `${name} item ${slot}`;
}

/** Why `waiter` does not have what it wants, item by item: `"accounts" item 2 held by checkout.spec.ts for 41 s`. */
export function hindrance(waiter: PoolWaiter, nowMs: number): string {
  const missing = waiter.wants.filter(isMissing);
  const sentences: string[] = [];
  let count = 0;
  // Several wants of one pool may each find an item, but the same one.
  for (const want of missing.length > 0 ? missing : waiter.wants) {
    const hindrances = hindrancesOf(want, { waiter, nowMs });
    sentences.push(...hindrances.sentences);
    count += hindrances.count;
  }
  return listed(sentences, count);
}

function isMissing(want: Want): boolean {
  return want.pool.slotsFor(want, { atMost: want.count, preferred: -1 }).length < want.count;
}

/** Sentences made of one want; whoever reads them sees the first few. */
const sentencesMax = 8;

function hindrancesOf(want: Want, at: { waiter: PoolWaiter; nowMs: number }): { sentences: string[]; count: number } {
  const { pool, selection } = want;
  if (pool.kind === "awaited") return { sentences: [`nobody has defined pool ${JSON.stringify(pool.name)}`], count: 1 };
  if (pool.size === 0) return { sentences: [`pool ${JSON.stringify(pool.name)} has no items`], count: 1 };
  const sentences: string[] = [];
  const { slots } = selection;
  for (let slot = slots.next(0); slot >= 0 && sentences.length < sentencesMax; slot = slots.next(slot + 1)) {
    const reason = hindranceOf(want, slot, at);
    if (reason !== undefined) sentences.push(`${itemInWords(pool, slot)} ${reason}`);
  }
  return { sentences, count: Math.max(sentences.length, sentences.length < sentencesMax ? 0 : slots.size) };
}

function hindranceOf(want: Want, slot: number, at: { waiter: PoolWaiter; nowMs: number }): string | undefined {
  const item = want.pool.itemAt(slot);
  if (item?.quarantine !== undefined && !item.isHeld) return `is quarantined: ${item.quarantine.reason}`;
  if (item !== undefined && !item.isOpenTo(want.mode)) return holdersInWords(item, at.nowMs);
  const first = firstClaimant(want, { slot, arrival: at.waiter.arrival });
  return first === undefined ? undefined : `is kept for ${nameOf(first.caller)}, who came first`;
}

/** `held by playwright:3 checkout.spec.ts for 41 s`, and how many others share it. */
export function holdersInWords(item: PoolItem, nowMs: number): string {
  const [first, ...others] = item.holders();
  if (first === undefined) return "is held by nobody";
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `held by ${nameOf(first.caller)} for ${inWords(nowMs - first.sinceAtMs)}${more}`;
}

/** Who, of those that came before `arrival`, keeps the item of `slot` from one who wants it like `want`. */
export function firstClaimant({ pool, mode }: Want, at: { slot: number; arrival: number }): PoolWaiter | undefined {
  let first: PoolWaiter | undefined;
  const item = pool.itemAt(at.slot) ?? { slot: at.slot, tags: [] };
  pool.lanes.someOf(item, (lane) => {
    const waiter = lane.wants.first?.waiter;
    if (lane.claims(mode, first?.arrival ?? at.arrival)) first = waiter;
    return false;
  });
  return first;
}

/** Who waits for anything of `pool`, in the order they came. */
export function waitersOf(pool: Pool): readonly PoolWaiter[] {
  const waiters = new Set<PoolWaiter>();
  for (const lane of pool.lanes.all()) {
    for (let want = lane.wants.first; want !== undefined; want = want.next) waiters.add(want.waiter);
  }
  return [...waiters].sort((a, b) => a.arrival - b.arrival);
}

/** What is answered to one that may not wait. */
export function refusedAtOnce(waiter: PoolWaiter): EphemeralError {
  const text = `Cannot acquire ${wantsInWords(waiter)}: ${hindrance(waiter, waiter.sinceAtMs)}`;
  const isUnknown = waiter.wants.some(({ pool }) => pool.kind === "awaited");
  return new EphemeralError(isUnknown ? "unknown_pool" : "pool_exhausted", text);
}

export function deadlock(waiter: PoolWaiter, cycle: string): EphemeralError {
  return new EphemeralError("deadlock", `Cannot acquire ${wantsInWords(waiter)}, it would wait for ever: ${cycle}`);
}

export function otherSize(pool: Pool, size: number): EphemeralError {
  const actual = pool.kind === "awaited" ? "items of the pool it was are held still" : `it has size ${pool.size}`;
  const text = `Cannot acquire ${JSON.stringify(pool.name)} of size ${size}: ${actual}`;
  return new EphemeralError("size_mismatch", text, { details: { size: pool.size } });
}

export function madeOnFirstUse(action: string, pool: Pool): EphemeralError {
  const actual = `it is in use, made on first use with size ${pool.size}`;
  const text = `Cannot ${action} pool ${JSON.stringify(pool.name)}: ${actual}`;
  return new EphemeralError("size_mismatch", text, { details: { size: pool.size } });
}
