import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Expiring, ExpiryHeap } from "../../src/engine/expiry-heap.ts";
import { ManualClock } from "../support/manual-clock.ts";

const startMs = 1_000_000;

/** Writes its name down when it ends. */
class Node extends Expiring {
  readonly #name: string;
  readonly #ended: string[];

  constructor(name: string, ended: string[]) {
    super();
    this.#name = name;
    this.#ended = ended;
  }

  override expire(nowMs: number): void {
    this.#ended.push(`${this.#name}@${nowMs - startMs}`);
  }
}

function fixture() {
  const clock = new ManualClock(startMs);
  const heap = new ExpiryHeap(clock);
  const ended: string[] = [];
  const node = (name: string): Node => new Node(name, ended);
  /** Sets a deadline `inMs` from the start. */
  const set = (target: Node, inMs: number): void => heap.set(target, startMs + inMs);
  return { clock, heap, ended, node, set };
}

describe("ExpiryHeap", () => {
  test("ends nodes at their deadlines by one alarm, soonest first", () => {
    const { clock, ended, node, set } = fixture();
    for (const inMs of [30, 10, 20]) set(node(`n${inMs}`), inMs);
    expect(clock.alarmsPending).toBe(1);
    clock.advance(9);
    expect(ended).toEqual([]);
    clock.advance(100);
    expect(ended).toEqual(["n10@10", "n20@20", "n30@30"]);
    expect(clock.alarmsPending).toBe(0);
  });

  test("ends ties in the order their deadlines were set", () => {
    const { clock, ended, node, set } = fixture();
    const names = Array.from({ length: 20 }, (_, index) => `n${index}`);
    const nodes = names.map(node);
    for (const each of nodes) set(each, 10);
    set(nodes[0] as Node, 10); // there are twenty
    clock.advance(10);
    expect(ended).toEqual([...names.slice(1), "n0"].map((name) => `${name}@10`));
  });

  test("sweep() ends what is due before the alarm goes off, once, and tells the time", () => {
    const { clock, heap, ended, node, set } = fixture();
    set(node("due"), 10);
    set(node("later"), 11);
    clock.skip(10);
    expect(heap.sweep()).toBe(startMs + 10);
    clock.advance(0);
    expect(ended).toEqual(["due@10"]);
    expect(heap.size).toBe(1);
  });

  test("a node moved or taken out does not end at its old deadline", () => {
    const { clock, heap, ended, node, set } = fixture();
    const [later, sooner, never, out] = [node("later"), node("sooner"), node("never"), node("out")];
    for (const each of [later, sooner, never, out]) set(each, 20);
    set(later, 30);
    set(sooner, 10);
    heap.set(never, Number.POSITIVE_INFINITY);
    heap.remove(out);
    heap.remove(out);
    expect([never.heapIndex, out.heapIndex, out.expiresAtMs]).toEqual([-1, -1, Number.POSITIVE_INFINITY]);
    clock.advance(100);
    expect(ended).toEqual(["sooner@10", "later@30"]);
  });

  test("a later deadline leaves the alarm alone: it finds nothing due and is set again", () => {
    const { clock, ended, node, set } = fixture();
    const key = node("key");
    set(key, 10);
    set(key, 1000);
    expect(clock.alarmsPending).toBe(1);
    clock.advance(999);
    expect(ended).toEqual([]);
    expect(clock.alarmsPending).toBe(1);
    clock.advance(1);
    expect(ended).toEqual(["key@1000"]);
  });

  test("a node may set and remove others while it ends", () => {
    const { clock, heap, ended, node, set } = fixture();
    const [victim, heir] = [node("victim"), node("heir")];
    const busy = new (class extends Expiring {
      override expire(): void {
        heap.remove(victim);
        set(heir, 15);
      }
    })();
    heap.set(busy, startMs + 10);
    set(victim, 10);
    clock.advance(20);
    expect(ended).toEqual(["heir@15"]);
  });

  test("clear() forgets all and cancels the alarm", () => {
    const { clock, heap, ended, node, set } = fixture();
    set(node("n"), 10);
    heap.clear();
    expect([heap.size, clock.alarmsPending]).toEqual([0, 0]);
    set(node("after"), 5);
    clock.advance(10);
    expect(ended).toEqual(["after@5"]);
  });

  test("ends in sorted order after any sets, moves and removals, with every index true", () => {
    const change = fc.record({
      nth: fc.nat(19),
      inMs: fc.option(fc.nat(50), { freq: 4, nil: Number.POSITIVE_INFINITY }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 100, size: "max" }), (changes) => {
        const { clock, heap, ended, node, set } = fixture();
        const nodes = Array.from({ length: 20 }, (_, index) => node(`n${index}`));
        const expected = new Map<number, { inMs: number; order: number }>();
        changes.forEach(({ nth, inMs }, order) => {
          set(nodes[nth] as Node, inMs); // nth is below twenty
          if (inMs === Number.POSITIVE_INFINITY) expected.delete(nth);
          else expected.set(nth, { inMs, order });
        });
        expect(heap.size).toBe(expected.size);
        clock.advance(50);
        const inOrder = [...expected].sort(([, a], [, b]) => a.inMs - b.inMs || a.order - b.order);
        expect(ended).toEqual(inOrder.map(([nth, { inMs }]) => `n${nth}@${inMs}`));
        expect(nodes.map(({ heapIndex }) => heapIndex)).toEqual(nodes.map(() => -1));
      }),
    );
  });
});
