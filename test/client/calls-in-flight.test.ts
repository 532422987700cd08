import { describe, expect, test } from "bun:test";
import { Call } from "../../src/client/connection/call.ts";
import { CallsInFlight } from "../../src/client/connection/calls-in-flight.ts";

function call(): Call {
  const start = { resolve() {}, reject() {}, onSettled() {}, nowMs: 0, deadlineMs: 0 };
  return new Call({ command: { action: "ping" }, read: () => undefined }, start);
}

describe("CallsInFlight", () => {
  test("takes each call once, by its number, in any order", () => {
    const calls = new CallsInFlight();
    const [first, second] = [call(), call()];
    expect([calls.add(first), calls.add(second), calls.size]).toEqual([1, 2, 2]);
    expect([calls.take(2), calls.take(2), calls.take(1), calls.size]).toEqual([second, undefined, first, 0]);
  });

  test("counts what has no caller until it is answered, and hands out no call for it", () => {
    const calls = new CallsInFlight();
    expect([calls.add(undefined), calls.size, calls.take(1), calls.size]).toEqual([1, 1, undefined, 0]);
  });

  test("passes over the places of calls that wait while a hundred thousand others come and go", () => {
    const calls = new CallsInFlight();
    const waiting = Array.from({ length: 40 }, call);
    for (const one of waiting) calls.add(one);
    for (let count = 0; count < 100_000; count++) {
      const other = call();
      if (calls.take(calls.add(other)) !== other) throw new Error(`call ${count} was lost`);
    }
    expect(calls.inOrder()).toEqual(waiting);
    expect(waiting.map(({ id }) => calls.take(id))).toEqual(waiting);
    expect(calls.size).toBe(0);
  });

  test("keeps thousands, in the order sent", () => {
    const calls = new CallsInFlight();
    const sent = Array.from({ length: 5000 }, call);
    const ids = sent.map((one) => calls.add(one));
    expect(ids).toEqual(ids.toSorted((one, other) => one - other));
    const left = sent.filter((one, index) => index % 3 !== 0 || calls.take(one.id) !== one);
    expect(calls.inOrder()).toEqual(left);
    expect(calls.size).toBe(left.length);
  });
});
