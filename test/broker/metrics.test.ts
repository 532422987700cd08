import { describe, expect, test } from "bun:test";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";

const ttl = 60_000;

/** Every sample by its name and labels, having checked that the text is well formed. */
async function scrape(client: LineClient): Promise<ReadonlyMap<string, number>> {
  const { metrics, format } = await client.ask({ action: "metrics" });
  expect(format).toBe("prometheus");
  const text = String(metrics);
  expect(text.endsWith("\n")).toBe(true);
  const samples = new Map<string, number>();
  const kinds = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "" || /^# HELP [a-z_]+ \S.*$/.test(line)) continue;
    const kind = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line);
    const sample = /^(([a-z_]+)(?:\{(?:[a-z_]+="[^"\\\n]*",?)*\})?) (\d+(?:\.\d+)?)$/.exec(line);
    expect([line, kind !== null || sample !== null]).toEqual([line, true]);
    if (kind?.[1] !== undefined) kinds.set(kind[1], String(kind[2]));
    if (sample?.[1] === undefined) continue;
    // A sample stands behind its type, and once.
    expect(kinds.has(String(sample[2]))).toBe(true);
    expect(samples.has(sample[1])).toBe(false);
    samples.set(sample[1], Number(sample[3]));
  }
  return samples;
}

describe("metrics", () => {
  test("keep the seed's names and count what was done", async () => {
    await using broker = await testBroker({ limits: { itemsMax: 100 } });
    using client = await lineClient(broker.pipe);
    using other = await lineClient(broker.pipe);
    for (let index = 0; index < 3; index++) await client.ask({ action: "set", key: `k${index}`, value: index, ttl });
    await client.ask({ action: "set", key: "k", value: 1 });
    await client.ask({ action: "get", key: "nothing" });
    await client.ask({ action: "lease", key: "l", workerId: "w" });
    await client.ask({ action: "once", key: "o" });
    await client.ask({ action: "nonsense" });
    other.say({ id: 1, action: "get", key: "never", waitMs: -1 });
    await other.ask({ id: 2, action: "ping" });

    const samples = await scrape(client);
    expect(Object.fromEntries([...samples].filter(([name]) => !name.includes("store_bytes")))).toMatchObject({
      'ephemeral_broker_operations_total{action="set",result="success"}': 3,
      'ephemeral_broker_operations_total{action="set",result="error"}': 1,
      'ephemeral_broker_operations_total{action="get",result="error"}': 1,
      'ephemeral_broker_operations_total{action="del",result="success"}': 0,
      'ephemeral_broker_expired_total{type="items"}': 0,
      'ephemeral_broker_expired_total{type="leases"}': 0,
      ephemeral_broker_requests_total: 10,
      ephemeral_broker_draining: 0,
      ephemeral_broker_capacity_items: 3,
      ephemeral_broker_capacity_max: 100,
      ephemeral_broker_capacity_utilization: 0.03,
      ephemeral_broker_connections: 2,
      ephemeral_broker_leases: 1,
      ephemeral_broker_onces: 1,
      ephemeral_broker_waits: 1,
    });
    expect(samples.get("ephemeral_broker_store_bytes")).toBeGreaterThan(10);
    expect(samples.get("ephemeral_broker_requests_in_flight")).toBeGreaterThanOrEqual(1);
  });

  test("are fresh at each scrape, from many connections at once too", async () => {
    await using broker = await testBroker();
    const clients = await Promise.all(Array.from({ length: 10 }, () => lineClient(broker.pipe)));
    const [first] = clients;
    if (first === undefined) return expect.unreachable();
    await first.ask({ action: "set", key: "k", value: 1, ttl: 5 });
    await Promise.all(clients.map(scrape));
    await first.ask({ action: "get", key: "never", waitMs: 20 });
    const samples = await scrape(first);
    expect(samples.get('ephemeral_broker_expired_total{type="items"}')).toBe(1);
    expect(samples.get("ephemeral_broker_capacity_items")).toBe(0);
    expect(samples.get('ephemeral_broker_operations_total{action="metrics",result="success"}')).toBe(11);
    for (const client of clients) client[Symbol.dispose]();
  });
});
