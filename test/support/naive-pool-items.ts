/** Items of a naive pool, and which of them a set of wants may get. Plain lists; small numbers of everything. */
import type { PoolMode, PoolWant } from "../../src/protocol/pools.ts";
import type { Grant } from "./naive-pools.ts";

export interface Item {
  readonly slot: number;
  text: string;
  readonly value: string;
  tags: readonly string[];
  holders: { readonly grant: Grant; readonly mode: PoolMode }[];
  isQuarantined: boolean;
  isLeaving: boolean;
}

export interface Pool {
  readonly name: string;
  kind: "awaited" | "made" | "defined";
  items: Item[];
  definition: string | undefined;
}

/** The items, in the order of the wants; of several right choices the one that was given, which is checked to be right. */
export type Chosen = (
  given: readonly string[] | undefined,
) => readonly { readonly want: PoolWant; readonly item: Item }[];

export function hasAll(tags: readonly string[], match: readonly string[]): boolean {
  return match.every((tag) => tags.includes(tag));
}

export function isOpen(item: Item, mode: PoolMode): boolean {
  if (item.isQuarantined) return false;
  return mode === "exclusive" ? item.holders.length === 0 : item.holders.every((holder) => holder.mode === "shared");
}

/** Whether the two keep each other from an item both could use. */
export function conflicts(a: PoolWant, b: PoolWant): boolean {
  return a.pool === b.pool && (a.mode === "exclusive" || b.mode === "exclusive");
}

/** The first choice of each want where its pool is wanted once; where it is wanted several times whatever was given, if it
 *  is possible at all. */
export function chooseNaively(
  wants: readonly PoolWant[],
  candidates: (want: PoolWant) => readonly Item[],
): Chosen | undefined {
  const lists = wants.map((want) => candidates(want));
  for (const [index, want] of wants.entries()) {
    const ofPool = wants.flatMap((other, at) => (other.pool === want.pool ? [at] : []));
    if (
      ofPool[0] === index &&
      !isPossible(ofPool.map((at) => ({ count: wants[at]?.count ?? 0, list: lists[at] ?? [] })))
    ) {
      return undefined;
    }
  }
  return (given) => {
    const left = [...(given ?? [])];
    const taken = new Set<Item>();
    return wants.flatMap((want, index) => {
      const list = lists[index] ?? [];
      const isAlone = wants.filter(({ pool }) => pool === want.pool).length === 1;
      const slots = left.splice(0, want.count);
      const items = isAlone
        ? list.slice(0, want.count)
        : slots.flatMap((slot) => list.find((i) => `${want.pool}/${i.slot}` === slot) ?? []);
      for (const item of items) {
        if (taken.has(item)) throw new Error(`${want.pool}/${item.slot} was given twice in one grant`);
        taken.add(item);
      }
      if (items.length !== want.count)
        throw new Error(`of ${want.pool} was given ${slots}, which is not what was wanted`);
      return items.map((item) => ({ want, item }));
    });
  };
}

/** Whether each can get its count of different items: by trying everything. */
function isPossible(
  seekers: readonly { readonly count: number; readonly list: readonly Item[] }[],
  used = new Set<Item>(),
): boolean {
  const [first, ...rest] = seekers;
  if (!first) return true;
  if (first.count === 0) return isPossible(rest, used);
  return first.list.some((item, index) => {
    if (used.has(item)) return false;
    const next = { count: first.count - 1, list: first.list.slice(index + 1) };
    return isPossible([next, ...rest], new Set([...used, item]));
  });
}
