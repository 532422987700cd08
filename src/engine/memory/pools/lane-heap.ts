/**
 * Lanes by whose turn it is: a binary heap, so that a session that dies with thousands of locks, each with somebody behind it,
 * costs each of them the same. Knows nothing of who is served.
 */
import type { Lane } from "./pool-lanes.ts";

export class LaneHeap {
  readonly #lanes: Lane[] = [];

  /** The lane with the earliest `turn`. */
  get first(): Lane | undefined {
    return this.#lanes[0];
  }

  add(lane: Lane): void {
    const lanes = this.#lanes;
    let index = lanes.length;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = lanes[parentIndex];
      if (parent === undefined || parent.turn <= lane.turn) break;
      lanes[index] = parent;
      index = parentIndex;
    }
    lanes[index] = lane;
  }

  removeFirst(): void {
    const last = this.#lanes.pop();
    if (last !== undefined && this.#lanes.length > 0) this.#sink(last);
  }

  /** The first lane's `turn` is later than it was. */
  firstPostponed(): void {
    const [first] = this.#lanes;
    if (first !== undefined) this.#sink(first);
  }

  clear(): void {
    this.#lanes.length = 0;
  }

  /** Puts `lane` into the hole at the top, or where it belongs below. */
  #sink(lane: Lane): void {
    const lanes = this.#lanes;
    let index = 0;
    for (;;) {
      const leftIndex = 2 * index + 1;
      const [left, right] = [lanes[leftIndex], lanes[leftIndex + 1]];
      const child = right !== undefined && left !== undefined && right.turn < left.turn ? right : left;
      if (child === undefined || lane.turn <= child.turn) break;
      lanes[index] = child;
      index = child === left ? leftIndex : leftIndex + 1;
    }
    lanes[index] = lane;
  }
}
