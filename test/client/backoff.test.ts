import { describe, expect, test } from "bun:test";
import { Backoff, healthyAfterMs, pipeReconnectBounds, reconnectDelayMs } from "../../src/client/connection/backoff.ts";

describe("Backoff.lost()", () => {
  test("counts failed attempts and short connections, and begins again after a healthy one", () => {
    const backoff = new Backoff(pipeReconnectBounds);
    const stays = (nowMs: number) => backoff.lost(nowMs, 0.5);
    expect([stays(0), stays(100)]).toEqual([75, 100]);
    backoff.greeted(1000);
    expect(stays(1000 + healthyAfterMs - 1)).toBe(150);
    backoff.greeted(20_000);
    expect(stays(20_000 + healthyAfterMs)).toBe(75);
  });

  test("does not take the time since a loss for that of a connection", () => {
    const backoff = new Backoff(pipeReconnectBounds);
    backoff.greeted(0);
    expect(backoff.lost(1, 0.5)).toBe(75);
    expect(backoff.lost(1 + healthyAfterMs, 0.5)).toBe(100);
  });
});

describe("reconnectDelayMs", () => {
  test.each([
    [0, 0, 50],
    [0, 0.5, 75],
    [1, 0.5, 100],
    [3, 0.5, 250],
    [4, 0.999, 849.2],
    [5, 0.5, 550],
    [5, 0.999, 1000],
    [2000, 0, 50],
    [2000, 0.5, 550],
  ])("attempt %d with draw %d stays away %d ms", (attempt, random, delayMs) => {
    expect(reconnectDelayMs(attempt, { ...pipeReconnectBounds, random })).toBeCloseTo(delayMs);
  });

  test("never leaves its bounds", () => {
    for (let attempt = 0; attempt < 40; attempt++) {
      for (const random of [0, 0.3, 0.9999]) {
        const delayMs = reconnectDelayMs(attempt, { minMs: 500, maxMs: 20_000, random });
        expect(delayMs).toBeGreaterThanOrEqual(500);
        expect(delayMs).toBeLessThanOrEqual(20_000);
      }
    }
  });
});
