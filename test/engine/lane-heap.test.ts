import { expect, test } from "bun:test";
import fc from "fast-check";
import { LaneHeap } from "../../src/engine/memory/pools/lane-heap.ts";
import { Lane } from "../../src/engine/memory/pools/pool-lanes.ts";
import { SlotSet } from "../../src/engine/memory/pools/slot-set.ts";
import { Selection } from "../../src/engine/memory/pools/tag-index.ts";

function laneAt(turn: number): Lane {
  const lane = new Lane(new Selection([], new SlotSet()), "exclusive", undefined);
  lane.turn = turn;
  return lane;
}

test("LaneHeap gives lanes in the order of their turns, whichever come, go and fall behind", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), turn: fc.nat(50) }),
    fc.record({ kind: fc.constant("postpone" as const), turn: fc.nat(20) }),
    fc.record({ kind: fc.constant("remove" as const), turn: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const heap = new LaneHeap();
      let plain: Lane[] = [];
      for (const { kind, turn } of steps) {
        const { first } = heap;
        if (kind === "add") {
          const lane = laneAt(turn);
          heap.add(lane);
          plain.push(lane);
        } else if (kind === "remove") {
          heap.removeFirst();
          plain = plain.filter((lane) => lane !== first);
        } else if (first !== undefined) {
          first.turn += turn;
          heap.firstPostponed();
        }
        // Of several with one turn any may be first.
        expect(heap.first?.turn).toBe(plain.map((lane) => lane.turn).sort((a, b) => a - b)[0]);
        if (heap.first !== undefined) expect(plain).toContain(heap.first);
      }
    }),
  );
});
