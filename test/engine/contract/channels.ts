/** The contract of channels: one order, no hole in what can be read, and an epoch that says when offsets begin anew. */
import { describe, expect, test } from "bun:test";
import type { HistoryReading, Publication, Published, PublishRequest } from "../../../src/engine/channels.ts";
import type { EphemeralError } from "../../../src/protocol/errors.ts";
import type { EngineFactory } from "./actor.ts";

async function scene(create: EngineFactory, limits: Parameters<EngineFactory>[0] = {}) {
  const { engine, ...time } = await create(limits);
  const { channels } = engine;
  const heard: Publication[] = [];
  channels.onPublication((publication) => heard.push(publication));
  const caller = { id: "s", label: undefined };
  const publish = async (channel: string, data = "1", more: Partial<PublishRequest> = {}): Promise<Published> =>
    channels.publish(
      { channel, data, serial: undefined, key: undefined, trace: undefined, exceptSelf: false, ...more },
      caller,
    );
  const read = async (channel: string, since?: number, limit = 10_000): Promise<HistoryReading> =>
    channels.history({ channel, since, limit });
  const offsets = async (channel: string, since?: number, limit?: number): Promise<readonly number[]> =>
    (await read(channel, since, limit)).messages.map(({ offset }) => offset);
  return { engine, channels, caller, heard, publish, read, offsets, ...time };
}

const codeOf = (error: EphemeralError): string => error.code;

export function channelsContract(create: EngineFactory): void {
  describe("channels", () => {
    test("give each message the next offset, keep it as it came, and tell it in the call that publishes it", async () => {
      const { publish, read, heard, nowMs } = await scene(create);
      const first = await publish("c", '"é"', { key: "k", trace: "t", exceptSelf: true });
      expect(first).toEqual({ epoch: expect.any(String), offset: 1, receivers: 1 });
      expect(await publish("c", "2")).toEqual({ ...first, offset: 2, receivers: 2 });
      expect(await publish("d")).toMatchObject({ offset: 1 });
      const told = heard.map(({ channel, message, exceptSelf }) => [channel, message.offset, exceptSelf]);
      expect(told).toEqual([
        ["c", 1, true],
        ["c", 2, false],
        ["d", 1, false],
      ]);
      const message = { offset: 1, data: '"é"', from: "s", key: "k", trace: "t", atMs: nowMs() };
      expect(heard[0]?.message).toMatchObject(message);
      expect(await read("c", 0, 1)).toMatchObject({ epoch: first.epoch, offset: 2, messages: [message] });
    });

    test("know epoch and offset of a channel that nothing was published in", async () => {
      const { read, publish } = await scene(create);
      const before = await read("c");
      expect(before).toMatchObject({ offset: 0, messages: [] });
      expect(await publish("c")).toMatchObject({ epoch: before.epoch, offset: 1 });
      expect((await read("d")).epoch).not.toBe(before.epoch);
    });

    test("read what comes after an offset, or the last, oldest first in either case", async () => {
      const { publish, offsets } = await scene(create);
      for (let message = 0; message < 5; message++) await publish("c");
      expect(await offsets("c", 2)).toEqual([3, 4, 5]);
      expect(await offsets("c", 2, 2)).toEqual([3, 4]);
      expect(await offsets("c", undefined, 2)).toEqual([4, 5]);
      expect(await offsets("c", undefined, 0)).toEqual([]);
      expect(await offsets("c", 5)).toEqual([]);
      expect(await offsets("c", 99)).toEqual([]);
    });

    test("remember so many messages of each, so many bytes of each and of all, the newest", async () => {
      const count = await scene(create, { historyCountMax: 2 });
      for (let message = 0; message < 4; message++) await count.publish("c");
      expect(await count.offsets("c", 0)).toEqual([3, 4]);
      const bytes = await scene(create, { historyBytesMax: 1000 });
      for (const length of [300, 300, 300, 900, 901]) await bytes.publish("c", "1".repeat(length));
      expect(await bytes.offsets("c")).toEqual([]);
      expect(await bytes.publish("c", "1".repeat(900))).toMatchObject({ offset: 6 });
      expect(await bytes.offsets("c")).toEqual([6]);
      // Bytes are those of UTF-8: characters had a history of other alphabets be three times as long.
      for (const count of [300, 301]) await bytes.publish("d", "漢".repeat(count));
      expect(await bytes.offsets("d")).toEqual([]);
      await bytes.publish("d", "漢".repeat(300));
      expect(await bytes.offsets("d")).toEqual([3]);
      const total = await scene(create, { historyBytesTotalMax: 1200 });
      for (const channel of ["a", "b", "a", "b"]) await total.publish(channel, "1".repeat(300));
      expect([await total.offsets("a"), await total.offsets("b")]).toEqual([[2], [1, 2]]);
      expect(await total.engine.stats()).toMatchObject({ channels: { channels: 2, messages: 3, bytes: 1200 } });
    });

    test("forget each message in its time, whether or not an alarm has gone off, and go on counting", async () => {
      const { publish, offsets, skip, advance, engine } = await scene(create, { historyTtlMs: 100 });
      await publish("c");
      await advance(60);
      await publish("c");
      await publish("d");
      await skip(40);
      expect(await offsets("c")).toEqual([2]);
      await skip(59);
      expect(await offsets("d")).toEqual([1]);
      await advance(1);
      expect(await engine.stats()).toMatchObject({ channels: { channels: 2, messages: 0, bytes: 0 } });
      expect(await publish("c")).toMatchObject({ offset: 3 });
    });

    test("keep an epoch for ten times that after the last message", async () => {
      const { publish, read, advance, engine } = await scene(create, { historyTtlMs: 100 });
      const { epoch } = await publish("c");
      await advance(500);
      await publish("c");
      await advance(999);
      expect(await read("c")).toMatchObject({ epoch, offset: 2 });
      await advance(1);
      expect(await engine.stats()).toMatchObject({ channels: { channels: 0 } });
      const again = await publish("c");
      expect(again.offset).toBe(1);
      expect(again.epoch).not.toBe(epoch);
    });

    test("keep an epoch while somebody is attached, and so long after", async () => {
      const { channels, publish, read, advance } = await scene(create, { historyTtlMs: 100, channelsRemembered: 1 });
      await channels.attach("c");
      const { epoch } = await read("c");
      await advance(5000);
      for (const other of ["x", "y"]) await publish(other);
      expect(await read("c")).toMatchObject({ epoch, offset: 0 });
      await channels.detach("c");
      await advance(999);
      expect(await read("c")).toMatchObject({ epoch });
      await advance(1);
      expect((await read("c")).epoch).not.toBe(epoch);
    });

    test("forget those used longest ago past their bound, with their messages", async () => {
      const { publish, offsets, read, engine } = await scene(create, { channelsRemembered: 2 });
      for (const channel of ["a", "b", "a", "c"]) await publish(channel);
      expect(await engine.stats()).toMatchObject({ channels: { channels: 2, messages: 3, published: 4 } });
      expect(await offsets("a")).toEqual([1, 2]);
      expect(await read("b")).toMatchObject({ offset: 0 });
    });

    test("that somebody is attached to are names", async () => {
      const { channels, publish } = await scene(create, { namesMax: 1 });
      for (const channel of ["a", "b"]) await publish(channel);
      await channels.attach("a");
      await channels.attach("a");
      const attached = (async () => channels.attach("b"))();
      expect(await attached.catch(codeOf)).toBe("too_many_names");
      await channels.detach("a");
      await channels.attach("b");
    });

    test("answer a serial said again as they did, publish it once, and refuse one they have forgotten", async () => {
      const { publish, heard, offsets, engine, caller } = await scene(create, { serialsRemembered: 2 });
      const first = await publish("c", "1", { serial: 1 });
      await publish("c");
      expect(await publish("c", "1", { serial: 1 })).toEqual(first);
      expect(heard).toHaveLength(2);
      await publish("c", "1", { serial: 3 });
      expect(await publish("c", "1", { serial: 2 })).toMatchObject({ offset: 4 });
      expect(await publish("c", "1", { serial: 1 }).catch(codeOf)).toBe("bad_command");
      expect(await offsets("c")).toEqual([1, 2, 3, 4]);
      await engine.endSession(caller);
      expect(await publish("c", "1", { serial: 1 })).toMatchObject({ offset: 5 });
    });

    test("are listed with what they hold", async () => {
      const { channels, publish } = await scene(create);
      const { epoch } = await publish("aa", "12345");
      await publish("ab");
      await publish("b");
      const names = (await channels.list({ prefix: "a", limit: 9 })).map(({ channel }) => channel);
      expect([...names].sort()).toEqual(["aa", "ab"]);
      expect(await channels.list({ prefix: "aa", limit: 9 })).toEqual([
        { channel: "aa", epoch, offset: 1, messages: 1, bytes: 105 },
      ]);
      expect(await channels.list({ prefix: "", limit: 2 })).toHaveLength(2);
    });

    test("are gone when the engine is closed", async () => {
      const { engine, publish, channels } = await scene(create);
      await publish("c");
      await channels.attach("c");
      await engine.close();
      expect(await publish("c").catch(codeOf)).toBe("unavailable");
      await channels.detach("c");
    });
  });
}
