/**
 * Every bound, reached and gone past: what is just within passes, what is past it is answered as `ephemeral limits` says, and
 * the broker still answers then. A bound without a case here is a compile error, one that nothing asks for a failure.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { EndOfRun } from "../../src/broker/end-of-run.ts";
import { bounds } from "../../src/cli/settings/bounds.ts";
import { defaultLimits, type Limits } from "../../src/protocol/limits.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { rawClient } from "../support/raw-client.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { webSocketClient } from "../support/web-socket.ts";

type Answer = Record<string, unknown>;

/** What was answered just within the bound, and past it. */
interface Outcome {
  readonly within: Answer;
  readonly past: Answer;
}

interface Case {
  /** Small, so that it is soon reached. */
  readonly limits: Partial<Limits>;
  /** `url` is that of a web door without authentication. */
  readonly reach: (client: LineClient, pipe: string, url: string) => Promise<Outcome>;
  /** Given where clients have to show a token. */
  readonly token?: string;
}

const ttl = 60_000;
const set = (key: string, value: unknown = 1): object => ({ action: "set", key, value, ttl });
/** A `get` that waits and a `ping` behind it, which shows that the `get` was taken. */
async function wait(client: LineClient, id: number): Promise<Answer> {
  client.say({ id, action: "get", key: `never ${id}`, waitMs: -1 });
  return client.ask({ id: 1000 + id, action: "ping" });
}

/** A `get` that may not wait. */
const waitPast = (client: LineClient): Promise<Answer> =>
  client.ask({ id: 99, action: "get", key: "never", waitMs: -1 });

const push = (queue: string, ...items: readonly object[]): object => ({ action: "queue.push", queue, items });

/** Takes the next job and ends its taking in one way or the other. */
async function endNext(client: LineClient, action: "queue.ack" | "queue.nack"): Promise<void> {
  const { jobs } = await client.ask({ action: "queue.take", queue: "q" });
  const [{ id, fence }] = jobs as [{ id: string; fence: number }];
  expect(await client.ask({ action, queue: "q", job: id, fence })).toMatchObject({ ok: true });
}

const cases: Readonly<Record<keyof Limits, Case>> = {
  frameBytesMax: {
    limits: { frameBytesMax: 2000, valueBytesMax: 1900 },
    async reach(_client, pipe) {
      using within = await lineClient(pipe);
      using past = await lineClient(pipe);
      const frame = (bytes: number): string => `${JSON.stringify({ action: "ping" }).padEnd(bytes)}\n`;
      within.write(frame(2000));
      past.write(frame(2001));
      const answers = { within: await within.next(), past: await past.next() };
      await past.closed;
      return answers;
    },
  },
  valueBytesMax: {
    limits: { valueBytesMax: 1000 },
    // Two quotes belong to the value, and é takes two bytes.
    reach: async (client) => ({
      within: await client.ask(set("k", "é".repeat(499))),
      past: await client.ask(set("k", `${"é".repeat(499)}a`)),
    }),
  },
  keyBytesMax: {
    limits: { keyBytesMax: 20 },
    reach: async (client) => ({
      within: await client.ask(set("é".repeat(10))),
      past: await client.ask(set(`${"é".repeat(10)}a`)),
    }),
  },
  itemsMax: {
    limits: { itemsMax: 3 },
    async reach(client) {
      for (const key of ["a", "b"]) await client.ask(set(key));
      return { within: await client.ask(set("c")), past: await client.ask(set("d")) };
    },
  },
  poolItemsMax: {
    limits: { poolItemsMax: 3 },
    async reach(client) {
      const items = [{ value: 1 }, { value: 2 }];
      await client.ask({ action: "pool.define", pool: "a", items });
      const [within, past] = [items.slice(1), items];
      return {
        within: await client.ask({ action: "pool.define", pool: "b", items: within }),
        past: await client.ask({ action: "pool.define", pool: "b", items: past }),
      };
    },
  },
  rateGrantsMax: {
    limits: { rateGrantsMax: 2 },
    async reach(client) {
      const limit = (key: string): object => ({ action: "limit", key, limit: 10, windowMs: 60_000 });
      await client.ask(limit("a"));
      return { within: await client.ask(limit("b")), past: await client.ask(limit("c")) };
    },
  },
  queueJobsMax: {
    limits: { queueJobsMax: 3 },
    async reach(client) {
      await client.ask(push("a", { data: 1 }, { data: 2 }));
      return { within: await client.ask(push("b", { data: 1 })), past: await client.ask(push("b", { data: 2 })) };
    },
  },
  queueBytesMax: {
    limits: { queueBytesMax: 1000 },
    async reach(client) {
      await client.ask(push("a", { data: "é".repeat(200) }));
      const within = await client.ask(push("b", { data: "é".repeat(50) }));
      return { within, past: await client.ask(push("b", { data: "" })) };
    },
  },
  jobIdsRemembered: {
    limits: { jobIdsRemembered: 2 },
    async reach(client) {
      await client.ask(push("q", ...["a", "b", "c"].map((id) => ({ id, data: 1 }))));
      for (let job = 0; job < 3; job++) await endNext(client, "queue.ack");
      const within = await client.ask(push("q", { id: "b", data: 1 }, { id: "c", data: 1 }));
      const past = await client.ask(push("q", { id: "a", data: 1 }));
      return { within: { ok: within.count === 0 }, past: { forgotten: past.count } };
    },
  },
  jobAttemptsMax: {
    limits: { jobAttemptsMax: 2 },
    async reach(client) {
      await client.ask(push("q", { id: "a", data: 1 }));
      await endNext(client, "queue.nack");
      const within = await client.ask({ action: "queue.info", queue: "q" });
      await endNext(client, "queue.nack");
      const { dead, deadJobs } = await client.ask({ action: "queue.info", queue: "q" });
      return { within: { ok: within.dead === 0 }, past: { dead, jobs: (deadJobs as unknown[]).length } };
    },
  },
  namesMax: {
    limits: { namesMax: 2 },
    async reach(client) {
      await client.ask({ action: "lease", key: "a", workerId: "w", ttl });
      const within = await client.ask({ action: "once", key: "b" });
      return { within, past: await client.ask({ action: "lease", key: "c", workerId: "w", ttl }) };
    },
  },
  onEndMax: {
    limits: { onEndMax: 2 },
    async reach(client) {
      const onEnd = (name: string): object => ({ action: "onEnd", argv: [name], cwd: "/" });
      await client.ask(onEnd("a"));
      return { within: await client.ask(onEnd("b")), past: await client.ask(onEnd("c")) };
    },
  },
  waitsMax: {
    limits: { waitsMax: 2, waitsPerSessionMax: 2 },
    async reach(client, pipe) {
      using other = await lineClient(pipe);
      await wait(other, 1);
      return { within: await wait(client, 2), past: await waitPast(client) };
    },
  },
  waitsPerSessionMax: {
    limits: { waitsPerSessionMax: 2 },
    async reach(client, pipe) {
      await wait(client, 1);
      await wait(client, 2);
      const past = await waitPast(client);
      using other = await lineClient(pipe);
      return { within: await wait(other, 3), past };
    },
  },
  lingerMsMax: {
    limits: { lingerMsMax: 500 },
    async reach(client, pipe) {
      using other = await lineClient(pipe);
      const hello = (lingerMs: number): object => ({ action: "hello", protocol: 1, lingerMs });
      return { within: await client.ask(hello(500)), past: await other.ask(hello(501)) };
    },
  },
  connectionsMax: {
    limits: { connectionsMax: 2 },
    async reach(_client, pipe) {
      using within = await lineClient(pipe);
      const answered = await within.ask({ action: "ping" });
      using past = await lineClient(pipe);
      const refused = await past.next();
      await past.closed;
      return { within: answered, past: refused };
    },
  },
  commandsInFlightMax: {
    limits: { commandsInFlightMax: 3 },
    async reach(client) {
      await wait(client, 1);
      const within = await wait(client, 2);
      client.say({ id: 3, action: "get", key: "never", waitMs: -1 });
      return { within, past: await client.ask({ id: 4, action: "ping" }) };
    },
  },
  commandsHeldBytesMax: {
    limits: { frameBytesMax: 4096, valueBytesMax: 2048, commandsHeldBytesMax: 4096 },
    async reach(client, pipe) {
      client.say({ action: "get", key: "late", waitMs: -1 });
      for (let count = 0; count < 3; count++) client.say(set("k", "x".repeat(1900)));
      using other = await lineClient(pipe);
      await client.ask({ id: 1, action: "ping" });
      await other.ask(set("late", 1));
      await client.next();
      const within = await client.next();
      await client.next();
      return { within, past: await client.next() };
    },
  },
  outboxBytesMax: {
    limits: { frameBytesMax: 1024 * 1024, historyBytesMax: 1024, outboxBytesMax: 2 * 1024 * 1024 + 2048, stallMs: 300 },
    reach: (client, pipe) => unread(client, pipe, 300),
  },
  stallMs: {
    limits: { historyBytesMax: 1024, outboxBytesMax: 2 * 1024 * 1024 + 2048, stallMs: 50 },
    reach: (client, pipe) => unread(client, pipe, 50),
  },
  helloTimeoutMs: {
    limits: { helloTimeoutMs: 50 },
    reach: (_client, _pipe, url) => closedInTheEnd(url, { isGreeted: false }),
  },
  helloBytesMax: {
    limits: { helloBytesMax: 100 },
    async reach(_client, _pipe, url) {
      const greeting = (bytes: number): string => JSON.stringify({ action: "hello", protocol: 1 }).padEnd(bytes);
      using within = await webSocketClient(url);
      using past = await webSocketClient(url);
      within.send(greeting(100));
      past.send(greeting(101));
      const answers = { within: await within.next(), past: await past.next() };
      within.send(JSON.stringify({ action: "ping" }).padEnd(2000));
      expect(await within.next()).toMatchObject({ pong: expect.any(Number) });
      await past.closed;
      return answers;
    },
  },
  pingIntervalMs: {
    limits: { pingIntervalMs: 20, pongTimeoutMs: 60_000 },
    async reach(_client, _pipe, url) {
      using client = await webSocketClient(url);
      const within = await client.ask({ action: "hello", protocol: 1 });
      return { within, past: await client.next() };
    },
  },
  pongTimeoutMs: {
    limits: { pingIntervalMs: 20, pongTimeoutMs: 50 },
    reach: (_client, _pipe, url) => closedInTheEnd(url, { isGreeted: true }),
  },
  authFailuresPerMinuteMax: {
    limits: { authFailuresPerMinuteMax: 2 },
    token: "0123456789abcdef0123456789abcdef",
    async reach(_client, _pipe, url) {
      const stats = new URL("/stats", url.replace("ws:", "http:"));
      const statuses: number[] = [];
      for (let attempt = 0; attempt < 4; attempt++) statuses.push((await fetch(stats)).status);
      return { within: { ok: statuses[1] === 401 }, past: { statuses } };
    },
  },
  latestKeysMax: {
    limits: { latestKeysMax: 5, frameBytesMax: 4096, valueBytesMax: 2048, outboxBytesMax: 9216, historyBytesMax: 512 },
    reach: behind,
  },
  watchesPerSessionMax: {
    limits: { watchesPerSessionMax: 2 },
    async reach(client) {
      await client.ask({ action: "watch", prefix: "a" });
      const within = await client.ask({ action: "watch", prefix: "b" });
      return { within, past: await client.ask({ action: "watch", prefix: "c" }) };
    },
  },
  methodsPerSessionMax: {
    limits: { methodsPerSessionMax: 2 },
    async reach(client) {
      const serve = (method: string): Promise<Answer> => client.ask({ action: "serve", method });
      await serve("a");
      await serve("b");
      return { within: await serve("a"), past: await serve("c") };
    },
  },
  requestBytesMax: {
    limits: { requestBytesMax: 100 },
    async reach(client) {
      const request = (id: number, length: number): object => {
        return { id, action: "request", method: "m", data: "é".repeat(length / 2 - 1), waitMs: -1 };
      };
      client.say(request(1, 60));
      client.say(request(2, 40));
      const within = await client.ask({ action: "ping" });
      const past = await client.ask(request(3, 4));
      // What was given up is room again.
      expect(await client.ask({ action: "cancel", target: 2 })).toMatchObject({ cancelled: true });
      expect(await client.next()).toMatchObject({ id: 2, error: "cancelled" });
      client.say(request(4, 40));
      expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
      return { within, past };
    },
  },
  subscriptionsPerConnectionMax: {
    limits: { subscriptionsPerConnectionMax: 2 },
    async reach(client) {
      await client.ask({ action: "subscribe", channel: "a" });
      const within = await client.ask({ action: "subscribe", channel: "b" });
      return { within, past: await client.ask({ action: "subscribe", channel: "c" }) };
    },
  },
  historyCountMax: {
    limits: { historyCountMax: 2 },
    reach: (client) => forgotten(client, { channels: ["a", "a", "a"], within: 2 }),
  },
  historyBytesMax: {
    limits: { historyBytesMax: 1000 },
    reach: (client) => forgotten(client, { channels: ["a", "a", "a"], within: 2 }),
  },
  historyBytesTotalMax: {
    limits: { historyBytesTotalMax: 1000 },
    reach: (client) => forgotten(client, { channels: ["b", "a", "a"], within: 2 }),
  },
  historyTtlMs: {
    limits: { historyTtlMs: 100 },
    async reach(client) {
      await client.ask(publish("a"));
      const within = await client.ask({ action: "history", channel: "a" });
      let left = (within.messages as unknown[]).length;
      while (left > 0) left = ((await client.ask({ action: "history", channel: "a" })).messages as unknown[]).length;
      return { within, past: { kept: 2 } };
    },
  },
  channelsRemembered: {
    limits: { channelsRemembered: 2 },
    async reach(client) {
      for (const channel of ["a", "b", "c"]) await client.ask(publish(channel));
      const within = await client.ask({ action: "history", channel: "b" });
      const { offset } = await client.ask({ action: "history", channel: "a" });
      return { within: { ok: within.offset === 1 }, past: { kept: offset === 0 ? 2 : 3 } };
    },
  },
  serialsRemembered: {
    limits: { serialsRemembered: 2 },
    async reach(client) {
      for (const serial of [1, 2, 3]) await client.ask({ ...publish("a"), serial });
      const again = await client.ask({ ...publish("a"), serial: 2 });
      return { within: { ok: again.offset === 2 }, past: await client.ask({ ...publish("a"), serial: 1 }) };
    },
  },
  ttlMsMax: {
    limits: { ttlMsMax: 2_000_000 },
    reach: async (client) => ({
      within: await client.ask({ ...set("k"), ttl: 2_000_000 }),
      past: await client.ask({ ...set("k"), ttl: 2_000_001 }),
    }),
  },
  expiredRememberedMs: {
    limits: { expiredRememberedMs: 300 },
    async reach(client) {
      await client.ask({ ...set("k"), ttl: 1 });
      let answer = await client.ask({ action: "get", key: "k" });
      while (answer.ok === true) answer = await client.ask({ action: "get", key: "k" });
      const within = answer;
      while (answer.error === "expired") answer = await client.ask({ action: "get", key: "k" });
      return { within: { ok: within.error === "expired" }, past: answer };
    },
  },
  expiredRememberedMax: {
    limits: { expiredRememberedMax: 2 },
    async reach(client) {
      for (const key of ["a", "b", "c"]) await client.ask({ ...set(key), ttl: 1 });
      const get = (key: string): Promise<Answer> => client.ask({ action: "get", key });
      while ((await get("c")).ok === true);
      return { within: { ok: (await get("b")).error === "expired" }, past: await get("a") };
    },
  },
};

const publish = (channel: string): object => ({ action: "publish", channel, data: "x".repeat(300) });

/** Publishes messages of some 400 bytes, and counts how many of them are known in the end. */
async function forgotten(
  client: LineClient,
  { channels, within }: { channels: readonly string[]; within: number },
): Promise<Outcome> {
  const known = async (): Promise<number> => {
    const { channels } = (await client.ask({ action: "channels" })) as { channels?: { messages: number }[] };
    return (channels ?? []).reduce((sum, { messages }) => sum + messages, 0);
  };
  for (const channel of channels.slice(0, within)) await client.ask(publish(channel));
  const before = await known();
  for (const channel of channels.slice(within)) await client.ask(publish(channel));
  return { within: { ok: before === within }, past: { kept: await known() } };
}

/** Asks for more than the outbox holds and reads nothing until the broker has given up. */
async function unread(client: LineClient, pipe: string, stallMs: number): Promise<Outcome> {
  await client.ask(set("large", "x".repeat(200_000)));
  using slow = await rawClient(pipe);
  slow.write(`${JSON.stringify({ action: "hello", protocol: 1 })}\n`);
  const within = await slow.next();
  slow.pause();
  const askedAtMs = performance.now();
  for (let id = 1; id <= 40; id++) slow.write(`${JSON.stringify({ id, action: "get", key: "large" })}\n`);
  for (;;) {
    const { stats } = (await client.ask({ action: "stats" })) as { stats: { connections: number } };
    if (stats.connections === 1) break;
  }
  expect(performance.now() - askedAtMs).toBeGreaterThan(stallMs - 5);
  return { within, past: {} };
}

/** Says hello, or nothing, and is closed by the broker for saying nothing more. */
async function closedInTheEnd(url: string, { isGreeted }: { readonly isGreeted: boolean }): Promise<Outcome> {
  using client = await webSocketClient(url);
  const within = isGreeted ? await client.ask({ action: "hello", protocol: 1 }) : { ok: client.head.includes(" 101 ") };
  await client.closed;
  return { within, past: {} };
}

/** Watches with overflow `latest`, reads nothing while more keys change than are kept, and then counts what came. */
async function behind(client: LineClient, pipe: string): Promise<Outcome> {
  using slow = await rawClient(pipe);
  slow.write(`${JSON.stringify({ action: "watch", prefix: "k", overflow: "latest" })}\n`);
  const within = await slow.next();
  slow.pause();
  const keys = 2000;
  for (let index = 0; index < keys; index++) {
    await client.ask(set(`${"k".repeat(500)}${index}`));
  }
  slow.resume();
  let dropped = 0;
  const seen = { before: 0, after: 0 };
  while (seen.before + seen.after + dropped < keys) {
    const push = await slow.next();
    if (push.push === "gap") dropped += Number(push.dropped);
    else seen[dropped === 0 ? "before" : "after"]++;
  }
  return { within, past: { dropped: dropped > 0, kept: seen.after } };
}

describe("every bound", () => {
  test.each(bounds)("$limit", async ({ limit, breach }) => {
    const { limits, reach, token } = cases[limit];
    const log = recordedLog("info");
    const endOfRun = new EndOfRun({ commandsMax: limits.onEndMax ?? defaultLimits.onEndMax, keep: () => {} });
    const web = { port: 0, ...(token === undefined ? { insecureNoAuth: true } : { token }) };
    await using broker = await testBroker({ limits, log, ...web }, { endOfRun });
    using client = await lineClient(broker.pipe);
    const { within, past } = await reach(client, broker.pipe, broker.url ?? "");
    expect(within).toMatchObject({ ok: true });
    expect(past.error).toBe(breach.error);
    const closed = log.told.filter(({ level, event }) => `${level} ${event}` === "warning connection closed");
    expect(closed.map(({ fields }) => fields.code)).toEqual(breach.closeCode === undefined ? [] : [breach.closeCode]);
    if (limit === "latestKeysMax") expect(past).toEqual({ dropped: true, kept: 5 });
    if (/^(?:history|channels)/.test(limit)) expect(past).toEqual({ kept: 2 });
    if (limit === "jobIdsRemembered") expect(past).toEqual({ forgotten: 1 });
    if (limit === "pingIntervalMs") expect(past).toEqual({ push: "ping" });
    if (limit === "authFailuresPerMinuteMax") expect(past).toEqual({ statuses: [401, 401, 429, 429] });
    if (limit === "jobAttemptsMax") expect(past).toEqual({ dead: 1, jobs: 1 });
    using survivor = await lineClient(broker.pipe);
    const answer =
      limit === "connectionsMax"
        ? await client.ask({ id: 5000, action: "ping" })
        : await survivor.ask({ action: "ping" });
    expect(answer).toMatchObject({ pong: expect.any(Number) });
  });

  test("is asked for by the code that keeps it", async () => {
    const root = join(import.meta.dir, "../../src");
    const sources = [...new Bun.Glob("**/*.ts").scanSync(root)].filter(
      (path) => !/\/(?:limits|bounds)\.ts$/.test(path),
    );
    const texts = await Promise.all(sources.map((path) => Bun.file(join(root, path)).text()));
    const code = texts.join("\n").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    const unasked = Object.keys(defaultLimits).filter((limit) => !new RegExp(`\\b${limit}\\b`).test(code));
    expect(unasked).toEqual([]);
  });
});
