import { describe, expect, test } from "bun:test";
import { SlotSet } from "../../src/engine/memory/pools/slot-set.ts";
import { announceSeed, Random } from "../support/random.ts";
import { isThorough } from "../support/thorough.ts";

const edges = [0, 1, 30, 31, 32, 33, 63, 64, 9_999];

function listOf(slots: SlotSet, other?: SlotSet): readonly number[] {
  const list: number[] = [];
  for (let slot = slots.next(0, other); slot >= 0; slot = slots.next(slot + 1, other)) list.push(slot);
  return list;
}

describe("SlotSet", () => {
  test.each(edges)("fill(%d) makes it the slots below, and nothing else", (end) => {
    const slots = new SlotSet();
    slots.add(10_000);
    slots.fill(end);
    expect({ size: slots.size, list: listOf(slots) }).toEqual({
      size: end,
      list: Array.from({ length: end }, (_, slot) => slot),
    });
  });

  test.each(edges)("keeps slot %d alone", (slot) => {
    const slots = new SlotSet();
    slots.add(slot);
    slots.add(slot);
    expect([
      slots.size,
      slots.has(slot),
      slots.has(slot + 1),
      slots.next(0),
      slots.next(slot),
      slots.next(slot + 1),
    ]).toEqual([1, true, false, slot, slot, -1]);
    slots.delete(slot);
    slots.delete(slot);
    expect([slots.size, slots.has(slot), slots.next(0)]).toEqual([0, false, -1]);
  });

  test("goes like a Set, whatever is added, deleted and asked", () => {
    announceSeed("slot-set");
    const random = new Random();
    const [sets, plain] = [
      [new SlotSet(), new SlotSet(), new SlotSet()],
      [new Set(), new Set(), new Set()] as Set<number>[],
    ];
    for (let step = 0; step < (isThorough ? 20_000 : 3000); step++) {
      const which = random.integer(3);
      // Now crowded together, now far apart.
      const slot = random.integer(random.integer(2) === 0 ? 40 : 2000);
      if (random.integer(2) === 0) {
        sets[which]?.add(slot);
        plain[which]?.add(slot);
      } else
        for (const below of [slot, slot >> 1]) {
          sets[which]?.delete(below);
          plain[which]?.delete(below);
        }
      const [a, b, c] = sets as [SlotSet, SlotSet, SlotSet];
      const [x, y, z] = plain as [Set<number>, Set<number>, Set<number>];
      const common = [...x.intersection(y)].sort((one, other) => one - other);
      expect([a.size, a.next(slot), a.next(slot, b), a.meets(b, c)]).toEqual([
        x.size,
        [...x].filter((one) => one >= slot).sort((one, other) => one - other)[0] ?? -1,
        common.find((one) => one >= slot) ?? -1,
        common.some((one) => z.has(one)),
      ]);
    }
  }, 20_000);
});
