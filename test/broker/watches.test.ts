import { describe, expect, test } from "bun:test";
import { PushStream, type PushWay, type StreamOptions } from "../../src/broker/connections/push-stream.ts";
import { Watches } from "../../src/broker/watches.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import type { Codec } from "../../src/protocol/codec.ts";
import { jsonCodec } from "../../src/protocol/json.ts";
import { defaultLimits, type Limits } from "../../src/protocol/limits.ts";
import type { Overflow, Push } from "../../src/protocol/pushes.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { msgpackClient } from "../support/msgpack-client.ts";
import { rawClient } from "../support/raw-client.ts";
import { refusal } from "../support/refusal.ts";

const ttl = 60_000;

/** The JSON codec, counting how often it encodes. */
function countingCodec(): Codec & { encoded: number } {
  const json = jsonCodec(() => undefined);
  const codec = {
    ...json,
    encoded: 0,
    encode(message: object) {
      codec.encoded++;
      return json.encode(message);
    },
  };
  return codec;
}

/** A connection with a bottomless outbox, as watches see it. */
class FakeWatcher {
  readonly codec: Codec;
  readonly told: string[] = [];
  hasRoom = true;

  constructor(codec: Codec) {
    this.codec = codec;
  }

  push(push: Push): void {
    this.told.push(this.#words(push));
  }

  openStream(options: StreamOptions): PushStream {
    const way: PushWay = {
      latestMax: 10,
      encode: (push) => this.codec.encode(push),
      offer: (frame) => {
        if (this.hasRoom) this.told.push(this.#words(JSON.parse(String(frame))));
        return this.hasRoom;
      },
      close: () => this.told.push("closed"),
      behind: () => {},
    };
    return new PushStream(way, options);
  }

  #words(push: Push): string {
    if (push.push === "gap" && "prefix" in push) return `gap ${push.prefix} ${push.dropped}`;
    return push.push === "key" ? `${push.event} ${push.key} ${push.version}` : push.push;
  }
}

function watchesWith(limits: Limits = defaultLimits) {
  const engine = new MemoryEngine({ clock: new ManualClock(), limits });
  let observed = 0;
  const counted = new Proxy(engine, {
    get(target, name: keyof Engine) {
      if (name === "observe") observed++;
      return (target[name] as () => unknown).bind(target); // every member of an engine is a method
    },
  });
  const codec = countingCodec();
  const watches = new Watches({ engine: counted, limits });
  const set = (...keys: string[]): void => {
    for (const key of keys) engine.set({ key, value: "1", ttlMs: ttl, compressed: false });
  };
  return { engine, watches, codec, set, watcher: () => new FakeWatcher(codec), observed: () => observed };
}

describe("Watches", () => {
  test("tell each watcher once what begins with one of its prefixes, and nobody else", () => {
    const { watches, watcher, set } = watchesWith();
    const [wide, narrow, other] = [watcher(), watcher(), watcher()];
    for (const prefix of ["", "a:", "a:b"]) watches.watch(wide, { prefix, overflow: "close" });
    watches.watch(narrow, { prefix: "a:b", overflow: "close" });
    watches.watch(other, { prefix: "c", overflow: "close" });
    set("a:b:1", "a:", "b", "a");
    expect([wide.told, narrow.told, other.told]).toEqual([
      ["set a:b:1 1", "set a: 2", "set b 3", "set a 4"],
      ["set a:b:1 1"],
      [],
    ]);
  });

  test("encode an event once, however many watch, and not at all when nobody does", () => {
    const { watches, watcher, set, codec } = watchesWith();
    for (let index = 0; index < 50; index++) watches.watch(watcher(), { prefix: "a", overflow: "close" });
    set("b");
    expect(codec.encoded).toBe(0);
    set("a");
    expect(codec.encoded).toBe(1);
  });

  test("listen to the engine only while somebody watches", () => {
    const { watches, watcher, observed, engine } = watchesWith();
    const [one, two] = [watcher(), watcher()];
    watches.watch(one, { prefix: "a", overflow: "close" });
    watches.watch(two, { prefix: "b", overflow: "close" });
    expect(observed()).toBe(1);
    watches.unwatch(one, "a");
    expect(observed()).toBe(1);
    watches.end(two);
    expect(observed()).toBe(2);
    engine.set({ key: "b", value: "1", ttlMs: ttl, compressed: false });
    expect(two.told).toEqual([]);
  });

  test("split no pair of surrogates: half of one begins nothing", () => {
    const { watches, watcher, set } = watchesWith();
    const one = watcher();
    watches.watch(one, { prefix: "x", overflow: "close" });
    watches.watch(one, { prefix: "😀", overflow: "close" });
    set("😁", "😀!");
    expect(one.told).toEqual(["set 😀! 2"]);
  });

  test("are bounded for each watcher; one that ends makes room, watching again needs none", () => {
    const { watches, watcher } = watchesWith({ ...defaultLimits, watchesPerSessionMax: 2 });
    const [one, two] = [watcher(), watcher()];
    for (const prefix of ["a", "b", "a"]) watches.watch(one, { prefix, overflow: "gap" });
    const error = refusal(() => watches.watch(one, { prefix: "c", overflow: "close" }));
    expect([error.code, error.message]).toEqual([
      "too_many_names",
      'Cannot watch prefix "c": this session watches 2 prefixes, limit is 2',
    ]);
    watches.watch(two, { prefix: "c", overflow: "close" });
    expect([watches.unwatch(one, "b"), watches.unwatch(one, "b")]).toEqual([true, false]);
    watches.watch(one, { prefix: "c", overflow: "close" });
  });

  test("unwatch() tells the gap it leaves to the watches that overlap", () => {
    const { watches, watcher, set } = watchesWith();
    const one = watcher();
    watches.watch(one, { prefix: "a", overflow: "gap" });
    watches.watch(one, { prefix: "ab", overflow: "gap" });
    one.hasRoom = false;
    set("ab", "ab");
    one.hasRoom = true;
    watches.unwatch(one, "ab");
    set("ab");
    expect(one.told).toEqual(["gap ab 2", "set ab 3"]);
  });

  test("watching again changes the overflow", () => {
    const { watches, watcher, set } = watchesWith();
    const one = watcher();
    watches.watch(one, { prefix: "a", overflow: "close" });
    watches.watch(one, { prefix: "a", overflow: "gap" });
    one.hasRoom = false;
    set("a", "a");
    one.hasRoom = true;
    set("a");
    expect(one.told).toEqual(["gap a 2", "set a 3"]);
  });
});

describe.each([
  ["JSON", lineClient],
  ["MessagePack", msgpackClient],
])("watch over %s", (_codec, connect) => {
  test("pushes what other connections do, until unwatch", async () => {
    await using broker = await testBroker();
    using watcher = await connect(broker.pipe);
    using other = await connect(broker.pipe);
    expect(await watcher.ask({ id: 1, action: "watch", prefix: "é:" })).toEqual({ id: 1, ok: true });
    await other.ask({ action: "set", key: "é:1", value: new Uint8Array([1]), ttl: 1 });
    expect(await watcher.next()).toEqual({ push: "key", key: "é:1", event: "set", version: 1 });
    expect(await watcher.next()).toEqual({ push: "key", key: "é:1", event: "expired", version: 1 });
    expect(await watcher.ask({ id: 2, action: "unwatch", prefix: "é:" })).toEqual({ id: 2, ok: true, unwatched: true });
    await other.ask({ action: "set", key: "é:2", value: 1, ttl });
    expect(await watcher.ask({ id: 3, action: "ping" })).toMatchObject({ id: 3, ok: true });
  });

  test("pushes the end of a session's keys, with the session", async () => {
    await using broker = await testBroker();
    using watcher = await connect(broker.pipe);
    await watcher.ask({ action: "watch" });
    const other = await connect(broker.pipe);
    await other.ask({ action: "set", key: "mine", value: 1, scope: "session" });
    expect(await watcher.next()).toMatchObject({ event: "set" });
    other[Symbol.dispose]();
    expect(await watcher.next()).toEqual({ push: "key", key: "mine", event: "del", version: 1 });
  });

  test("keeps the order of one key's events with the reply to who made them", async () => {
    await using broker = await testBroker();
    using client = await connect(broker.pipe);
    await client.ask({ action: "watch" });
    for (let index = 1; index <= 50; index++) client.say({ id: index, action: "incr", key: "n", ttl });
    const pushes: unknown[] = [];
    const replies: unknown[] = [];
    while (replies.length + pushes.length < 100) {
      const message = await client.next();
      if (message.push === "key") pushes.push(message.version);
      else replies.push(message.version);
    }
    const versions = Array.from({ length: 50 }, (_, index) => index + 1);
    expect([pushes, replies]).toEqual([versions, versions]);
  });
});

/** Small enough to fill: 64 KiB beside the kernel's own buffers of some 200 KiB. */
const limits = {
  frameBytesMax: 16 * 1024,
  valueBytesMax: 8 * 1024,
  outboxBytesMax: 64 * 1024,
  latestKeysMax: 20,
  historyBytesMax: 16 * 1024,
};
const longKey = (name: string): string => `${name}:`.padEnd(400, "x");

describe("a watcher that does not read", () => {
  /** A watcher that stops reading, and 4,000 changes of 10 keys behind its back: 1.9 MB of pushes. */
  async function stalled(broker: { readonly pipe: string }, overflow: Overflow) {
    const slow = await rawClient(broker.pipe);
    slow.write(`${JSON.stringify({ action: "watch", prefix: "k", overflow })}\n`);
    await slow.next();
    slow.pause();
    using other = await lineClient(broker.pipe);
    for (let index = 0; index < 4000; index++) {
      other.say({ action: "set", key: longKey(`k${index % 10}`), value: 1, ttl });
    }
    for (let index = 0; index < 4000; index++) await other.next();
    return slow;
  }

  /** What comes until the connection closes. */
  async function rest(client: { next(): Promise<Record<string, unknown>> }) {
    const messages: Record<string, unknown>[] = [];
    try {
      for (;;) messages.push(await client.next());
    } catch {
      return messages;
    }
  }

  test("is closed 3008, with no hole in what it was told before, and no push behind it", async () => {
    await using broker = await testBroker({ limits });
    using slow = await stalled(broker, "close");
    slow.resume();
    const messages = await rest(slow);
    expect(messages.at(-1)).toMatchObject({ push: "closing", code: 3008 });
    const versions = messages.slice(0, -1).map((message) => message.version);
    expect(versions).toEqual(versions.map((_, index) => index + 1));
    expect(versions.length).toBeLessThan(4000);
  });

  test.each(["gap", "latest"] as const)(
    "is told with overflow %s how many are missing, and nobody waits",
    async (how) => {
      await using broker = await testBroker({ limits });
      using slow = await stalled(broker, how);
      slow.resume();
      let version = 0;
      let dropped = 0;
      let pushes = 0;
      const last = new Map<unknown, unknown>();
      while (pushes + dropped < 4000) {
        const message = await slow.next();
        if (message.push === "gap") {
          expect(message.prefix).toBe("k");
          dropped += Number(message.dropped);
          continue;
        }
        expect(Number(message.version)).toBeGreaterThan(version);
        version = Number(message.version);
        last.set(message.key, version);
        pushes++;
      }
      expect(pushes + dropped).toBe(4000);
      expect(dropped).toBeGreaterThan(0);
      // The newest of every key comes with "latest"; with "gap" it is what was dropped last.
      const newest = Array.from({ length: 10 }, (_, index) => [longKey(`k${index}`), 3991 + index]);
      if (how === "latest") expect([...last].sort()).toEqual(newest.sort() as [unknown, unknown][]);
      else expect(version).toBeLessThan(3991);
    },
  );

  test("leaves no watch behind when it is gone", async () => {
    await using broker = await testBroker({ limits });
    using other = await lineClient(broker.pipe);
    const watches = async () =>
      ((await other.ask({ action: "stats" })) as { stats: { watches: number } }).stats.watches;
    const slow = await stalled(broker, "gap");
    expect(await watches()).toBe(1);
    slow[Symbol.dispose]();
    const deadline = performance.now() + 5000;
    while ((await watches()) > 0) expect(performance.now()).toBeLessThan(deadline);
  });
});
