/**
 * Which slots one `acquire` gets: all it wants, or none. Wants of different pools do not touch each other; those of one pool
 * may compete for the same items, so what was chosen for one want moves to another item when a later want needs it.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { LastSlots } from "./last-slots.ts";
import type { PoolWaiter, Want } from "./pool-waiter.ts";

/** As many slots as each want counts, in the wants' order. */
export type SlotChoice = readonly number[];

/** Slots a want may have, the best first; at least `atMost` of them where there are so many. */
type Candidates = (want: Want, atMost: number) => readonly number[];

/** The slots `waiter` may have now, without overtaking anybody who came before it; undefined when that is not all it wants. */
export function chooseSlots(waiter: PoolWaiter, lastSlots: LastSlots): SlotChoice | undefined {
  const { caller, request, wants } = waiter;
  const only = wants[0];
  if (wants.length === 1 && only !== undefined) {
    const preferred = request.prefersLast ? lastSlots.of(caller.id, only.pool.name) : -1;
    const slots = only.pool.slotsFor(only, { atMost: only.count, preferred });
    return slots.length < only.count ? undefined : slots;
  }
  return choose(wants, (want, atMost) => {
    const preferred = request.prefersLast ? lastSlots.of(caller.id, want.pool.name) : -1;
    return want.pool.slotsFor(want, { atMost, preferred });
  });
}

/** The same among `candidates`, whatever they are. */
export function choose(wants: readonly Want[], candidates: Candidates): SlotChoice | undefined {
  const chosen: number[] = [];
  for (const want of wants) {
    if (isOneOfSeveral(want, wants)) return chooseTogether(wants, candidates);
    const slots = candidates(want, want.count);
    if (slots.length < want.count) return undefined;
    chosen.push(...slots);
  }
  return chosen;
}

/** @throws {EphemeralError} `size_mismatch` when `wants` could not be met if nobody else held or wanted anything */
export function refuseImpossible(wants: readonly Want[]): void {
  for (const { pool, selection, count } of wants) {
    if (selection.slots.size >= count || pool.size === 0) continue;
    const such = selection.tags.length === 0 ? "items" : `items with ${tagsInWords(selection.tags)}`;
    throw tooFew(`${count} of ${JSON.stringify(pool.name)}`, `it has ${selection.slots.size} ${such}`);
  }
  if (wants.length === 1) return;
  const known = wants.filter(({ pool }) => pool.size > 0);
  if (!known.some((want) => isOneOfSeveral(want, known)) || choose(known, everySlot) !== undefined) return;
  throw tooFew("so many items of one pool", "it does not have as many different ones with these tags");
}

/** `tag "admin"`, `tags "admin" and "fr"`. */
export function tagsInWords(tags: readonly string[]): string {
  return `tag${tags.length === 1 ? "" : "s"} ${tags.map((tag) => JSON.stringify(tag)).join(" and ")}`;
}

function tooFew(wanted: string, actual: string): EphemeralError {
  return new EphemeralError("size_mismatch", `Cannot acquire ${wanted}: ${actual}`);
}

function everySlot({ selection: { slots } }: Want): readonly number[] {
  const all: number[] = [];
  for (let slot = slots.next(0); slot >= 0; slot = slots.next(slot + 1)) all.push(slot);
  return all;
}

function isOneOfSeveral(want: Want, wants: readonly Want[]): boolean {
  return wants.length > 1 && wants.some((other) => other !== want && other.pool === want.pool);
}

/** Gives each want its slots one by one. A want that finds none left asks the wants that have one it could use to take
 *  another in its place, and so on; each want is asked once a slot. */
function chooseTogether(wants: readonly Want[], candidates: Candidates): SlotChoice | undefined {
  const holders = new Map(wants.map(({ pool }) => [pool, new Map<number, Seeker>()]));
  const seekers = wants.map((want): Seeker => {
    const slots = candidates(want, Number.POSITIVE_INFINITY);
    return { slots, triedCount: 0, chosen: new Set(), holders: holders.get(want.pool) ?? new Map() };
  });
  for (const [index, seeker] of seekers.entries()) {
    const count = wants[index]?.count ?? 0;
    while (seeker.chosen.size < count) if (!giveOne(seeker, new Set())) return undefined;
  }
  return seekers.flatMap(({ chosen }) => [...chosen]);
}

/** A want while slots are chosen for several of one pool. */
interface Seeker {
  /** What it may have. */
  readonly slots: readonly number[];
  /** So many of them, from the first on, somebody has. */
  triedCount: number;
  readonly chosen: Set<number>;
  /** Who has which slot of the pool. */
  readonly holders: Map<number, Seeker>;
}

function giveOne(seeker: Seeker, asked: Set<Seeker>): boolean {
  const { slots, holders } = seeker;
  asked.add(seeker);
  for (; seeker.triedCount < slots.length; seeker.triedCount++) {
    const slot = slots[seeker.triedCount];
    if (slot !== undefined && !holders.has(slot)) return move(slot, seeker);
  }
  for (const slot of slots) {
    const holder = holders.get(slot);
    if (holder !== undefined && !asked.has(holder) && giveOne(holder, asked)) return move(slot, seeker);
  }
  return false;
}

function move(slot: number, seeker: Seeker): true {
  seeker.holders.get(slot)?.chosen.delete(slot);
  seeker.holders.set(slot, seeker);
  seeker.chosen.add(slot);
  return true;
}
