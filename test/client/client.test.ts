import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { Client } from "../../src/client/client.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { scriptedBroker } from "../support/scripted-broker.ts";

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ resolvedTo: value }),
    (error: unknown) => error,
  );

describe("Client.set(), get(), del(), list()", () => {
  test.each<[string, unknown]>([
    ["text", 'é€😀\n"\\'],
    ["numbers", [0, -1, 1.5, 1e300]],
    ["null", null],
    ["bytes", new Uint8Array([0, 1, 254, 255])],
    ["bytes inside", { images: [new Uint8Array([7])] }],
    ["an object that looks like bytes", { $binary: "AQID" }],
    ["an object that looks escaped", { $$binary: "AQID" }],
    ["a key named __proto__", JSON.parse('{"__proto__":{"polluted":1}}')],
  ])("carry %s", async (_what, value) => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await client.set("k", value);
    expect(await client.get("k")).toEqual(value);
    expect({}).not.toHaveProperty("polluted");
  });

  test("resolve to the version, the value, whether it was there", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const first = await client.set("k", 1, 60_000);
    expect(await client.set("k", 2, { ttl: 60_000, version: first })).toBeGreaterThan(first);
    expect(await client.get<number>("k")).toBe(2);
    expect(await client.del("k")).toBe(true);
    expect(await client.del("k")).toBe(false);
  });

  test("send the client's default ttl", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { defaultTtlMs: 90_000 });
    await client.set("default", 1);
    await client.set("own", 1, 30_000);
    const items = await client.list();
    expect((items.default?.expires ?? 0) - (items.own?.expires ?? 0)).toBeWithin(59_000, 61_000);
  });

  test.each<[string, (client: Client) => Promise<unknown>, string]>([
    ["a key nobody set", (client) => client.get("absent"), "not_found"],
    ["if: absent on a present key", (client) => client.set("k", 2, { if: "absent" }), "exists"],
    ["if: present on an absent key", (client) => client.set("absent", 2, { if: "present" }), "not_found"],
    ["another version", (client) => client.set("k", 2, { version: 999 }), "version_mismatch"],
    ["another version to delete", (client) => client.del("k", { version: 999 }), "version_mismatch"],
    ["a negative ttl", (client) => client.set("k", 2, -1), "invalid_ttl"],
    ["undefined", (client) => client.set("k", undefined), "bad_command"],
    ["a Date", (client) => client.set("k", new Date(0)), "bad_command"],
    ["a bigint inside", (client) => client.set("k", { big: 1n }), "bad_command"],
    ["NaN", (client) => client.set("k", Number.NaN), "bad_command"],
    ["a value over the bound", (client) => client.set("k", "x".repeat(300_000)), "too_large"],
    ["a release by nobody", (client) => client.release(""), "worker_required"],
    ["a lease by nobody", (client) => client.lease("accounts", ""), "key_and_worker_required"],
    ["a wait in vain", (client) => client.get("absent", { waitMs: 5 }), "timeout"],
  ])("reject %s as %s", async (_what, run, code) => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await client.set("k", 1);
    expect(await reasonOf(run(client))).toMatchObject({ name: "EphemeralError", code });
    expect(await client.get("k")).toBe(1);
  });

  test("get() waits until somebody sets", async () => {
    await using broker = await testBroker();
    using reader = new Client(broker.pipe);
    using writer = new Client(broker.pipe);
    const value = reader.get("server-url", { waitMs: 10_000 });
    await until(async () => (await writer.ps()).some((session) => session.waits.length === 1));
    await writer.set("server-url", "http://localhost:1");
    expect(await value).toBe("http://localhost:1");
  });

  test("list() reads page after page", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const listed = client.list("key:");
    const connection = await broker.greeted();
    const item = { hasValue: true, version: 1 };
    const first = await connection.next();
    expect(first).toMatchObject({ action: "list", prefix: "key:" });
    connection.answer(first, { items: { "key:a": item, ["__proto__"]: item }, cursor: "c1" });
    const second = await connection.next();
    expect(second).toMatchObject({ action: "list", prefix: "key:", cursor: "c1" });
    connection.answer(second, { items: { "key:b": item } });
    expect(Object.keys(await listed)).toEqual(["key:a", "__proto__", "key:b"]);
  });

  test("list() sees every key that starts so", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const keys = Array.from({ length: 2500 }, (_, index) => `key:${index}`);
    await Promise.all([client.set("other", 1), ...keys.map((key) => client.set(key, 1))]);
    expect(Object.keys(await client.list("key:"))).toEqual(keys);
    expect(Object.keys(await client.list())).toEqual(["other", ...keys]);
    expect(await client.list("none:")).toEqual({});
  });

  test("get() reads what the seed's client compressed", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    using seed = await lineClient(broker.pipe);
    const value = { text: "é".repeat(3000) };
    const packed = gzipSync(JSON.stringify(value)).toString("base64");
    await seed.ask({
      action: "set",
      key: "k",
      value: packed,
      ttl: 1000,
      compressed: true,
      beforeSize: 1,
      afterSize: 1,
    });
    expect(await client.get("k")).toEqual(value);
    expect(await client.once("k", () => "never run")).toEqual(value as never);
  });

  test("set() compresses as the seed does when told to", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { compression: true });
    using line = await lineClient(broker.pipe);
    await client.set("large", "x".repeat(5000));
    await client.set("small", "x");
    expect(await client.get("large")).toBe("x".repeat(5000));
    expect(await line.ask({ action: "get", key: "large" })).toMatchObject({
      compressed: true,
      value: gzipSync(JSON.stringify("x".repeat(5000))).toString("base64"),
    });
    expect(await line.ask({ action: "get", key: "small" })).toMatchObject({ value: "x" });
  });
});

describe("Client.lease(), release()", () => {
  test("give the lowest free number, the same one again to who holds it", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    expect(await client.lease("accounts", "a", 60_000)).toBe(0);
    expect(await client.lease("accounts", "b", 60_000)).toBe(1);
    expect(await client.lease("accounts", "a", 60_000)).toBe(0);
    expect(await client.release("a")).toBe(true);
    expect(await client.release("a")).toBe(false);
    expect(await client.lease("accounts", "c")).toBe(0);
  });

  test("a lease ends with its client, and the next in line has it", async () => {
    await using broker = await testBroker();
    using holder = new Client(broker.pipe);
    using waiter = new Client(broker.pipe);
    await holder.lease("account", "a", 60_000, { size: 1 });
    expect(await reasonOf(waiter.lease("account", "b", 60_000, { size: 1 }))).toMatchObject({ code: "pool_exhausted" });
    const lease = waiter.lease("account", "b", 60_000, { size: 1, waitMs: -1 });
    await until(async () => (await holder.ps()).some((session) => session.waits.length === 1));
    holder.close();
    expect(await lease).toBe(0);
  });

  test("scope ttl outlives its client", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    {
      using holder = new Client(broker.pipe);
      await holder.lease("account", "a", 60_000, { scope: "ttl" });
    }
    await until(async () => (await client.ps()).length === 1);
    expect(await client.lease("account", "b", 60_000)).toBe(1);
    expect(await client.release("a")).toBe(true);
  });

  test("an aborted wait leaves the line", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await client.lease("account", "a", 60_000, { size: 1 });
    const controller = new AbortController();
    const options = { size: 1, waitMs: -1 };
    const given = client.lease("account", "b", 60_000, { ...options, signal: controller.signal });
    const kept = client.lease("account", "c", 60_000, options);
    await until(async () => (await client.ps())[0]?.waits.length === 2);
    controller.abort();
    expect(await reasonOf(given)).toMatchObject({ name: "AbortError" });
    await client.release("a", "account");
    expect(await kept).toBe(0);
    expect((await client.ps())[0]?.holds).toMatchObject([{ kind: "lease", id: expect.stringContaining("c") }]);
  });
});

describe("Client, the rest", () => {
  test("ping() is a round trip, health() and metrics() are the seed's, ps() names us", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "checkout.spec.ts" });
    expect(await client.ping()).toBeWithin(0, 5000);
    expect((await client.stats()).items).toBe(0);
    const health = await client.health();
    expect(health).toMatchObject({ ok: true, status: "healthy" });
    expect(health).not.toHaveProperty("id");
    expect(await client.metrics()).toContain("# HELP");
    expect(await client.ps()).toMatchObject([{ label: "checkout.spec.ts", client: { name: "ephemerald" } }]);
  });

  test("the seed's patterns run as they read", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const authenticate = async (): Promise<string> => "token";
    const token = await client.get("auth-token").catch(async () => {
      const newToken = await authenticate();
      await client.set("auth-token", newToken, 3600000);
      return newToken;
    });
    const fixture = await client.get("test-data").catch(async () => {
      const data = { rows: [1] };
      await client.set("test-data", data);
      return data;
    });
    expect([token, fixture]).toEqual(["token", { rows: [1] }]);
    expect([await client.get("auth-token"), await client.get("test-data")]).toEqual(["token", { rows: [1] }]);
    const callNum = await client.lease("api-calls", "worker-1", 5000);
    await client.release("worker-1");
    expect(callNum).toBe(0);
  });

  test.each([
    ["the same", "s3cret", undefined],
    ["another", "wrong", "the proof is wrong"],
    ["none", null, "this broker has a secret (EPHEMERAL_SECRET)"],
  ])("a broker with a secret and a client with %s", async (_what, secret, reason) => {
    await using broker = await testBroker({ secret: "s3cret" });
    using client = new Client(broker.pipe, { secret });
    const outcome = await reasonOf(client.set("k", 1));
    if (reason === undefined) expect(outcome).toEqual({ resolvedTo: expect.any(Number) });
    else expect(outcome).toMatchObject({ code: "auth_failed", message: expect.stringContaining(reason) });
    expect(client.state).toBe(reason === undefined ? "connected" : "closed");
  });

  test("a client with a secret does not talk to a broker without one", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { secret: "s3cret" });
    expect(await reasonOf(client.set("k", 1))).toMatchObject({ code: "auth_failed" });
    using witness = new Client(broker.pipe);
    expect(await witness.list()).toEqual({});
  });

  test("5,000 commands at once are all answered", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const sets = Array.from({ length: 5000 }, (_, index) => client.set(`k${index % 100}`, index));
    expect(new Set(await Promise.all(sets)).size).toBe(5000);
  });

  test("400 waits at once do not hold up a ping", async () => {
    await using broker = await testBroker({ limits: { waitsPerSessionMax: 500 } });
    using client = new Client(broker.pipe);
    const waits = Array.from({ length: 400 }, (_, index) => client.get(`k${index}`, { waitMs: -1 }));
    expect(await client.ping()).toBeNumber();
    for (let index = 0; index < 400; index++) void client.set(`k${index}`, index).catch(() => {});
    expect((await Promise.all(waits)).length).toBe(400);
  });

  test("a broker that stops fails what waits, by name of the pipe", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { timeoutMs: 200 });
    await client.set("k", 1);
    const wait = reasonOf(client.get("absent", { waitMs: -1 }));
    await until(async () => (await client.ps())[0]?.waits.length === 1);
    await broker.stop();
    expect(await wait).toMatchObject({ code: "unavailable" });
    const error = await reasonOf(client.get("k"));
    expect((error as Error).message).toContain(broker.pipe);
  });
});

/** Resolves once `condition` holds. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 5000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`never came true: ${condition}`);
  }
}
