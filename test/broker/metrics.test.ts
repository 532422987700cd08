/**
 * What `metrics` says, read as Prometheus reads it: well formed, with all of the seed's names, types, labels and helps, and
 * with the numbers of what was done.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Metrics } from "../../node_modules/@ephemeral-broker/core/src/metrics.js";
import { Client } from "../../src/client/client.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { brokerProcess } from "../support/broker-process.ts";
import { startSeedClient } from "../support/seed-client.ts";

const ttl = 60_000;

interface Family {
  readonly help: string;
  readonly kind: string;
  /** Numbers by their labels, as written: `{action="set"}`, or nothing. */
  readonly samples: Map<string, number>;
}

const labels = String.raw`\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\}`;
const sampleLine = new RegExp(String.raw`^([a-z_]+)((?:${labels})?) (\d+(?:\.\d+)?(?:e[+-]\d+)?)$`);

/** The text exposition format, read strictly: HELP, then TYPE, then that family's samples, each of them once. */
function parseExposition(text: string): ReadonlyMap<string, Family> {
  expect(text.endsWith("\n")).toBe(true);
  const families = new Map<string, Family>();
  let help: { name: string; text: string } | undefined;
  let current: string | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, helped, words] = /^# HELP ([a-z_]+) (\S.*)$/.exec(line) ?? [];
    const [, typed, kind] = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line) ?? [];
    const [, name, labelled, amount] = sampleLine.exec(line) ?? [];
    if (helped !== undefined) help = { name: helped, text: String(words) };
    else if (typed !== undefined) {
      expect([line, help?.name, families.has(typed)]).toEqual([line, typed, false]);
      families.set(typed, { help: String(help?.text), kind: String(kind), samples: new Map() });
      current = typed;
    } else {
      expect([line, name]).toEqual([line, current]);
      const { samples } = families.get(String(name)) as Family;
      expect([line, samples.has(String(labelled))]).toEqual([line, false]);
      samples.set(String(labelled), Number(amount));
    }
  }
  return families;
}

async function families(client: LineClient): Promise<ReadonlyMap<string, Family>> {
  const { metrics, format } = await client.ask({ action: "metrics" });
  expect(format).toBe("prometheus");
  return parseExposition(String(metrics));
}

/** Every sample by its name and labels. */
async function scrape(client: LineClient): Promise<ReadonlyMap<string, number>> {
  const found = [...(await families(client))];
  return new Map(
    found.flatMap(([name, { samples }]) => [...samples].map(([labels, value]) => [name + labels, value] as const)),
  );
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

  test("have every metric of the seed's, of the same type, with the same help and the same labels", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const ours = await families(client);
    const seeds = parseExposition(new Metrics().toPrometheusFormat());
    expect(seeds.size).toBeGreaterThan(10);
    for (const [name, { help, kind, samples }] of seeds) {
      const own = ours.get(name);
      expect([name, own?.help, own?.kind]).toEqual([name, help, kind]);
      expect([name, [...(own?.samples.keys() ?? [])]]).toEqual([name, expect.arrayContaining([...samples.keys()])]);
    }
  });

  test("count compressed values by what clients say of them, as the seed's do", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    await using seed = startSeedClient(broker.pipe, { compression: true });
    const large = "a".repeat(5000);
    await seed.call("set", "large", large, ttl);
    await seed.call("set", "small", "b", ttl);
    const ours = new Client(broker.pipe, { compression: true });
    const mine = "b".repeat(3000);
    await ours.set("ours", mine, ttl);
    ours.close();
    await client.ask({ action: "set", key: "refused", value: "c", compressed: true, beforeSize: 9, afterSize: 9 });
    await client.ask({ action: "set", key: "silent", value: "c", ttl, compressed: true });

    const lengthOf = async (key: string): Promise<number> =>
      String((await client.ask({ action: "get", key })).value).length;
    const after = (await lengthOf("large")) + (await lengthOf("ours"));
    const before = JSON.stringify(large).length + JSON.stringify(mine).length;
    const samples = await scrape(client);
    expect(samples.get('ephemeral_broker_compression_total{compressed="true"}')).toBe(3);
    expect(samples.get('ephemeral_broker_compression_total{compressed="false"}')).toBe(1);
    expect(samples.get('ephemeral_broker_compression_bytes_total{stage="before"}')).toBe(before);
    expect(samples.get('ephemeral_broker_compression_bytes_total{stage="after"}')).toBe(after);
    expect(samples.get("ephemeral_broker_compression_ratio")).toBeCloseTo(after / before, 10);
  });

  test.each(["beforeSize", "afterSize"])("refuse a %s that is no count, and the set with it", async (field) => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    for (const size of [-1, 0.5, "1", 2 ** 53]) {
      const reply = await client.ask({ action: "set", key: "k", value: 1, ttl, compressed: true, [field]: size });
      expect([size, reply.error]).toEqual([size, "bad_command"]);
    }
    expect(await client.ask({ action: "get", key: "k" })).toMatchObject({ error: "not_found" });
  });

  test("count connections, sessions, bytes, refusals by code and waits that were served", async () => {
    await using broker = await testBroker({ limits: { connectionsMax: 2 } });
    using client = await lineClient(broker.pipe);
    {
      using waiter = await lineClient(broker.pipe);
      using refused = await lineClient(broker.pipe);
      expect(await refused.next()).toMatchObject({ error: "too_many_connections" });
      waiter.say({ id: 1, action: "get", key: "late", waitMs: -1 });
      waiter.say({ id: 2, action: "get", key: "never", waitMs: 1 });
      expect(await waiter.next()).toMatchObject({ id: 2, error: "timeout" });
      await client.ask({ action: "set", key: "late", value: 1, ttl });
      expect(await waiter.next()).toMatchObject({ id: 1, ok: true });
      client.write("{no json}\n");
      await client.next();
      await client.ask({ action: "del", key: 5 });
      await client.ask({ action: "watch", prefix: "late" });
      const both = await scrape(client);
      expect(both.get("ephemeral_broker_connections")).toBe(2);
      expect(both.get("ephemeral_broker_sessions")).toBe(2);
      expect(both.get("ephemeral_broker_watches")).toBe(1);
    }
    while ((await scrape(client)).get("ephemeral_broker_connections") !== 1);
    const samples = await scrape(client);
    expect(Object.fromEntries(samples)).toMatchObject({
      ephemeral_broker_connections: 1,
      ephemeral_broker_sessions: 1,
      ephemeral_broker_connections_total: 2,
      ephemeral_broker_connections_refused_total: 1,
      'ephemeral_broker_refused_total{code="too_many_connections"}': 1,
      'ephemeral_broker_refused_total{code="timeout"}': 1,
      'ephemeral_broker_refused_total{code="invalid_json"}': 1,
      'ephemeral_broker_refused_total{code="bad_command"}': 1,
      'ephemeral_broker_handed_over_total{action="get"}': 1,
    });
  });

  test("count every byte either way", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const set = `{"action":"set","key":"é","value":1,"ttl":1000}\n`;
    client.write(set);
    const answered = `${JSON.stringify(await client.next())}\n`;
    const metrics = '{"action":"metrics"}\n';
    const samples = await scrape(client);
    expect(samples.get("ephemeral_broker_received_bytes_total")).toBe(Buffer.byteLength(set) + metrics.length);
    expect(samples.get("ephemeral_broker_sent_bytes_total")).toBe(answered.length);
  });

  test("tell of the process what the kernel says", async () => {
    await using broker = await brokerProcess();
    using client = await lineClient(broker.pipe);
    const samples = await scrape(client);
    const resident = samples.get("ephemeral_broker_process_resident_bytes") ?? 0;
    const { nowBytes } = broker.memory();
    expect(Math.abs(resident - nowBytes)).toBeLessThan(nowBytes / 4);
    expect(samples.get('ephemeral_broker_process_cpu_seconds_total{mode="user"}')).toBeGreaterThan(0);
    expect(samples.get("ephemeral_broker_uptime_seconds")).toBeGreaterThan(0);
  });

  test("load their library at the first scrape, and a broker without a log loads no other", async () => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "../support/loaded-packages-main.ts")]);
    const [before, after] = (await child.stdout.text()).split("\n");
    expect(JSON.parse(String(before))).toEqual(["@msgpack/msgpack"]);
    expect(JSON.parse(String(after))).toEqual(expect.arrayContaining(["@msgpack/msgpack", "prom-client"]));
  });
});
