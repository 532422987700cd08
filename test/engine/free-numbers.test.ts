import { expect, test } from "bun:test";
import fc from "fast-check";
import { FreeNumbers } from "../../src/engine/memory/free-numbers.ts";

test("FreeNumbers.take() counts from 0 and takes the lowest given back first", () => {
  const free = new FreeNumbers();
  const taken = [free.take(), free.take(), free.take(), free.take()];
  for (const number of [2, 0, 3]) free.give(number);
  expect([...taken, free.take(), free.take(), free.take(), free.take()]).toEqual([0, 1, 2, 3, 0, 2, 3, 4]);
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
