import { describe, expect, test } from "bun:test";
import { lineClient, testBroker } from "../support/broker.ts";
import { msgpackClient } from "../support/msgpack-client.ts";

const ttl = 60_000;

describe.each([
  ["JSON", lineClient, msgpackClient],
  ["MessagePack", msgpackClient, lineClient],
])("values over %s", (_codec, connect, connectOther) => {
  test("incr counts on numbers from either codec", async () => {
    await using broker = await testBroker();
    using client = await connect(broker.pipe);
    using other = await connectOther(broker.pipe);
    await client.ask({ action: "set", key: "n", value: 41, ttl });
    expect(await other.ask({ action: "incr", key: "n" })).toEqual({ ok: true, value: 42, version: 2 });
    expect(await client.ask({ action: "incr", key: "n", by: -0.25 })).toMatchObject({ value: 41.75 });
    expect(await other.ask({ action: "get", key: "n" })).toMatchObject({ value: 41.75 });
    await other.ask({ action: "set", key: "text", value: "41", ttl });
    expect(await client.ask({ action: "incr", key: "text" })).toMatchObject({ ok: false, error: "not_a_number" });
  });

  test("incr of 20 connections at once loses nothing", async () => {
    await using broker = await testBroker();
    using stack = new DisposableStack();
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(broker.pipe)));
    for (const client of clients) stack.use(client);
    const values: unknown[] = [];
    await Promise.all(
      clients.map(async (client) => {
        for (let index = 0; index < 25; index++)
          values.push((await client.ask({ action: "incr", key: "n", ttl })).value);
      }),
    );
    expect(values.sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
  });

  test("touch and refresh move the deadline", async () => {
    await using broker = await testBroker();
    using client = await connect(broker.pipe);
    await client.ask({ action: "set", key: "k", value: 1, ttl: 5000 });
    const nowMs = Number((await client.ask({ action: "ping" })).pong);
    const { expiresAtMs } = await client.ask({ action: "touch", key: "k", ttl });
    expect(Number(expiresAtMs) - nowMs - ttl).toBeWithin(0, 2000);
    await client.ask({ action: "touch", key: "k", ttl: 9000 });
    // Some of it must have passed, or a refresh could not be seen.
    while (Number((await client.ask({ action: "get", key: "k" })).ttlMs) === 9000);
    expect(await client.ask({ action: "get", key: "k", refresh: true })).toMatchObject({ ttlMs: 9000 });
  });

  test("a session key needs no ttl and goes with its connection", async () => {
    await using broker = await testBroker();
    using other = await connectOther(broker.pipe);
    const client = await connect(broker.pipe);
    const { session } = (await client.ask({ action: "hello", protocol: 1 })) as { session: { id: string } };
    await client.ask({ action: "set", key: "mine", value: 1, scope: "session" });
    await client.ask({ action: "set", key: "zero", value: 1, scope: "session", ttl: 0 });
    const { sessions } = (await other.ask({ action: "ps" })) as { sessions: { session: string; holds: unknown[] }[] };
    expect(sessions.find((info) => info.session === session.id)?.holds).toEqual([
      { kind: "key", id: "mine", version: 1, sinceAtMs: expect.any(Number) },
      { kind: "key", id: "zero", version: 2, sinceAtMs: expect.any(Number) },
    ]);
    expect((await other.ask({ action: "get", key: "mine" })).ttlMs).toBeUndefined();
    await other.ask({ action: "watch", prefix: "z" });
    client[Symbol.dispose]();
    expect(await other.next()).toMatchObject({ event: "del", key: "zero" });
    expect(await other.ask({ action: "get", key: "mine" })).toMatchObject({ error: "not_found" });
  });
});

describe("a broker", () => {
  test("with refreshTtlOnGet refreshes unless a get says no", async () => {
    await using broker = await testBroker({ refreshTtlOnGet: true });
    using client = await lineClient(broker.pipe);
    await client.ask({ action: "set", key: "k", value: 1, ttl });
    const left = async (fields: object): Promise<number> => {
      // Some of the ttl must have passed, or a refresh could not be seen.
      for (;;) {
        const { ttlMs } = await client.ask({ action: "get", key: "k", refresh: false });
        if (Number(ttlMs) < ttl) break;
      }
      return Number((await client.ask({ action: "get", key: "k", ...fields })).ttlMs);
    };
    expect(await left({ refresh: false })).toBeLessThan(ttl);
    expect(await left({})).toBe(ttl);
    expect(await left({ refresh: true })).toBe(ttl);
  });

  test("without requireTtl takes its default for incr and touch without a ttl, or with 0", async () => {
    await using broker = await testBroker({ requireTtl: false, defaultTtlMs: 7000 });
    using client = await lineClient(broker.pipe);
    for (const fields of [{}, { ttl: 0 }]) {
      await client.ask({ action: "del", key: "n" });
      expect(await client.ask({ action: "incr", key: "n", ...fields })).toMatchObject({ value: 1 });
      await client.ask({ action: "touch", key: "n", ttl: 500_000 });
      // A key that is there keeps its deadline.
      await client.ask({ action: "incr", key: "n", ...fields });
      expect(Number((await client.ask({ action: "get", key: "n" })).ttlMs)).toBeGreaterThan(400_000);
      await client.ask({ action: "touch", key: "n", ...fields });
      expect(Number((await client.ask({ action: "get", key: "n" })).ttlMs)).toBeWithin(1, 7001);
    }
  });
});
