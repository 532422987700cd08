import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { msgpackClient } from "../support/msgpack-client.ts";
import { until } from "../support/processes.ts";

const ping = { action: "ping" };
const ttl = 60_000;

/** Bounds small enough to reach: an outbox of 64 KiB beside the kernel's own buffers of some 200 KiB. */
const small = {
  frameBytesMax: 16 * 1024,
  valueBytesMax: 8 * 1024,
  outboxBytesMax: 64 * 1024,
  historyBytesMax: 16 * 1024,
};

async function waitsOf(client: LineClient): Promise<number> {
  const { stats } = (await client.ask({ action: "stats" })) as { stats: { waits: number } };
  return stats.waits;
}

/** Resolves when exactly `count` commands wait in the broker. */
async function untilWaiting(client: LineClient, count: number): Promise<void> {
  const deadline = performance.now() + 5000;
  while ((await waitsOf(client)) !== count) if (performance.now() > deadline) throw new Error(`not ${count} waits`);
}

async function linesOf(client: LineClient, count: number): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  while (lines.length < count) lines.push(await client.next());
  return lines;
}

describe("Connection: order", () => {
  test("answers pipelined commands in the order they came, with ids and without", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const commands = Array.from({ length: 300 }, (_, index) => ({
      ...(index % 3 === 0 ? { id: index } : {}),
      action: "set",
      key: `k${index}`,
      value: index,
      ttl,
    }));
    client.write(commands.map((command) => `${JSON.stringify(command)}\n`).join(""));
    const replies = await linesOf(client, 300);
    expect(replies.map((reply) => reply.version)).toEqual(
      commands.map((_, index) => Number(replies[0]?.version) + index),
    );
    expect(replies.map((reply) => reply.id)).toEqual(commands.map((command) => command.id));
  });

  test("holds up what has no id behind a wait without an id, and nothing that has one", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    using other = await lineClient(broker.pipe);
    client.say({ action: "get", key: "k", waitMs: -1 });
    client.say({ action: "set", key: "mine", value: 1, ttl });
    client.say({ action: "nonsense" });
    client.write("not json\n");
    client.say({ id: 7, action: "get", key: "mine" });
    client.say({ id: 8, action: "nonsense" });
    expect(await linesOf(client, 2)).toMatchObject([
      { id: 7, error: "not_found" },
      { id: 8, error: "unknown_action" },
    ]);
    await other.ask({ action: "set", key: "k", value: "now", ttl });
    expect(await linesOf(client, 4)).toMatchObject([
      { ok: true, value: "now" },
      { ok: true, version: expect.any(Number) },
      { ok: false, error: "unknown_action" },
      { ok: false, error: "invalid_json" },
    ]);
  });

  test("does not let a wait with an id hold up anything", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    client.say({ id: 1, action: "get", key: "k", waitMs: -1 });
    client.say(ping);
    client.say({ id: 2, action: "set", key: "k", value: 1, ttl });
    const [pong, ...rest] = await linesOf(client, 3);
    expect(pong).toMatchObject({ ok: true, pong: expect.any(Number) });
    expect(rest.map((reply) => reply.id).toSorted()).toEqual([1, 2]);
  });

  test("echoes the largest id, and takes null for none", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    expect(await client.ask({ id: 2 ** 53 - 1, action: "ping" })).toMatchObject({ id: 2 ** 53 - 1 });
    expect(await client.ask({ id: 0, action: "ping" })).toMatchObject({ id: 0 });
    expect(await client.ask({ id: null, action: "ping" })).not.toHaveProperty("id");
    const refused = await client.ask({ id: "1", action: "ping" });
    expect(refused).toMatchObject({ ok: false, error: "bad_command", details: { field: "id" } });
    expect(refused).not.toHaveProperty("id");
  });
});

describe("Connection: cancel", () => {
  test("takes a wait back: it is answered cancelled, and the next in the queue is served", async () => {
    await using broker = await testBroker();
    using holder = await lineClient(broker.pipe);
    using client = await lineClient(broker.pipe);
    const lease = (workerId: string) => ({ action: "lease", key: "k", workerId, size: 1, waitMs: -1 });
    await holder.ask(lease("holder"));
    client.say({ id: 1, ...lease("first") });
    client.say({ id: 2, ...lease("second") });
    client.say({ id: 3, action: "cancel", target: 1 });
    const replies = await linesOf(client, 2);
    expect(replies).toContainEqual(expect.objectContaining({ id: 1, ok: false, error: "cancelled" }));
    expect(replies).toContainEqual({ id: 3, ok: true, cancelled: true });
    await holder.ask({ action: "release", workerId: "holder" });
    expect(await client.next()).toMatchObject({ id: 2, ok: true, value: 0 });
  });

  test("is false for a grant that won the race, for itself, for a command never said and for another's wait", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    using other = await lineClient(broker.pipe);
    other.say({ id: 5, action: "get", key: "never", waitMs: -1 });
    await untilWaiting(client, 1);
    client.say({ id: 1, action: "get", key: "k", waitMs: -1 });
    client.write(
      [
        { id: 2, action: "set", key: "k", value: 1, ttl },
        { id: 3, action: "cancel", target: 1 },
        { id: 4, action: "cancel", target: 4 },
        { id: 5, action: "cancel", target: 99 },
        { id: 6, action: "cancel", target: 5 },
      ]
        .map((command) => `${JSON.stringify(command)}\n`)
        .join(""),
    );
    const replies = await linesOf(client, 6);
    for (const id of [3, 4, 5, 6]) expect(replies).toContainEqual({ id, ok: true, cancelled: false });
    expect(replies).toContainEqual(expect.objectContaining({ id: 1, ok: true, value: 1 }));
    expect(await waitsOf(client)).toBe(1);
  });

  test("frees the id for the next command", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    for (let round = 0; round < 3; round++) {
      client.say({ id: 1, action: "get", key: "k", waitMs: -1 });
      const duplicate = await client.ask({ id: 1, action: "ping" });
      expect(duplicate).toMatchObject({ id: 1, ok: false, error: "bad_command" });
      client.say({ id: 2, action: "cancel", target: 1 });
      expect(await linesOf(client, 2)).toHaveLength(2);
    }
    expect(await waitsOf(client)).toBe(0);
  });
});

describe("Connection: commandsHeldBytesMax", () => {
  test("bounds the bytes behind a wait, refuses the rest in its turn, and has room again", async () => {
    await using broker = await testBroker({ limits: { ...small, commandsHeldBytesMax: 16 * 1024 } });
    using client = await lineClient(broker.pipe);
    using other = await lineClient(broker.pipe);
    const set = { action: "set", key: "k", value: "x".repeat(7000), ttl };
    for (let round = 0; round < 3; round++) {
      client.say({ action: "get", key: `late ${round}`, waitMs: -1 });
      for (let count = 0; count < 4; count++) client.say(set);
      client.say({ action: "ping" });
      // Not behind the wait, as it has a number, and so not held either.
      expect(await client.ask({ ...set, id: 1 })).toMatchObject({ id: 1, ok: true });
      await other.ask({ action: "set", key: `late ${round}`, value: 1, ttl });
      const refused = { ok: false, error: "too_many_commands" };
      const done = { ok: true, version: expect.any(Number) };
      const replies = await linesOf(client, 6);
      expect(replies).toMatchObject([done, done, done, refused, refused, { pong: expect.any(Number) }]);
      expect(replies[3]?.details).toMatchObject({ commandsHeldBytesMax: 16 * 1024 });
    }
  });

  test("what is held is done as it was said, in both codecs", async () => {
    await using broker = await testBroker();
    using json = await lineClient(broker.pipe);
    using msgpack = await msgpackClient(broker.pipe);
    for (const client of [json, msgpack]) {
      client.say({ action: "get", key: "late", waitMs: -1 });
      client.say({ action: "set", key: "held", value: { a: [1, "é€", null] }, ttl });
      client.say({ action: "get", key: "held" });
    }
    using other = await lineClient(broker.pipe);
    await untilWaiting(other, 2);
    await other.ask({ action: "set", key: "late", value: 1, ttl });
    for (const client of [json, msgpack]) {
      expect(await client.next()).toMatchObject({ ok: true, value: 1 });
      expect(await client.next()).toMatchObject({ ok: true, version: expect.any(Number) });
      expect(await client.next()).toMatchObject({ ok: true, value: { a: [1, "é€", null] } });
    }
  });
});

describe("Connection: commandsInFlightMax", () => {
  test("bounds waits with ids, and lets in another when one is answered", async () => {
    await using broker = await testBroker({ limits: { commandsInFlightMax: 3 } });
    using client = await lineClient(broker.pipe);
    for (const id of [1, 2, 3]) client.say({ id, action: "get", key: `k${id}`, waitMs: -1 });
    expect(await client.ask({ id: 4, action: "ping" })).toEqual({
      id: 4,
      ok: false,
      error: "too_many_commands",
      message: expect.stringContaining("3 are unanswered"),
      retryable: true,
      details: { commandsInFlightMax: 3, commandsHeldBytesMax: defaultLimits.commandsHeldBytesMax },
    });
    using other = await lineClient(broker.pipe);
    await other.ask({ action: "set", key: "k2", value: 1, ttl });
    expect(await client.next()).toMatchObject({ id: 2, ok: true });
    expect(await client.ask({ id: 5, action: "ping" })).toMatchObject({ id: 5, ok: true });
  });

  test("bounds commands without ids together with those that have one, each refused in its turn", async () => {
    await using broker = await testBroker({ limits: { commandsInFlightMax: 3 } });
    using client = await lineClient(broker.pipe);
    using other = await lineClient(broker.pipe);
    client.say({ id: 1, action: "get", key: "numbered", waitMs: -1 });
    client.say({ action: "get", key: "k", waitMs: -1 });
    client.say({ action: "set", key: "in", value: 1, ttl });
    for (let count = 0; count < 5; count++) client.say({ action: "set", key: "out", value: 1, ttl });
    // With an id, so told at once: and the five are read by then.
    expect(await client.ask({ id: 2, action: "ping" })).toMatchObject({ id: 2, error: "too_many_commands" });
    await other.ask({ action: "set", key: "k", value: "v", ttl });
    const replies = await linesOf(client, 7);
    expect(replies).toMatchObject([
      { ok: true, value: "v" },
      { ok: true },
      ...Array(5).fill({ ok: false, error: "too_many_commands" }),
    ]);
    expect(await client.ask({ action: "get", key: "out" })).toMatchObject({ error: "not_found" });
    expect(await client.ask({ action: "get", key: "in" })).toMatchObject({ value: 1 });
  });
});

describe("Connection: frames that cannot be read", () => {
  test("closes with the third in a row", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    client.write("null\n[]\n{\n");
    expect(await linesOf(client, 3)).toMatchObject(Array(3).fill({ ok: false, error: "invalid_json" }));
    await client.closed;
  });

  test("does not close when a command comes between them, however many there are", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    for (let round = 0; round < 5; round++) {
      client.write("null\n[]\n\n\r\n");
      expect(await linesOf(client, 2)).toMatchObject([{ error: "invalid_json" }, { error: "invalid_json" }]);
      expect(await client.ask({ action: "nonsense" })).toMatchObject({ error: "unknown_action" });
    }
    expect(await client.ask(ping)).toMatchObject({ ok: true });
  });

  test("says too_large and closes, after the answers to what came before", async () => {
    await using broker = await testBroker({ limits: small });
    using client = await lineClient(broker.pipe);
    client.write(`{"action":"ping"}\n${"x".repeat(small.frameBytesMax + 2)}`);
    expect(await linesOf(client, 2)).toMatchObject([
      { ok: true },
      { ok: false, error: "too_large", details: { frameBytesMax: small.frameBytesMax } },
    ]);
    await client.closed;
  });

  test("takes a frame of exactly the bound", async () => {
    await using broker = await testBroker({ limits: small });
    using client = await lineClient(broker.pipe);
    const line = '{"action":"ping","pad":""}';
    client.write(`${line.slice(0, -2)}${"x".repeat(small.frameBytesMax - line.length)}"}\r\n`);
    expect(await client.next()).toMatchObject({ ok: true });
  });
});

describe("Connection: hello", () => {
  const hello = { action: "hello", protocol: 1 };

  test("answers with the session, the broker and every bound", async () => {
    await using broker = await testBroker({ limits: { itemsMax: 77 } });
    using client = await lineClient(broker.pipe);
    const reply = await client.ask({ ...hello, label: "worker 1", client: { name: "n", version: "1" } });
    const { secret } = reply.session as { secret: string };
    expect(reply).toMatchObject({
      ok: true,
      protocol: 1,
      session: { id: expect.any(String), secret: expect.stringMatching(/^[0-9a-f]{32}$/), resumed: false },
      holds: [],
      broker: {
        version: expect.any(String),
        epoch: expect.stringMatching(/^[0-9a-f]+$/),
        startedAtMs: expect.any(Number),
      },
      limits: { itemsMax: 77, frameBytesMax: 1024 * 1024 },
    });
    const { sessions } = (await client.ask({ action: "ps" })) as { sessions: object[] };
    expect(sessions).toMatchObject([{ label: "worker 1", client: { name: "n", version: "1" }, pid: process.pid }]);
    expect(JSON.stringify(sessions)).not.toContain(secret);
  });

  test.each([
    ["twice", [hello], hello],
    ["after another command", [ping], hello],
    ["after a command that was refused", [{ action: "get", key: "k" }], hello],
    ["of another protocol", [], { action: "hello", protocol: 2 }],
  ])("is refused %s, and the connection stays", async (_what, before, command) => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    for (const one of before) await client.ask(one);
    expect(await client.ask(command)).toMatchObject({ ok: false, error: "bad_command" });
    expect(await client.ask(ping)).toMatchObject({ ok: true });
  });

  test.each([
    ["a challenge", { action: "challenge" }],
    ["what is no command", { action: "nonsense" }],
    ["another protocol", { action: "hello", protocol: 2 }],
  ])("may come after %s", async (_what, before) => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    await client.ask(before);
    expect(await client.ask(hello)).toMatchObject({ ok: true });
  });

  test("earns a closing push when the broker stops; a connection without it just ends", async () => {
    await using broker = await testBroker();
    using polite = await lineClient(broker.pipe);
    using mute = await lineClient(broker.pipe);
    await polite.ask(hello);
    await mute.ask(ping);
    await broker.stop();
    expect(await polite.next()).toEqual({ push: "closing", code: 3001, reason: expect.any(String) });
    await polite.closed;
    await expect(mute.next()).rejects.toThrow("closed");
  });
});

describe("Connection: its end", () => {
  test("frees what its session held and takes its waits out of their queues, in their order", async () => {
    await using broker = await testBroker();
    using survivor = await lineClient(broker.pipe);
    const leaver = await lineClient(broker.pipe);
    const lease = (workerId: string) => ({
      action: "lease",
      key: "k",
      workerId,
      size: 1,
      waitMs: -1,
      scope: "session",
    });
    await leaver.ask(lease("leaver"));
    await leaver.ask({ id: 1, action: "once", key: "o" });
    leaver.say({ id: 2, action: "get", key: "g", waitMs: -1 });
    leaver.say({ action: "get", key: "g", waitMs: -1 });
    leaver.say({ action: "set", key: "ghost", value: 1, ttl });
    leaver.say({ id: 3, ...lease("leaver too") });
    await untilWaiting(survivor, 3);
    survivor.say({ id: 10, ...lease("survivor") });
    survivor.say({ id: 11, action: "once", key: "o", waitMs: -1 });
    await untilWaiting(survivor, 5);

    leaver[Symbol.dispose]();
    const granted = await linesOf(survivor, 2);
    expect(granted.find((reply) => reply.id === 10)).toMatchObject({ ok: true, value: 0 });
    expect(granted.find((reply) => reply.id === 11)).toMatchObject({ ok: true, leader: true });
    const { stats } = (await survivor.ask({ action: "stats" })) as { stats: object };
    expect(stats).toMatchObject({ waits: 0, connections: 1, sessions: 1, leases: 1, onces: 1 });
    // What stood behind a wait was never done.
    expect(await survivor.ask({ action: "get", key: "ghost" })).toMatchObject({ error: "not_found" });
  });

  test("takes its waits along though its session lingers, and leaves what is held", async () => {
    await using broker = await testBroker();
    using survivor = await lineClient(broker.pipe);
    const leaver = await lineClient(broker.pipe);
    const lease = (key: string, workerId: string) => ({ action: "lease", key, workerId, size: 1, waitMs: -1 });
    await leaver.ask({ id: 0, action: "hello", protocol: 1, lingerMs: 60_000 });
    await leaver.ask({ id: 1, ...lease("kept", "leaver"), scope: "session" });
    await survivor.ask({ id: 1, ...lease("wanted", "survivor") });
    leaver.say({ id: 2, ...lease("wanted", "leaver") });
    leaver.say(lease("wanted", "leaver too"));
    leaver.say({ action: "set", key: "ghost", value: 1, ttl });
    await untilWaiting(survivor, 2);
    leaver[Symbol.dispose]();
    await untilWaiting(survivor, 0);
    await survivor.ask({ id: 2, action: "release", workerId: "survivor" });
    // Nobody who has gone took it, and nothing that stood behind a wait was done.
    expect(await survivor.ask({ id: 3, ...lease("wanted", "survivor") })).toMatchObject({ ok: true, value: 0 });
    expect(await survivor.ask({ action: "get", key: "ghost" })).toMatchObject({ error: "not_found" });
    const { stats } = (await survivor.ask({ action: "stats" })) as { stats: object };
    expect(stats).toMatchObject({ connections: 1, sessions: 2, leases: 2 });
  });

  test("answers a connection over connectionsMax with too_many_connections and closes it; room comes back", async () => {
    await using broker = await testBroker({ limits: { connectionsMax: 2 } });
    const first = await lineClient(broker.pipe);
    using second = await lineClient(broker.pipe);
    await first.ask(ping);
    await second.ask(ping);
    using third = await lineClient(broker.pipe);
    expect(await third.next()).toMatchObject({ ok: false, error: "too_many_connections", retryable: true });
    await third.closed;
    expect(await second.ask(ping)).toMatchObject({ ok: true });
    first[Symbol.dispose]();
    const deadline = performance.now() + 5000;
    for (;;) {
      using again = await lineClient(broker.pipe);
      const reply = await again.ask(ping).catch(() => ({}));
      if ("pong" in reply) break;
      if (performance.now() > deadline) throw new Error("no room came back");
    }
  });

  test("comes when the broker stops, for a hundred of them with waits, and leaves no directory", async () => {
    await using broker = await testBroker();
    const clients = await Promise.all(Array.from({ length: 100 }, () => lineClient(broker.pipe)));
    for (const client of clients) client.say({ id: 1, action: "get", key: "never", waitMs: -1 });
    const [first] = clients;
    if (first !== undefined) await untilWaiting(first, 100);
    await Promise.all([broker.stop(), broker.stop()]);
    expect(fs.existsSync(broker.directory)).toBe(false);
    await Promise.all(clients.map((client) => client.closed));
    await broker.stop();
    await expect(lineClient(broker.pipe)).rejects.toThrow();
  });

  test("leaves no descriptor behind after a thousand connections", async () => {
    await using broker = await testBroker();
    const descriptors = (): number => fs.readdirSync("/proc/self/fd").length;
    using client = await lineClient(broker.pipe);
    await client.ask(ping);
    const before = descriptors();
    for (let round = 0; round < 20; round++) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => lineClient(broker.pipe)));
      for (const one of clients) one.say({ id: 1, action: "get", key: "never", waitMs: -1 });
      for (const one of clients) one[Symbol.dispose]();
    }
    await untilWaiting(client, 0);
    await until(() => descriptors() <= before);
  });
});
