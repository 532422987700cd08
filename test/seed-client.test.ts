/**
 * The seed's promise: `@ephemeral-broker/core` as published, on Node, works against our pipe with every call it has.
 */
import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../src/client/client.ts";
import { lineClient, testBroker } from "./support/broker.ts";
import { startSeedClient } from "./support/seed-client.ts";

const ttl = 60_000;
const secret = "correct horse battery staple";
/** Over the seed's threshold of 1024 characters, with more than one byte a character. */
const largeValue = { text: "é€𝄞 ".repeat(600), list: Array.from({ length: 200 }, (_, index) => index) };

const failure = (call: Promise<unknown>): Promise<string> =>
  call.then(
    (value) => `resolved to ${JSON.stringify(value)}`,
    (error: Error) => error.message,
  );

describe("the seed's client", () => {
  test("sets, gets, lists and deletes", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    expect(await seed.call("set", "token", { user: "é€", n: [1, null, true] }, ttl)).toBe(true);
    expect(await seed.call("get", "token")).toEqual({ user: "é€", n: [1, null, true] });
    const before = Date.now();
    await seed.call("set", "other", "", ttl);
    const items = (await seed.call("list")) as Record<string, { expires: number; hasValue: boolean }>;
    expect(Object.keys(items)).toEqual(["token", "other"]);
    for (const { expires, hasValue } of Object.values(items)) {
      expect(hasValue).toBe(true);
      expect(Math.abs(expires - (before + ttl))).toBeLessThan(5_000);
    }
    expect(await seed.call("del", "token")).toBe(true);
    expect(await failure(seed.call("get", "token"))).toBe("not_found");
    expect(await seed.call("del", "token")).toBe(true);
    expect(Object.keys((await seed.call("list")) as object)).toEqual(["other"]);
  });

  test("pings with the broker's clock", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    const pong = await seed.call("ping");
    expect(Number.isInteger(pong)).toBe(true);
    expect(Math.abs(Number(pong) - Date.now())).toBeLessThan(5_000);
  });

  test("finds in stats and health every field its type file promises", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    await seed.call("set", "a", "value", ttl);
    await seed.call("lease", "pool", "worker-1", ttl);
    const capacity = {
      items: 1,
      maxItems: 10_000,
      utilization: 0,
      nearCapacity: false,
      atCapacity: false,
      warning: null,
    };
    const memory = { rss: expect.any(Number), heapUsed: expect.any(Number) };
    expect(await seed.call("stats")).toMatchObject({
      items: 1,
      leases: 1,
      capacity,
      memory: { ...memory, approximateStoreBytes: expect.any(Number) },
      uptime: expect.any(Number),
    });
    expect(await seed.call("health")).toMatchObject({
      ok: true,
      status: "healthy",
      uptime: expect.any(Number),
      timestamp: expect.any(Number),
      capacity,
      memory: { ...memory, heapTotal: expect.any(Number) },
      connections: { inFlight: expect.any(Number), draining: false },
    });
  });

  test("reads its own metric names, with what it did counted", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    await seed.call("set", "a", 1, ttl);
    await failure(seed.call("get", "missing"));
    const metrics = String(await seed.call("metrics"));
    const samples = new Map(
      metrics
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
    );
    const promised = [
      ...["get", "set", "del", "list", "ping", "stats", "health", "lease", "release"].flatMap((action) => [
        `ephemeral_broker_operations_total{action="${action}",result="success"}`,
        `ephemeral_broker_operations_total{action="${action}",result="error"}`,
      ]),
      'ephemeral_broker_expired_total{type="items"}',
      'ephemeral_broker_expired_total{type="leases"}',
      "ephemeral_broker_requests_total",
      "ephemeral_broker_requests_in_flight",
      "ephemeral_broker_draining",
      "ephemeral_broker_capacity_items",
      "ephemeral_broker_capacity_max",
      "ephemeral_broker_capacity_utilization",
    ];
    expect(promised.filter((name) => !samples.has(name))).toEqual([]);
    expect(samples.get('ephemeral_broker_operations_total{action="set",result="success"}')).toBe(1);
    expect(samples.get('ephemeral_broker_operations_total{action="get",result="error"}')).toBe(1);
    expect(samples.get("ephemeral_broker_capacity_items")).toBe(1);
  });

  test("leases the lowest free number, renews it, and releases it", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    expect(await seed.call("lease", "accounts", "worker-1", ttl)).toBe(0);
    expect(await seed.call("lease", "accounts", "worker-2", ttl)).toBe(1);
    expect(await seed.call("lease", "accounts", "worker-1", ttl)).toBe(0);
    expect(await seed.call("release", "worker-1")).toBe(true);
    expect(await seed.call("release", "worker-1")).toBe(false);
    expect(await seed.call("lease", "accounts", "worker-3")).toBe(0);
    const request = (payload: object): Promise<string> => failure(seed.call("request", payload));
    expect(await request({ action: "lease", key: "accounts" })).toBe("key_and_worker_required");
    expect(await request({ action: "release" })).toBe("worker_required");
  });

  test("a lease that was not released ends with its ttl", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    expect(await seed.call("lease", "accounts", "worker-1", 40)).toBe(0);
    const next = async (): Promise<unknown> => {
      const number = await seed.call("lease", "accounts", "worker-2", ttl);
      await seed.call("release", "worker-2");
      return number;
    };
    expect(await eventually(next, 0)).toBe(0);
  });

  test("an unknown action is refused by name", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    expect(await failure(seed.call("request", { action: "explode" }))).toBe("unknown_action");
  });
});

describe("the seed's ttl rules", () => {
  test.each([
    ["missing", undefined, "ttl_required"],
    ["null", null, "ttl_required"],
    ["0", 0, "invalid_ttl"],
    ["negative", -1, "invalid_ttl"],
    ["fractional", 1.5, "invalid_ttl"],
    ["a string", "5000", "invalid_ttl"],
    ["over 30 days", 30 * 24 * 3_600_000 + 1, "invalid_ttl"],
  ])("a ttl that is %s is refused", async (_name, given, code) => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe, { allowNoTtl: true });
    const args = given === undefined ? ["key", "value"] : ["key", "value", given];
    expect(await failure(seed.call("set", ...args))).toBe(code);
    expect(await failure(seed.call("get", "key"))).toBe("not_found");
  });

  test("a broker that does not require a ttl gives its default for a missing or zero one", async () => {
    await using broker = await testBroker({ requireTtl: false, defaultTtlMs: 90_000 });
    await using seed = startSeedClient(broker.pipe, { allowNoTtl: true });
    await seed.call("set", "missing", 1);
    await seed.call("set", "zero", 1, 0);
    expect(await failure(seed.call("set", "negative", 1, -1))).toBe("invalid_ttl");
    const items = (await seed.call("list")) as Record<string, { expires: number }>;
    expect(Object.keys(items).sort()).toEqual(["missing", "zero"]);
    for (const { expires } of Object.values(items)) {
      expect(Math.abs(expires - (Date.now() + 90_000))).toBeLessThan(5_000);
    }
  });

  test("a key past its ttl is expired, then not found, and in no list", async () => {
    await using broker = await testBroker({ limits: { expiredRememberedMs: 400 } });
    await using seed = startSeedClient(broker.pipe);
    await seed.call("set", "short", "value", 30);
    expect(await seed.call("get", "short")).toBe("value");
    expect(await eventually(() => failure(seed.call("get", "short")), "expired")).toBe("expired");
    expect(await seed.call("list")).toEqual({});
    expect(await eventually(() => failure(seed.call("get", "short")), "not_found")).toBe("not_found");
  });
});

describe("the seed's per-message proof", () => {
  test("a client with the secret is served", async () => {
    await using broker = await testBroker({ secret });
    await using seed = startSeedClient(broker.pipe, { secret });
    await seed.call("set", "token", { text: "é€ </line> \u2028" }, ttl);
    expect(await seed.call("get", "token")).toEqual({ text: "é€ </line> \u2028" });
    expect(await seed.call("lease", "accounts", "worker-1", ttl)).toBe(0);
    expect(await seed.call("release", "worker-1")).toBe(true);
    expect(await seed.call("health")).toMatchObject({ ok: true });
  });

  test.each([
    ["with another secret", { secret: `${secret}!` }],
    ["without one", {}],
  ])("a client %s is refused, and nothing is stored", async (_name, options) => {
    await using broker = await testBroker({ secret });
    await using stranger = startSeedClient(broker.pipe, options);
    await using seed = startSeedClient(broker.pipe, { secret });
    expect(await failure(stranger.call("set", "token", 1, ttl))).toBe("auth_failed");
    expect(await failure(stranger.call("ping"))).toBe("auth_failed");
    expect(await failure(stranger.call("stats"))).toBe("auth_failed");
    expect(await seed.call("list")).toEqual({});
  });

  test("a client with a secret is served by a broker without one", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe, { secret });
    expect(await seed.call("set", "token", 1, ttl)).toBe(true);
    expect(await seed.call("get", "token")).toBe(1);
  });

  test("four wrong proofs are forgiven, the fifth closes the connection", async () => {
    await using broker = await testBroker({ secret });
    const proven = (body: object): string => {
      const text = JSON.stringify(body);
      const hmac = createHmac("sha256", secret).update(text).digest("hex");
      return `${text.slice(0, -1)},"hmac":"${hmac}"}\n`;
    };
    const wrong = proven({ action: "ping" }).replace("ping", "list");

    using line = await lineClient(broker.pipe);
    const ask = (text: string): Promise<Record<string, unknown>> => {
      line.write(text);
      return line.next();
    };
    for (let failures = 1; failures <= 4; failures++) {
      expect(await ask(wrong)).toMatchObject({ ok: false, error: "auth_failed" });
    }
    expect(await ask(proven({ action: "del", key: "a" }))).toMatchObject({ ok: true, deleted: false });
    expect(await ask(wrong)).toMatchObject({ ok: false, error: "auth_failed" });
    await line.closed;
  });
});

describe("values the seed's client compressed", () => {
  test("come back to it, and to our client, as they were", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    await seed.call("set", "large", largeValue, ttl);
    const stored = await seed.call("request", { action: "get", key: "large" });
    expect(stored).toMatchObject({ ok: true, compressed: true, value: expect.stringMatching(/^H4sI/) });
    expect(await seed.call("get", "large")).toEqual(largeValue);
    const client = new Client(broker.pipe);
    try {
      expect(await client.get("large")).toEqual(largeValue);
    } finally {
      client.close();
    }
  });

  test("a large value of our client is read by the seed's", async () => {
    await using broker = await testBroker();
    await using seed = startSeedClient(broker.pipe);
    const client = new Client(broker.pipe);
    try {
      await client.set("large", largeValue, ttl);
      expect(await seed.call("get", "large")).toEqual(largeValue);
    } finally {
      client.close();
    }
  });
});

describe("the seed's retries", () => {
  test("a call made before the broker is there is served once it is", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ephemeral-seed-"));
    try {
      const pipe = join(folder, "sock");
      await using seed = startSeedClient(pipe, { debug: true });
      const reply = seed.call("set", "early", "bird", ttl);
      await seed.said("Connection failed (ENOENT), retrying");
      await using broker = await testBroker();
      symlinkSync(broker.pipe, pipe);
      expect(await reply).toBe(true);
      expect(await seed.call("get", "early")).toBe("bird");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Asks until the answer is `wanted`, at most five seconds; the last answer. */
async function eventually<T>(ask: () => Promise<T>, wanted: T): Promise<T> {
  const deadlineMs = performance.now() + 5_000;
  let answer = await ask();
  while (answer !== wanted && performance.now() < deadlineMs) answer = await ask();
  return answer;
}
