import { describe, expect, test } from "bun:test";
import { Collector } from "../../src/broker/collector.ts";
import { ManualClock } from "../support/manual-clock.ts";

const MiB = 1024 * 1024;
const moved = (receivedBytes: number, sentBytes: number) => ({ commands: 1, receivedBytes, sentBytes });

function manualCollector() {
  const clock = new ManualClock();
  const seen = { collections: 0 };
  const collector = new Collector({ clock, collect: () => void seen.collections++ });
  return { clock, seen, collector };
}

describe("Collector.connectionClosed()", () => {
  test("collects once, a second after connections that moved 4 MiB between them", () => {
    const { clock, seen, collector } = manualCollector();
    collector.connectionClosed(moved(2 * MiB, 1 * MiB));
    clock.advance(5000);
    expect(seen.collections).toBe(0);
    for (let count = 0; count < 10; count++) collector.connectionClosed(moved(0, 1 * MiB));
    clock.advance(999);
    expect(seen.collections).toBe(0);
    clock.advance(1);
    expect(seen.collections).toBe(1);
    clock.advance(60_000);
    expect(seen.collections).toBe(1);
  });

  test("waits until no more of them go", () => {
    const { clock, seen, collector } = manualCollector();
    for (let count = 0; count < 10; count++) {
      collector.connectionClosed(moved(4 * MiB, 0));
      clock.advance(900);
    }
    expect(seen.collections).toBe(0);
    clock.advance(100);
    expect(seen.collections).toBe(1);
  });

  test("collects after 500 connections that moved nothing, and begins to count again", () => {
    const { clock, seen, collector } = manualCollector();
    for (let round = 1; round <= 3; round++) {
      for (let count = 0; count < 499; count++) collector.connectionClosed(moved(0, 0));
      clock.advance(5000);
      expect(seen.collections).toBe(round - 1);
      collector.connectionClosed(moved(0, 0));
      clock.advance(1000);
      expect(seen.collections).toBe(round);
    }
  });
});
