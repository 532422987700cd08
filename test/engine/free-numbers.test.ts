import { expect, test } from "bun:test";
import fc from "fast-check";
import { FreeNumbers } from "../../src/engine/memory/free-numbers.ts";

test("FreeNumbers.take() counts from 0 and takes the lowest given back first", () => {
  const free = new FreeNumbers();
  const taken = [free.take(), free.take(), free.take(), free.take()];
  for (const number of [2, 0, 3]) free.give(number);
  expect([...taken, free.take(), free.take(), free.take(), free.take()]).toEqual([0, 1, 2, 3, 0, 2, 3, 4]);
});

test("FreeNumbers.take() gives back what was returned, lowest first, in whatever order it came", () => {
  const all = Array.from({ length: 40 }, (_, index) => index);
  fc.assert(
    fc.property(fc.shuffledSubarray(all), (returned) => {
      const free = new FreeNumbers();
      for (const _ of all) free.take();
      for (const number of returned) free.give(number);
      expect(returned.map(() => free.take())).toEqual([...returned].sort((a, b) => a - b));
      expect(free.take()).toBe(40);
    }),
  );
});

test("FreeNumbers.take() is the lowest number not held, after any takes and gives", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(99), { freq: 1 }), { maxLength: 300, size: "max" }), (program) => {
      const free = new FreeNumbers();
      const held = new Set<number>();
      for (const nth of program) {
        if (nth === null) {
          let lowest = 0;
          while (held.has(lowest)) lowest += 1;
          expect(free.take()).toBe(lowest);
          held.add(lowest);
        } else {
          const number = [...held][nth % Math.max(held.size, 1)];
          if (number === undefined) continue;
          held.delete(number);
          free.give(number);
        }
      }
    }),
  );
});
