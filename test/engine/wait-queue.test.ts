import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { WaitHandle } from "../../src/engine/engine.ts";
import { ExpiryHeap } from "../../src/engine/expiry-heap.ts";
import { type Wait, WaitQueues, Waits } from "../../src/engine/wait-queue.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { defaultLimits, type Limits } from "../../src/protocol/limits.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { answerOf, cancelled } from "./contract/actor.ts";

type TestWait = Wait<string, { value: number }>;

function fixture(limits?: Partial<Limits>) {
  const clock = new ManualClock();
  const waits = new Waits({ expiries: new ExpiryHeap(clock), limits: { ...defaultLimits, ...limits } });
  const left: string[] = [];
  const queues: WaitQueues<string, { value: number }> = new WaitQueues({
    waits,
    action: "try",
    timedOut: (wait): EphemeralError => new EphemeralError("timeout", `first is ${queues.first(wait.name)?.request}`),
    left: (wait) => left.push(wait.request),
  });
  const enqueue = (request: string, to?: { session?: string; name?: string; waitMs?: number; handle?: WaitHandle }) => {
    const { session = "s", name = "q", waitMs = -1, handle = {} } = to ?? {};
    const waiting = { caller: { id: session, label: undefined }, waitMs, handle };
    return queues.enqueue({ name, request, waiting, nowMs: clock.nowMs() });
  };
  /** Takes all out, first to last. */
  const drain = (name = "q"): string[] => {
    const requests: string[] = [];
    for (let wait = queues.first(name); wait !== undefined; wait = queues.first(name)) {
      requests.push(wait.request);
      wait.settle({ value: 0 });
    }
    return requests;
  };
  return { clock, waits, queues, left, enqueue, drain };
}

describe("WaitQueues", () => {
  test("keeps arrival order for each name", () => {
    const { enqueue, drain, waits } = fixture();
    for (const request of ["a", "b", "c"]) enqueue(request);
    enqueue("x", { name: "other" });
    expect([drain(), drain("other"), drain("nobody")]).toEqual([["a", "b", "c"], ["x"], []]);
    expect(waits.size).toBe(0);
  });

  test.each([
    ["the first", 0, ["b", "c", "d"]],
    ["one from the middle", 1, ["a", "c", "d"]],
    ["the last", 2, ["a", "b", "d"]],
  ])("%s leaves, and one more comes: the order of the others stands", (_, index, rest) => {
    const { enqueue, drain } = fixture();
    const waits = ["a", "b", "c"].map((request) => enqueue(request));
    waits[index]?.answer.catch(() => {});
    waits[index]?.fail(cancelled());
    enqueue("d");
    expect(drain()).toEqual(rest);
  });

  test("leaving in any order keeps the order of the rest", () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    fc.assert(
      fc.property(fc.shuffledSubarray(names), (leaving) => {
        const { enqueue, drain } = fixture();
        const waits = new Map(names.map((name) => [name, enqueue(name)]));
        for (const name of leaving) waits.get(name)?.settle({ value: 0 });
        expect(drain()).toEqual(names.filter((name) => !leaving.includes(name)));
      }),
    );
  });

  test("a wait that is over keeps no deadline", () => {
    const { enqueue, waits } = fixture();
    const wait = enqueue("a", { waitMs: 10 });
    expect(waits.expiries.size).toBe(1);
    wait.settle({ value: 0 });
    expect(waits.expiries.size).toBe(0);
  });

  test("a queue that emptied takes new waits", () => {
    const { enqueue, drain } = fixture();
    enqueue("a");
    drain();
    enqueue("b");
    expect(drain()).toEqual(["b"]);
  });

  test("a wait is over exactly once, and told to its owner once", async () => {
    const { enqueue, left, clock } = fixture();
    const handle: WaitHandle = {};
    const wait = enqueue("a", { waitMs: 10, handle });
    const { cancel } = handle;
    expect(wait.settle({ value: 1 })).toBe(true);
    clock.advance(10);
    expect([wait.settle({ value: 2 }), wait.fail(cancelled()), cancel?.(cancelled())]).toEqual([false, false, false]);
    expect(await wait.answer).toEqual({ value: 1 });
    expect(left).toEqual(["a"]);
    expect(handle.cancel).toBeUndefined();
  });

  test("the message of a timeout is made while the wait still stands in its queue", async () => {
    const { enqueue, clock, queues } = fixture();
    const answer = answerOf(() => enqueue("a", { waitMs: 10 }).answer);
    clock.advance(10);
    expect(await answer).toMatchObject({ error: "timeout", message: "first is a" });
    expect(queues.first("q")).toBeUndefined();
  });

  test("settleAll() answers every wait of the name, and failAll() refuses", async () => {
    const { enqueue, queues } = fixture();
    const asked = (request: string, name: string) => answerOf(() => enqueue(request, { name }).answer);
    const answers = [asked("a", "q"), asked("b", "q"), asked("x", "r"), asked("y", "r")];
    queues.settleAll("q", { value: 7 });
    queues.failAll("r", cancelled());
    const refusal = { error: "cancelled" };
    expect(await Promise.all(answers)).toMatchObject([{ value: 7 }, { value: 7 }, refusal, refusal]);
  });
});

describe("Waits", () => {
  test("counts each session on its own, and a refused wait leaves no trace", () => {
    const { enqueue, waits, drain } = fixture({ waitsPerSessionMax: 2 });
    enqueue("a");
    enqueue("b", { name: "other" });
    enqueue("c", { session: "t" });
    expect(() => enqueue("d")).toThrow("Cannot wait: this session has 2 commands waiting, limit is 2");
    expect([waits.size, drain()]).toEqual([3, ["a", "c"]]);
  });

  test("bounds all sessions together", () => {
    const { enqueue } = fixture({ waitsMax: 2 });
    enqueue("a");
    enqueue("b", { session: "t" });
    expect(() => enqueue("c", { session: "u" })).toThrow("Cannot wait: 2 commands wait in all, limit is 2");
  });

  test("endSession() fails the session's waits in every namespace, oldest first", async () => {
    const { enqueue, waits, left, drain } = fixture();
    const gone: TestWait[] = [enqueue("a"), enqueue("b", { name: "other", waitMs: 5 })];
    enqueue("c", { session: "t" });
    const answers = gone.map((wait) => answerOf(() => wait.answer));
    waits.endSession("s", cancelled());
    expect(await Promise.all(answers)).toMatchObject([{ error: "cancelled" }, { error: "cancelled" }]);
    expect([[...left], waits.of("s"), drain()]).toEqual([["a", "b"], [], ["c"]]);
  });
});
