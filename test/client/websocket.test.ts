import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Client, type ClientOptions } from "../../src/client/client.ts";
import type { WebSocketClass } from "../../src/client/transports/websocket-transport.ts";
import { msgpack } from "../../src/msgpack/client-codec.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { bundleClient, runScript } from "../support/client-bundle.ts";
import { HeardChannel } from "../support/heard-channel.ts";
import { hurriedClock, quickClock } from "../support/quick-clock.ts";
import { until } from "../support/until.ts";

type TestBroker = Awaited<ReturnType<typeof testBroker>>;

/** Dialling again over the web waits up to 4.5 seconds at first; 5 are a time limit. */
const webClock = hurriedClock(4500);

const made: WebSocket[] = [];
/** Notes what is made of it, to be cut. */
class NotedWebSocket extends WebSocket {
  constructor(url: string, subprotocols: string[]) {
    super(url, subprotocols);
    made.push(this);
  }
}
/** Cuts the connection made last, without a word. */
const cut = (): void => made.at(-1)?.terminate();

const overWeb = ({ url, token }: TestBroker, options: ClientOptions = {}): Client =>
  new Client(url, { token, webSocket: NotedWebSocket as WebSocketClass, clock: webClock, ...options });

describe.each([
  ["JSON", undefined],
  ["MessagePack", msgpack],
])("a client over a WebSocket, in %s", (_name, codec) => {
  test("does what one over a pipe does, with bytes, much at once and messages", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = overWeb(broker, { codec });
    using other = new Client(broker.pipe);
    const states: string[] = [];
    const forget = client.onState((state) => states.push(state));
    const value = { text: "é€😀\n", bytes: new Uint8Array([0, 10, 255]) };
    await client.set("k", value);
    expect([await other.get("k"), await client.get("k")]).toEqual([value, value]);
    // In one turn, and more than a frame may have.
    const sets = Array.from({ length: 300 }, (_, index) => client.set(`k${index}`, `${index}`.padEnd(8000, ".")));
    expect(new Set(await Promise.all(sets)).size).toBe(300);
    await client.set("large", "x".repeat(250_000));
    expect(await client.get<string>("large")).toHaveLength(250_000);
    const heard = new HeardChannel();
    await client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
    await Promise.all(Array.from({ length: 100 }, (_, index) => other.publish("room", index)));
    expect(await heard.until(100)).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`));
    await other.withLock("l", async () => {
      await expect(client.lock("l", { waitMs: 0 })).rejects.toMatchObject({ code: "pool_exhausted" });
    });
    forget();
    client.close();
    expect(states).toEqual(["connecting", "connected"]);
  });

  test("cut, goes on with its session: nothing published is lost or doubled, and nothing missed", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = overWeb(broker, { codec });
    using other = new Client(broker.pipe);
    const heard = new HeardChannel();
    await client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
    await client.lease("accounts", "w");
    const publishing: Promise<unknown>[] = [];
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 20; index++) publishing.push(client.publish("room", `${round} ${index}`));
      await publishing.at(-20);
      cut();
      await other.publish("room", `other ${round}`);
      await until(() => heard.heard.filter((told) => told.startsWith("recovered")).length > round);
    }
    await Promise.all(publishing);
    const { messages } = await client.history("room", { limit: 1000 });
    await until(() => heard.heard.length === messages.length + 3);
    expect(heard.heard.filter((told) => !told.startsWith("recovered"))).toEqual(messages.map(({ data }) => `${data}`));
    expect(messages).toHaveLength(63);
    expect(await client.release("w")).toBe(true);
  });

  test("answers pings, and so stays however long nobody says anything", async () => {
    await using broker = await testBroker({ port: 0, limits: { pingIntervalMs: 20, pongTimeoutMs: 200 } });
    using client = overWeb(broker, { codec });
    await client.ping();
    const before = made.length;
    let pings = 0;
    made.at(-1)?.addEventListener("message", () => pings++);
    await until(() => pings >= 5);
    expect([client.state, made.length]).toEqual(["connected", before]);
  });
});

describe("a client over a WebSocket", () => {
  test("with a wrong token fails at once with auth_failed, and does not come back", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = overWeb(broker, { token: "0".repeat(64) });
    const before = made.length;
    await expect(client.ping()).rejects.toMatchObject({ code: "auth_failed" });
    expect([client.state, made.length - before]).toEqual(["closed", 1]);
  });

  test("proves that it knows the secret", async () => {
    await using broker = await testBroker({ port: 0, secret: "s3cret-s3cret-s3cret-s3cret-s3cret" });
    using client = overWeb(broker, { secret: "s3cret-s3cret-s3cret-s3cret-s3cret" });
    expect(await client.set("k", 1)).toBeNumber();
  });

  test("that is kicked stays away, and its subscription is over", async () => {
    await using broker = await testBroker({ port: 0 });
    using client = overWeb(broker, { label: "kicked" });
    using other = new Client(broker.pipe);
    const heard = new HeardChannel();
    await client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
    const [session] = (await other.ps()).filter(({ label }) => label === "kicked");
    using admin = await lineClient(broker.pipe);
    expect(await admin.ask({ action: "kick", session: session?.session })).toMatchObject({ kicked: true });
    expect(await heard.until(1)).toEqual(["unsubscribed unavailable"]);
    expect(client.state).toBe("closed");
  });

  test("waits for a broker that is gone for longer than a call does, and is told lost when there is one", async () => {
    const first = await testBroker({ port: 0, token: "t".repeat(32) });
    using client = overWeb(first, { timeoutMs: 1001, clock: quickClock });
    const heard = new HeardChannel();
    await client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
    const port = Number(new URL(first.url ?? "").port);
    await first[Symbol.asyncDispose]();
    await expect(client.ping()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("pages of another origin want --allow-origin"),
    });
    await using second = await testBroker({ port, token: "t".repeat(32) });
    await heard.until(1);
    await using other = new Client(second.pipe);
    await other.publish("room", 2);
    expect(await heard.until(2)).toEqual(["lost ?-?", "2"]);
  });

  test("by a URL that is none is refused", async () => {
    using client = new Client("ws://not a host/");
    await expect(client.ping()).rejects.toMatchObject({ code: "bad_command" });
  });
});

/** What says in a script whether all of it works. */
const script = (url: string | undefined, options: string) => `
  const client = new Client(${JSON.stringify(url)}, ${options});
  const messages = [];
  const subscription = await client.subscribe("room", ({ data }) => messages.push(data), { history: 2 });
  await client.publish("room", "hello");
  while (messages.length === 0) await client.ping();
  await subscription.unsubscribe();
  client.close();
  console.log(JSON.stringify(messages));`;

describe("a client over a WebSocket, on", () => {
  const ws = JSON.stringify(join(import.meta.dir, "../../node_modules/ws/wrapper.mjs"));

  test("Node 20, with the class of the package ws handed in, and its process ends when it is closed", async () => {
    await using broker = await testBroker({ port: 0 });
    using bundle = await bundleClient({ minify: true });
    const options = `{ token: "${broker.token}", webSocket: (await import(${ws})).default }`;
    const path = await bundle.script(script(broker.url, options));
    expect(await runScript(["node", path], "")).toEqual({ stdout: '["hello"]\n', stderr: "", code: 0 });
  });

  test("Node without a WebSocket says what to hand in", async () => {
    using bundle = await bundleClient();
    const path = await bundle.script(`delete globalThis.WebSocket;
      await new Client("ws://127.0.0.1:1/ws").ping().catch(({ code, message }) => console.log(code, message));`);
    const { stdout } = await runScript(["node", path], "");
    expect(stdout).toContain(
      "bad_command Cannot ping: Cannot connect to ws://127.0.0.1:1/ws: there is no WebSocket here",
    );
  });

  test("Bun, found by EPHEMERAL_URL and EPHEMERAL_TOKEN", async () => {
    await using broker = await testBroker({ port: 0 });
    using bundle = await bundleClient();
    const set = `process.env.EPHEMERAL_URL = "${broker.url}"; process.env.EPHEMERAL_TOKEN = "${broker.token}";`;
    const path = await bundle.script(`${set}${script(undefined, "{}")}`);
    expect(await runScript([process.execPath, path], "")).toEqual({ stdout: '["hello"]\n', stderr: "", code: 0 });
  });
});
