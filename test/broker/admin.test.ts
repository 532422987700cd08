import { describe, expect, test } from "bun:test";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";

const ttl = 60_000;

type Answer = Record<string, unknown>;

async function statsOf(client: LineClient): Promise<Answer> {
  return (await client.ask({ action: "stats" })).stats as Answer;
}

async function fill(client: LineClient, from: number, to: number): Promise<void> {
  for (let index = from; index < to; index++) await client.ask({ action: "set", key: `k${index}`, value: 1, ttl });
}

describe("ping", () => {
  test("answers the broker's time", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const before = Date.now();
    const { pong } = await client.ask({ action: "ping" });
    expect(Number.isSafeInteger(pong)).toBe(true);
    // The broker's clock began with its process and does not follow the wall clock's corrections.
    expect(Math.abs(Number(pong) - before)).toBeLessThan(2000);
  });
});

describe("stats and health", () => {
  test.each([
    [0, { utilization: 0, nearCapacity: false, atCapacity: false, warning: null }, "healthy"],
    [8, { utilization: 0.8, nearCapacity: false, atCapacity: false, warning: null }, "healthy"],
    [9, { utilization: 0.9, nearCapacity: true, atCapacity: false, warning: "near_capacity" }, "healthy"],
    [10, { utilization: 1, nearCapacity: true, atCapacity: true, warning: "at_capacity" }, "degraded"],
  ])("say at %d of 10 items how full it is", async (items, capacity, status) => {
    await using broker = await testBroker({ limits: { itemsMax: 10 } });
    using client = await lineClient(broker.pipe);
    await fill(client, 0, items);
    const wanted = { items, maxItems: 10, ...capacity };
    expect((await statsOf(client)).capacity).toEqual(wanted);
    const health = await client.ask({ action: "health" });
    expect(health.capacity).toEqual(wanted);
    expect(health.status).toBe(status);
  });

  test("become healthy again when room is made, and max_items is answered meanwhile", async () => {
    await using broker = await testBroker({ limits: { itemsMax: 10 } });
    using client = await lineClient(broker.pipe);
    await fill(client, 0, 10);
    expect(await client.ask({ action: "set", key: "k", value: 1, ttl })).toMatchObject({ error: "max_items" });
    await client.ask({ action: "del", key: "k0" });
    expect(await client.ask({ action: "health" })).toMatchObject({ status: "healthy" });
  });

  test("count leases, turns, waits, connections, sessions and commands as they come and go", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const other = await lineClient(broker.pipe);
    await other.ask({ action: "lease", key: "l", workerId: "w", scope: "session" });
    await other.ask({ action: "lease", key: "l", workerId: "v", scope: "ttl" });
    await other.ask({ action: "once", key: "o" });
    other.say({ id: 1, action: "get", key: "never", waitMs: -1 });
    await other.ask({ id: 2, action: "ping" });
    expect(await statsOf(client)).toMatchObject({
      leases: 2,
      onces: 1,
      waits: 1,
      connections: 2,
      sessions: 2,
      commands: 6,
    });
    expect(await client.ask({ action: "health" })).toMatchObject({ connections: { open: 2, draining: false } });
    other[Symbol.dispose]();
    const deadline = performance.now() + 5000;
    while ((await statsOf(client)).connections !== 1) expect(performance.now()).toBeLessThan(deadline);
    // A lease of scope "ttl" outlives its session.
    expect(await statsOf(client)).toMatchObject({ leases: 1, onces: 0, waits: 0, connections: 1, sessions: 1 });
  });

  test("tell memory and uptime in whole numbers that make sense", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    await client.ask({ action: "set", key: "k", value: "x".repeat(10_000), ttl });
    const { memory, uptime } = (await statsOf(client)) as { memory: Record<string, number>; uptime: number };
    expect(memory.rss).toBeGreaterThan(1_000_000);
    expect(memory.heapUsed).toBeGreaterThan(100_000);
    expect(memory.approximateStoreBytes).toBeGreaterThan(10_000);
    expect(memory.approximateStoreBytes).toBeLessThan(50_000);
    expect(Number.isSafeInteger(uptime) && uptime >= 0 && uptime < 60_000).toBe(true);
    const health = (await client.ask({ action: "health" })) as { timestamp: number; memory: Record<string, number> };
    expect(Math.abs(health.timestamp - Date.now())).toBeLessThan(2000);
    expect(health.memory.heapTotal).toBeGreaterThan(100_000);
  });
});

describe("ps", () => {
  test("shows everybody, oldest first, with what they hold and what they wait for", async () => {
    await using broker = await testBroker();
    using first = await lineClient(broker.pipe);
    using second = await lineClient(broker.pipe);
    await first.ask({ action: "hello", protocol: 1, label: "first", client: { name: "n", version: "1" } });
    const lease = await first.ask({ action: "lease", key: "accounts", workerId: "w", scope: "session" });
    const turn = await first.ask({ action: "once", key: "login" });
    second.say({ id: 1, action: "once", key: "login", waitMs: -1 });
    second.say({ id: 2, action: "get", key: "url", waitMs: 60_000 });
    await second.ask({ id: 3, action: "ping" });

    const { sessions } = (await second.ask({ id: 4, action: "ps" })) as { sessions: Answer[] };
    expect(sessions.map((session) => [session.label, session.pid])).toEqual([
      ["first", process.pid],
      [`pid ${process.pid}`, process.pid],
    ]);
    expect(sessions[0]).toMatchObject({ client: { name: "n", version: "1" }, waits: [] });
    expect(sessions[0]?.holds).toMatchObject([
      { kind: "lease", fence: lease.fence },
      { kind: "once", id: "login", fence: turn.fence },
    ]);
    expect(sessions[1]).not.toHaveProperty("client");
    expect(sessions[1]?.holds).toEqual([]);
    expect(sessions[1]?.waits).toMatchObject([
      { action: "once", key: "login" },
      { action: "get", key: "url" },
    ]);
  });

  test("never shows a value or a session's secret", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const hello = (await client.ask({ action: "hello", protocol: 1 })) as { session: { secret: string } };
    await client.ask({ action: "set", key: "k", value: "hunter2", ttl });
    for (const action of ["ps", "stats", "health", "metrics"]) {
      const text = JSON.stringify(await client.ask({ action }));
      expect(text).not.toContain("hunter2");
      expect(text).not.toContain(hello.session.secret);
    }
  });
});
