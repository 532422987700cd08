import { describe, expect, test } from "bun:test";
import {
  type ConnectionEvent,
  type ConnectionState,
  healthyAfterMs,
  nextState,
  pipeReconnectBounds,
  reconnectDelayMs,
} from "../../src/client/connection-state.ts";

const disconnected: ConnectionState = { name: "disconnected", attempt: 3 };
const connecting: ConnectionState = { name: "connecting", attempt: 3 };
const connected: ConnectionState = { name: "connected", attempt: 3, sinceMs: 1000 };
const reconnecting: ConnectionState = { name: "reconnecting", attempt: 3, delayMs: 70 };
const closed: ConnectionState = { name: "closed" };

const wanted: ConnectionEvent = { type: "wanted" };
const unwanted: ConnectionEvent = { type: "unwanted" };
const greeted: ConnectionEvent = { type: "greeted", nowMs: 500 };
const due: ConnectionEvent = { type: "due" };
const close: ConnectionEvent = { type: "closed" };
const lost: ConnectionEvent = { type: "lost", nowMs: 1500, isWanted: true, random: 0.5 };
const lostUnwanted: ConnectionEvent = { ...lost, isWanted: false };
const lostHealthy: ConnectionEvent = { ...lost, nowMs: 1000 + healthyAfterMs };

describe("nextState", () => {
  test.each<[string, ConnectionState, ConnectionEvent, ConnectionState]>([
    ["a command dials", disconnected, wanted, { name: "connecting", attempt: 3 }],
    ["a greeting connects", connecting, greeted, { name: "connected", attempt: 3, sinceMs: 500 }],
    ["a failed attempt counts", connecting, lost, { name: "reconnecting", attempt: 4, delayMs: 250 }],
    ["a failed attempt nobody waits for counts too", connecting, lostUnwanted, { name: "disconnected", attempt: 4 }],
    ["a short connection counts as a failure", connected, lost, { name: "reconnecting", attempt: 4, delayMs: 250 }],
    ["a healthy one starts again", connected, lostHealthy, { name: "reconnecting", attempt: 1, delayMs: 75 }],
    ["a loss nobody minds disconnects", connected, lostUnwanted, { name: "disconnected", attempt: 4 }],
    [
      "the broker's delay wins",
      connected,
      { ...lost, retryAfterMs: 7000 },
      { name: "reconnecting", attempt: 4, delayMs: 7000 },
    ],
    ["the end of the delay dials", reconnecting, due, { name: "connecting", attempt: 3 }],
    ["the last caller gone, nobody dials", reconnecting, unwanted, { name: "disconnected", attempt: 3 }],
    ["closing ends any state", reconnecting, close, { name: "closed" }],
    ["closing ends any state", connected, close, { name: "closed" }],
  ])("%s", (_fact, state, event, next) => {
    expect(nextState(state, event, pipeReconnectBounds)).toEqual(next);
  });

  test.each<[ConnectionState, ConnectionEvent]>([
    [disconnected, unwanted],
    [disconnected, greeted],
    [disconnected, lost],
    [disconnected, due],
    [connecting, wanted],
    [connecting, unwanted],
    [connecting, due],
    [connected, wanted],
    [connected, unwanted],
    [connected, greeted],
    [connected, due],
    [reconnecting, wanted],
    [reconnecting, greeted],
    [reconnecting, lost],
    [closed, wanted],
    [closed, greeted],
    [closed, lost],
    [closed, due],
    [closed, close],
  ])("%o ignores %o", (state, event) => {
    expect(nextState(state, event, pipeReconnectBounds)).toBe(state);
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
