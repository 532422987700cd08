import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/engine/clock.ts";

describe("systemClock", () => {
  test("nowMs() is an integer near the wall clock that never decreases", () => {
    const readings = Array.from({ length: 1000 }, () => systemClock.nowMs());
    expect(readings.every(Number.isSafeInteger)).toBe(true);
    expect(readings).toEqual([...readings].sort((a, b) => a - b));
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(60_000);
  });

  test("schedule() rings at its instant or later, and for an instant that has passed not within the call", async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    let hasReturned = false;
    const atMs = systemClock.nowMs() + 5;
    systemClock.schedule(atMs, () => resolve(systemClock.nowMs()));
    const passed = Promise.withResolvers<boolean>();
    systemClock.schedule(0, () => passed.resolve(hasReturned));
    hasReturned = true;
    expect(await passed.promise).toBe(true);
    expect(await promise).toBeGreaterThanOrEqual(atMs);
  });

  test("an alarm beyond what a timer can hold does not ring at once, and a cancelled one not at all", async () => {
    const rung: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelFar = systemClock.schedule(systemClock.nowMs() + 2 ** 31 + 1000, () => rung.push("far"));
    const cancelNear = systemClock.schedule(systemClock.nowMs() + 1, () => rung.push("cancelled"));
    cancelNear();
    cancelNear();
    systemClock.schedule(systemClock.nowMs() + 10, resolve);
    await promise;
    cancelFar();
    expect(rung).toEqual([]);
  });
});
