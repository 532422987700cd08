/**
 * Everything that ends at an instant, ordered by that instant: an indexed binary heap whose nodes are the entries, leases
 * and waits themselves, so that a deadline costs three numbers and no object. One alarm of the clock is set for the
 * soonest. Knows nothing of what ends: it calls `expire()`.
 */
import type { CancelAlarm, Clock } from "./clock.ts";

/** Something with a deadline. The heap writes `heapIndex` and `heapOrder`; its owner writes only through the heap. */
export abstract class Expiring {
  /** Unix milliseconds; it is over once the clock says this or more. Infinity: never. */
  expiresAtMs = Number.POSITIVE_INFINITY;
  /** Where the heap keeps it, −1 while it has no deadline. */
  heapIndex = -1;
  /** Ties end in the order their deadlines were set. */
  heapOrder = 0;
  /** Called once, at `nowMs`, when the deadline has passed and the heap has let go of it. Must not throw. */
  abstract expire(nowMs: number): void;
}

export class ExpiryHeap {
  readonly #clock: Clock;
  readonly #nodes: Expiring[] = [];
  #order = 0;
  #cancelAlarm: CancelAlarm | undefined;
  #alarmAtMs = Number.POSITIVE_INFINITY;
  #sweptAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#nodes.length;
  }

  /** The instant of the last sweep, the present one included: what happens in it, and in the command after it, happens then. */
  get sweptAtMs(): number {
    return this.#sweptAtMs;
  }

  /** Gives `node` the deadline `expiresAtMs`, in place of the one it had. Infinity takes it out. O(log n). */
  set(node: Expiring, expiresAtMs: number): void {
    if (expiresAtMs === Number.POSITIVE_INFINITY) {
      this.remove(node);
      return;
    }
    node.expiresAtMs = expiresAtMs;
    node.heapOrder = this.#order++;
    if (node.heapIndex === -1) this.#siftUp(node, this.#nodes.length);
    else this.#settle(node, node.heapIndex);
    this.#armFor(expiresAtMs);
  }

  /** Takes `node` out; it never expires then. Harmless for a node without a deadline. O(log n). */
  remove(node: Expiring): void {
    const index = node.heapIndex;
    node.expiresAtMs = Number.POSITIVE_INFINITY;
    if (index !== -1) this.#detach(node);
  }

  /** Ends everything whose deadline has passed, soonest first, and tells the time it went by. Without anything due it
   *  costs one comparison; otherwise O(log n) for each that ends, whatever else is kept. */
  sweep(): number {
    const nowMs = this.#clock.nowMs();
    this.#sweptAtMs = nowMs;
    for (let node = this.#nodes[0]; node !== undefined && node.expiresAtMs <= nowMs; node = this.#nodes[0]) {
      this.#detach(node);
      node.expire(nowMs);
    }
    return nowMs;
  }

  /** Forgets every deadline and cancels the alarm. */
  clear(): void {
    for (const node of this.#nodes) node.heapIndex = -1;
    this.#nodes.length = 0;
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
    this.#alarmAtMs = Number.POSITIVE_INFINITY;
  }

  /** An alarm that is too early is left alone: it finds nothing due and is set again. Setting one anew for each `set` of a
   *  key would cost more than the `set`. */
  #armFor(atMs: number): void {
    if (atMs >= this.#alarmAtMs) return;
    this.#cancelAlarm?.();
    this.#alarmAtMs = atMs;
    this.#cancelAlarm = this.#clock.schedule(atMs, () => {
      this.#cancelAlarm = undefined;
      this.#alarmAtMs = Number.POSITIVE_INFINITY;
      this.sweep();
      const soonest = this.#nodes[0];
      if (soonest !== undefined) this.#armFor(soonest.expiresAtMs);
    });
  }

  /** Fills the hole `node` leaves with the last node. */
  #detach(node: Expiring): void {
    const index = node.heapIndex;
    const last = this.#nodes.pop();
    node.heapIndex = -1;
    if (last === undefined || last === node) return;
    this.#settle(last, index);
  }

  /** Finds the place of `node`, starting at the hole at `index`. */
  #settle(node: Expiring, index: number): void {
    const parent = this.#nodes[(index - 1) >> 1];
    if (index > 0 && parent !== undefined && isSooner(node, parent)) this.#siftUp(node, index);
    else this.#siftDown(node, index);
  }

  #siftUp(node: Expiring, fromIndex: number): void {
    const nodes = this.#nodes;
    let index = fromIndex;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = nodes[parentIndex];
      if (parent === undefined || isSooner(parent, node)) break;
      nodes[index] = parent;
      parent.heapIndex = index;
      index = parentIndex;
    }
    nodes[index] = node;
    node.heapIndex = index;
  }

  #siftDown(node: Expiring, fromIndex: number): void {
    const nodes = this.#nodes;
    let index = fromIndex;
    for (;;) {
      const child = soonerChildOf(nodes, index);
      if (child === undefined || isSooner(node, child)) break;
      const childIndex = child.heapIndex;
      nodes[index] = child;
      child.heapIndex = index;
      index = childIndex;
    }
    nodes[index] = node;
    node.heapIndex = index;
  }
}

function soonerChildOf(nodes: readonly Expiring[], index: number): Expiring | undefined {
  const left = nodes[2 * index + 1];
  const right = nodes[2 * index + 2];
  return left !== undefined && right !== undefined && isSooner(right, left) ? right : left;
}

function isSooner(a: Expiring, b: Expiring): boolean {
  return a.expiresAtMs < b.expiresAtMs || (a.expiresAtMs === b.expiresAtMs && a.heapOrder < b.heapOrder);
}
