/** WebSocket clients that are there and say nothing, or are gone and have not said so: closed in time, and what they held free. */
import { expect, test } from "bun:test";
import { closeCodes } from "../../src/protocol/errors.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { until } from "../support/until.ts";
import { greetedClient } from "../support/web-socket.ts";

const limits = { pingIntervalMs: 100, pongTimeoutMs: 100, stallMs: 60_000 };

test.each([
  ["reads what it is pushed", true],
  ["reads nothing", false],
])(
  "a client that never answers a ping and %s is closed in time, while it is pushed to without a break",
  async (_what, reads) => {
    const log = recordedLog("info");
    await using broker = await testBroker({ port: 0, limits, log });
    using mute = await greetedClient(broker, { lingerMs: 0 });
    using line = await lineClient(broker.pipe);
    await mute.ask({ action: "subscribe", channel: "c", overflow: "gap" });
    const acquired = await mute.ask({ action: "acquire", wants: [{ pool: "lock", size: 1 }] });
    expect(acquired).toMatchObject({ ok: true });
    if (!reads) mute.pause();
    const startedAtMs = performance.now();
    line.say({ id: 1, action: "acquire", wants: [{ pool: "lock", size: 1 }], waitMs: -1 });
    let granted: unknown;
    const data = "x".repeat(reads ? 100 : 100_000);
    while (granted === undefined) {
      line.say({ id: 2, action: "publish", channel: "c", data });
      const answer = await line.next();
      if (answer.id === 1) granted = answer;
      expect(performance.now() - startedAtMs).toBeLessThan(5000);
    }
    expect(granted).toMatchObject({ ok: true });
    expect(performance.now() - startedAtMs).toBeGreaterThan(190);
    expect(log.of("connection closed")).toMatchObject([{ code: closeCodes.noPong }]);
    mute.resume();
    if (reads) expect(await mute.closed).toMatchObject({ code: closeCodes.noPong });
  },
);

test("a client that answers every ping stays, however little else it says", async () => {
  await using broker = await testBroker({ port: 0, limits: { ...limits, pingIntervalMs: 20 } });
  using client = await greetedClient(broker);
  for (let round = 0; round < 20; round++) {
    expect(await client.next()).toEqual({ push: "ping" });
    client.say({ action: "pong" });
  }
  expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
});

test("an answer that nobody asked for moves no deadline", async () => {
  await using broker = await testBroker({ port: 0, limits: { ...limits, pingIntervalMs: 50 } });
  using client = await greetedClient(broker);
  const answering = setInterval(() => client.say({ action: "pong" }), 5);
  expect(await client.next()).toEqual({ push: "ping" });
  clearInterval(answering);
});

test("what a client held that is cut off is kept for as long as it asked, and then free", async () => {
  await using broker = await testBroker({ port: 0 });
  const client = await greetedClient(broker, { lingerMs: 200 });
  await client.ask({ action: "set", key: "k", value: 1, scope: "session" });
  client[Symbol.dispose]();
  using line = await lineClient(broker.pipe);
  const stateOf = async (): Promise<readonly unknown[]> => {
    const { sessions } = await line.ask({ action: "ps" });
    return (sessions as { state: string }[]).map(({ state }) => state);
  };
  await until(async () => (await stateOf()).includes("lingering"));
  expect(await line.ask({ action: "get", key: "k" })).toMatchObject({ value: 1 });
  await until(async () => (await line.ask({ action: "get", key: "k" })).error === "not_found");
});
