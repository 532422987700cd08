/** The client and the broker's own web door, without anything between them: both codecs, a token and a secret. */
import { expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { msgpack } from "../../src/msgpack/client-codec.ts";
import { testBroker } from "../support/broker.ts";

const secret = "correct horse battery staple";

test.each([
  ["JSON and the token", {}, {}],
  ["MessagePack and the token", {}, { codec: msgpack }],
  ["JSON and the secret", { secret }, {}],
  ["MessagePack and the secret", { secret }, { codec: msgpack }],
])("a client speaks to the web door with %s", async (_what, brokerOptions, clientOptions) => {
  await using broker = await testBroker({
    port: 0,
    ...brokerOptions,
    limits: { pingIntervalMs: 20, pongTimeoutMs: 2000 },
  });
  const entry = broker.token === undefined ? { secret } : { token: broker.token };
  using client = new Client(broker.url, { ...entry, ...clientOptions });
  const bytes = Uint8Array.of(0, 10, 255);
  await client.set("key", { text: "é€😀", bytes });
  expect(await client.get("key")).toEqual({ text: "é€😀", bytes });
  const heard: unknown[] = [];
  const all = Promise.withResolvers<void>();
  await client.subscribe("news", ({ data }) => {
    heard.push(data);
    if (heard.length === 100) all.resolve();
  });
  await Promise.all(Array.from({ length: 100 }, (_, index) => client.publish("news", index)));
  await all.promise;
  expect(heard).toEqual(Array.from({ length: 100 }, (_, index) => index));
  await using lock = await client.lock("lock");
  expect(lock.fence).toBeGreaterThan(0);
});

test("a client with a wrong token is told so, and does not try again", async () => {
  await using broker = await testBroker({ port: 0 });
  using client = new Client(broker.url, { token: "wrong" });
  await expect(client.ping()).rejects.toMatchObject({ code: "auth_failed" });
});
