import { describe, expect, test } from "bun:test";
import { type ConnectionEvent, type ConnectionState, nextState } from "../../src/client/connection/connection-state.ts";

describe("nextState", () => {
  test.each<[string, ConnectionState, ConnectionEvent, ConnectionState]>([
    ["a command dials", "disconnected", "wanted", "connecting"],
    ["a greeting connects", "connecting", "greeted", "connected"],
    ["a failed attempt is tried again", "connecting", "lost", "reconnecting"],
    ["a failed attempt nobody waits for is not", "connecting", "left", "disconnected"],
    ["a loss that somebody minds reconnects", "connected", "lost", "reconnecting"],
    ["a loss nobody minds disconnects", "connected", "left", "disconnected"],
    ["the end of the delay dials", "reconnecting", "due", "connecting"],
    ["the last caller gone, nobody dials", "reconnecting", "unwanted", "disconnected"],
    ["closing ends any state", "disconnected", "closed", "closed"],
    ["closing ends any state", "connecting", "closed", "closed"],
    ["closing ends any state", "connected", "closed", "closed"],
    ["closing ends any state", "reconnecting", "closed", "closed"],
  ])("%s", (_fact, state, event, next) => {
    expect(nextState(state, event)).toBe(next);
  });

  test.each<[ConnectionState, readonly ConnectionEvent[]]>([
    ["disconnected", ["unwanted", "greeted", "lost", "left", "due"]],
    ["connecting", ["wanted", "unwanted", "due"]],
    ["connected", ["wanted", "unwanted", "greeted", "due"]],
    ["reconnecting", ["wanted", "greeted", "lost", "left"]],
    ["closed", ["wanted", "unwanted", "greeted", "lost", "left", "due", "closed"]],
  ])("%s ignores %j", (state, events) => {
    expect(events.map((event) => nextState(state, event))).toEqual(events.map(() => state));
  });
});
