import { describe, expect, test } from "bun:test";
import { type LineClient, lineClient } from "../support/broker.ts";
import { type BrokerProcess, brokerProcess } from "../support/broker-process.ts";
import { openCrowd, type Peer } from "../support/crowd.ts";
import { rawClient } from "../support/raw-client.ts";
import { isThorough } from "../support/thorough.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const ttl = 60_000;

/** Bounds small enough to reach: an outbox of 64 KiB beside the kernel's own buffers of some 200 KiB. */
const small = { frameBytesMax: 16 * KiB, valueBytesMax: 8 * KiB, outboxBytesMax: 64 * KiB, historyBytesMax: 16 * KiB };
const textOf = (bytes: number): string => "x".repeat(bytes - 2);

interface Stats {
  readonly connections: number;
  readonly leases: number;
  readonly waits: number;
  readonly commands: number;
}

async function statsOf(client: LineClient): Promise<Stats> {
  const { stats } = (await client.ask({ action: "stats" })) as { stats: Stats };
  return stats;
}

/** Asks for the stats until they are as wanted. */
async function untilStats(client: LineClient, isWanted: (stats: Stats) => boolean): Promise<Stats> {
  const deadline = performance.now() + 8000;
  for (;;) {
    const stats = await statsOf(client);
    if (isWanted(stats)) return stats;
    if (performance.now() > deadline) throw new Error(`the stats stay ${JSON.stringify(stats)}`);
    await Bun.sleep(5);
  }
}

/** Commands have stopped coming: the broker runs none but our own questions. */
async function untilPaused(client: LineClient, broker: BrokerProcess): Promise<void> {
  let before = -1;
  let quiet = 0;
  const deadline = performance.now() + 8000;
  while (quiet < 5) {
    expect(broker.exitCode).toBeNull();
    const { commands } = await statsOf(client);
    quiet = commands === before + 1 ? quiet + 1 : 0;
    before = commands;
    if (performance.now() > deadline) throw new Error("it is read on and on");
    await Bun.sleep(5);
  }
}

/** Reads what the kernel has, which makes room, and is gone before the room is used. */
async function readAndDie(peer: Peer): Promise<void> {
  const before = peer.receivedBytes;
  peer.resume();
  await peer.until(() => peer.receivedBytes > before);
  peer.drop();
}

function gets(count: number, key = "k"): string {
  return Array.from({ length: count }, (_, id) => `${JSON.stringify({ id, action: "get", key })}\n`).join("");
}

describe("a reader that is slow", () => {
  test("is not read from past the outbox's bound, gets every answer when it reads on, and delays nobody", async () => {
    await using broker = await brokerProcess({ limits: { ...small, stallMs: 60_000 } });
    using other = await lineClient(broker.pipe);
    await other.ask({ action: "set", key: "k", value: textOf(8 * KiB), ttl });
    using slow = await rawClient(broker.pipe);
    slow.pause();
    slow.write(gets(2000));
    await untilPaused(other, broker);
    const { commands } = await statsOf(other);
    // 64 KiB of outbox, the kernel's buffers on both sides, and one chunk's worth: some hundred answers, not two thousand.
    expect(commands).toBeLessThan(1000);
    for (let count = 0; count < 100; count++) expect(await other.ask({ action: "ping" })).toMatchObject({ ok: true });

    slow.resume();
    for (let id = 0; id < 2000; id++) expect((await slow.next()).id).toBe(id);
    slow.write('{"action":"ping"}\n');
    expect(await slow.next()).toMatchObject({ ok: true });
  }, 20_000);

  test("is closed after stallMs, and what it held is free", async () => {
    await using broker = await brokerProcess({ limits: { ...small, stallMs: 300 } });
    using other = await lineClient(broker.pipe);
    await other.ask({ action: "set", key: "k", value: textOf(8 * KiB), ttl });
    using slow = await rawClient(broker.pipe);
    slow.write('{"id":1,"action":"hello","protocol":1}\n');
    slow.write('{"id":2,"action":"lease","key":"l","workerId":"slow","size":1,"scope":"session"}\n');
    expect(await slow.next()).toMatchObject({ id: 1, ok: true });
    expect(await slow.next()).toMatchObject({ id: 2, ok: true, value: 0 });
    slow.pause();
    slow.write(gets(500));
    const since = performance.now();
    const lease = await other.ask({ action: "lease", key: "l", workerId: "other", size: 1, waitMs: -1 });
    expect(lease).toMatchObject({ ok: true, value: 0 });
    expect(performance.now() - since).toBeGreaterThan(250);
    expect(await untilStats(other, (stats) => stats.connections === 1)).toMatchObject({ leases: 1 });
    slow.resume();
    await slow.closed;
  }, 20_000);

  test("that dies while it is not read from is noticed after stallMs at the latest", async () => {
    await using broker = await brokerProcess({ limits: { ...small, stallMs: 500 } });
    using other = await lineClient(broker.pipe);
    await other.ask({ action: "set", key: "k", value: textOf(8 * KiB), ttl });
    for (let round = 0; round < 3; round++) {
      const slow = await rawClient(broker.pipe);
      slow.write('{"id":1,"action":"lease","key":"l","workerId":"slow","size":1,"scope":"session"}\n');
      expect(await slow.next()).toMatchObject({ id: 1, ok: true });
      slow.pause();
      slow.write(gets(500));
      await untilPaused(other, broker);
      slow[Symbol.dispose]();
      await untilStats(other, (stats) => stats.connections === 1 && stats.leases === 0);
    }
  }, 20_000);

  test("that dies in the middle of reading is noticed at once, though it is not read from", async () => {
    await using broker = await brokerProcess({ limits: { ...small, stallMs: 60_000 } });
    using other = await lineClient(broker.pipe);
    await other.ask({ action: "set", key: "k", value: textOf(8 * KiB), ttl });
    for (let round = 0; round < 5; round++) {
      using slow = await openCrowd(broker.pipe, 10);
      for (const peer of slow) {
        peer.pause();
        peer.write(gets(500));
      }
      await untilPaused(other, broker);
      // The broker is told that there is room again, and by the time it looks there is nobody.
      await Promise.all(slow.map(readAndDie));
      await untilStats(other, (stats) => stats.connections === 1);
    }
  }, 20_000);

  test("gets a reply larger than the outbox whole", async () => {
    await using broker = await brokerProcess({ limits: { ...small, stallMs: 60_000 } });
    using other = await lineClient(broker.pipe);
    const keys = Array.from({ length: 2000 }, (_, index) => `${String(index).padStart(4, "0")}${"k".repeat(396)}`);
    other.write(keys.map((key) => `${JSON.stringify({ action: "set", key, value: 1, ttl })}\n`).join(""));
    for (const _ of keys) expect(await other.next()).toMatchObject({ ok: true });
    using slow = await rawClient(broker.pipe);
    slow.pause();
    slow.write('{"id":1,"action":"list"}\n{"id":2,"action":"ping"}\n');
    await untilPaused(other, broker);
    slow.resume();
    const { items } = (await slow.next()) as { items: object };
    expect(Object.keys(items)).toEqual(keys);
    expect(await slow.next()).toMatchObject({ id: 2, ok: true });
  }, 20_000);

  test.each([
    ["2000 gets with an id", ""],
    ["1000 gets without an id behind a wait", '{"action":"get","key":"late","waitMs":-1}\n'],
  ])(
    "of values of 256 KiB costs the broker its outbox and not the values: %s",
    async (_what, first) => {
      await using broker = await brokerProcess();
      using other = await lineClient(broker.pipe);
      await other.ask({ action: "set", key: "k", value: textOf(256 * KiB), ttl });
      using slow = await rawClient(broker.pipe);
      slow.pause();
      const before = broker.memory().nowBytes;
      const lines = first === "" ? gets(2000) : first + '{"action":"get","key":"k"}\n'.repeat(1000);
      slow.write(lines);
      if (first !== "") await untilStats(other, (stats) => stats.waits === 1);
      await untilPaused(other, broker);
      await other.ask({ action: "set", key: "late", value: 1, ttl });
      await untilPaused(other, broker);
      // 250 to 500 MiB if it answered all of them.
      expect(broker.memory().mostBytes - before).toBeLessThan(120 * MiB);
      slow.resume();
      const count = first === "" ? 2000 : 1001;
      for (let read = 0; read < count; read++) expect((await slow.line()).length).toBeGreaterThan(20);
      slow.write('{"action":"ping"}\n');
      expect(await slow.next()).toMatchObject({ ok: true });
      expect(broker.memory().mostBytes - before).toBeLessThan(250 * MiB);
    },
    30_000,
  );

  test("costs one value, not 200, for 200 waits that are answered while it does not read", async () => {
    await using broker = await brokerProcess();
    using other = await lineClient(broker.pipe);
    await other.ask({ action: "set", key: "k", value: textOf(256 * KiB), ttl });
    using slow = await rawClient(broker.pipe);
    slow.pause();
    const waits = Array.from({ length: 200 }, (_, id) => ({ id: 1000 + id, action: "get", key: "late", waitMs: -1 }));
    slow.write(waits.map((wait) => `${JSON.stringify(wait)}\n`).join("") + gets(100));
    await untilStats(other, (stats) => stats.waits === 200);
    await untilPaused(other, broker);
    const before = broker.memory().nowBytes;
    await other.ask({ action: "set", key: "late", value: textOf(256 * KiB), ttl });
    await untilStats(other, (stats) => stats.waits === 0);
    // 50 MiB if each answer were written out.
    expect(broker.memory().mostBytes - before).toBeLessThan(25 * MiB);
    slow.resume();
    const ids = new Set<unknown>();
    for (let read = 0; read < 300; read++) ids.add((await slow.next()).id);
    expect(ids.size).toBe(300);
  }, 20_000);

  test("costs no more for commands without an id behind a wait than commandsHeldBytesMax", async () => {
    await using broker = await brokerProcess();
    using other = await lineClient(broker.pipe);
    using slow = await rawClient(broker.pipe);
    slow.write('{"action":"get","key":"late","waitMs":-1}\n');
    await untilStats(other, (stats) => stats.waits === 1);
    const before = broker.memory().nowBytes;
    // Read, each of these 200 KiB takes some 4 MiB.
    const set = `{"action":"set","key":"k","ttl":1000,"value":[${"[],".repeat(66_000)}0]}\n`;
    for (let count = 0; count < 200; count++) slow.write(set);
    slow.write('{"id":1,"action":"ping"}\n');
    expect(await slow.next()).toMatchObject({ id: 1, ok: true });
    // 40 MiB if all were kept as they came, 800 MiB if they were kept as they were read. 21 are kept.
    expect(broker.memory().nowBytes - before).toBeLessThan(150 * MiB);
    await other.ask({ action: "set", key: "late", value: 1, ttl });
    const replies = [await slow.next()];
    while (replies.length < 201) replies.push(await slow.next());
    expect(replies.filter(({ error }) => error === "too_many_commands")).toHaveLength(179);
  }, 20_000);

  test.if(isThorough)(
    "costs no more for a million refusals behind a wait than for one",
    async () => {
      await using broker = await brokerProcess();
      using other = await lineClient(broker.pipe);
      using slow = await rawClient(broker.pipe);
      slow.write('{"action":"get","key":"late","waitMs":-1}\n');
      await untilStats(other, (stats) => stats.waits === 1);
      const before = broker.memory().nowBytes;
      for (let count = 0; count < 10; count++) slow.write("{}\n".repeat(100_000));
      // Refused at once, having an id: and the million is read by then.
      slow.write('{"id":1,"action":"ping"}\n');
      expect(await slow.next()).toMatchObject({ id: 1, error: "too_many_commands" });
      slow.pause();
      await other.ask({ action: "set", key: "late", value: 1, ttl });
      await untilPaused(other, broker);
      // 150 bytes and more each would be 150 MiB and more.
      expect(broker.memory().mostBytes - before).toBeLessThan(100 * MiB);
      expect(await other.ask({ action: "ping" })).toMatchObject({ ok: true });
    },
    30_000,
  );
});

describe("a peer that closes its half", () => {
  test("is answered what it said before, then closed, and what it held is free", async () => {
    await using broker = await brokerProcess();
    using other = await lineClient(broker.pipe);
    using half = await rawClient(broker.pipe);
    half.write('{"id":1,"action":"lease","key":"l","workerId":"half","size":1,"scope":"session"}\n{"action":"ping"}\n');
    half.finish();
    expect(await half.next()).toMatchObject({ id: 1, ok: true });
    expect(await half.next()).toMatchObject({ ok: true, pong: expect.any(Number) });
    await half.closed;
    const stats = await untilStats(other, ({ connections }) => connections === 1);
    expect(stats).toMatchObject({ leases: 0 });
  });

  test("is answered all of a flood that takes many turns", async () => {
    await using broker = await brokerProcess();
    using half = await rawClient(broker.pipe);
    half.write('{"action":"ping"}\n'.repeat(50_000));
    half.finish();
    for (let count = 0; count < 50_000; count++) await half.line();
    await half.closed;
    expect(half.linesWaiting).toBe(0);
  });
});
