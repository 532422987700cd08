import { describe, expect, test } from "bun:test";
import { Backlog, backlogCallsMax } from "../../src/client/connection/backlog.ts";
import { Call } from "../../src/client/connection/call.ts";

function callOf(key: string): Call {
  const settling = { resolve: () => {}, reject: () => {}, onSettled: () => {}, nowMs: 0, deadlineMs: 0 };
  return new Call({ command: { action: "get", key }, read: () => key }, settling);
}

const lineOf = (call: Call | undefined) => call?.frame(1, { nowMs: () => 0 });

describe("Backlog", () => {
  test("gives calls in the order they came, those sent before first", () => {
    const backlog = new Backlog();
    const [a, b, c, d] = ["a", "b", "c", "d"].map(callOf) as [Call, Call, Call, Call];
    backlog.add(c);
    backlog.add(d);
    expect(backlog.take()).toBe(c);
    backlog.putBack([a, b, c]);
    expect([backlog.take(), backlog.take(), backlog.take(), backlog.take()].map(lineOf)).toEqual(
      [a, b, c, d].map(lineOf),
    );
    expect({ next: backlog.take(), isEmpty: backlog.isEmpty }).toEqual({ next: undefined, isEmpty: true });
  });

  test("passes over calls that were settled", () => {
    const backlog = new Backlog();
    const [a, b] = [callOf("a"), callOf("b")];
    backlog.add(a);
    backlog.add(b);
    a.fail("gone");
    expect(backlog.waiting()).toEqual([b]);
    expect(backlog.take()).toBe(b);
  });

  test("is bounded, and settled calls make room", () => {
    const backlog = new Backlog();
    const calls = Array.from({ length: backlogCallsMax }, () => callOf("k"));
    for (const call of calls) backlog.add(call);
    expect(() => backlog.add(callOf("one more"))).toThrow(/100000 commands of this client wait/);
    calls[0]?.fail("gone");
    backlog.hasSettled = true;
    backlog.add(callOf("one more"));
    expect(() => backlog.add(callOf("and more"))).toThrow(/100000/);
  });

  test("refuses and moves on in a time that does not grow with what waits", () => {
    const backlog = new Backlog();
    const startedAtMs = performance.now();
    for (let call = 0; call < backlogCallsMax; call++) backlog.add(callOf("k"));
    for (let call = 0; call < 2000; call++) expect(() => backlog.add(callOf("k"))).toThrow();
    for (let call = 0; call < 2000; call++) {
      backlog.take();
      backlog.add(callOf("k"));
    }
    // Each was once preceded by a look at all: 4 ms.
    expect(performance.now() - startedAtMs).toBeLessThan(3000);
  });
});
