/** Messages of processes that stall and processes that are killed: who behaves is told everything, and the broker stays small. */
import { describe, expect, test } from "bun:test";
import { lineClient } from "../support/broker.ts";
import { brokerProcess } from "../support/broker-process.ts";
import { openCrowd } from "../support/crowd.ts";
import { lineProcess } from "../support/line-process.ts";
import { rawClient } from "../support/raw-client.ts";

const MiB = 1024 * 1024;
const channel = "room";
const line = (command: object): string => `${JSON.stringify(command)}\n`;
const publish = (data: string, key: string): object => ({ action: "publish", channel, data, key });

describe("readers that stall", () => {
  test("cost an outbox each at most, are told what they miss, and hold up nobody", async () => {
    await using broker = await brokerProcess();
    const [messages, bytes, fastCount, turn] = [24_000, 1024, 4, 200];
    using fast = await openCrowd(broker.pipe, fastCount);
    for (const reader of fast) reader.write(line({ action: "subscribe", channel }));
    const slow = await Promise.all(
      (["close", "gap", "latest"] as const).map(async (overflow) => {
        const client = await rawClient(broker.pipe);
        client.write(line({ action: "subscribe", channel, overflow }));
        await client.next();
        client.pause();
        return { overflow, client };
      }),
    );
    using writer = await lineClient(broker.pipe);
    for (let sent = 0; sent < messages; sent += turn) {
      const batch = Array.from({ length: turn }, (_, index) => line(publish("x".repeat(bytes), `k${index % 10}`)));
      writer.write(batch.join(""));
      for (let answer = 0; answer < turn; answer++) expect((await writer.next()).ok).toBe(true);
    }
    for (const reader of fast) await reader.until(() => reader.lines === messages + 1);

    for (const { overflow, client } of slow) {
      client.resume();
      let offset = 0;
      let bytesBeforeHole: number | undefined;
      let isOver = false;
      while (!isOver) {
        const said = await client.next();
        if (said.push !== "message") bytesBeforeHole ??= offset * bytes;
        if (said.push === "closing") {
          expect([overflow, said.code]).toEqual(["close", 3008]);
          isOver = true;
        } else if (said.push === "gap") {
          expect(said.from).toBe(offset + 1);
          offset = Number(said.to);
        } else expect(said.offset).toBe(++offset);
        isOver ||= offset === messages;
      }
      // Of 24 MiB the broker has kept 4 for it, and the kernel's buffers some more.
      expect(bytesBeforeHole).toBeGreaterThan(3 * MiB);
      expect(bytesBeforeHole).toBeLessThan(6 * MiB);
      expect([overflow, offset < messages]).toEqual([overflow, overflow === "close"]);
      client[Symbol.dispose]();
    }
  }, 60_000);
});

describe("a publisher that is killed", () => {
  test("leaves its members, and no hole, no half message and no other order behind", async () => {
    await using broker = await brokerProcess();
    using reader = await lineClient(broker.pipe);
    await reader.ask({ action: "subscribe", channel, presence: true });
    let offset = 0;
    for (let round = 0; round < 3; round++) {
      await using publisher = lineProcess("publisher-main.ts", [broker.pipe, channel]);
      const pushes: string[] = [];
      let index = 0;
      while (pushes.at(-1) !== "leave") {
        const said = await reader.next();
        if (said.push !== "message") pushes.push(String(said.push));
        else {
          expect([said.offset, said.data]).toEqual([++offset, `${"x".repeat(500)}${index++}`]);
          if (index === 100) process.kill(publisher.pid, "SIGKILL");
        }
      }
      expect(pushes).toEqual(["join", "leave"]);
      expect(index).toBeGreaterThanOrEqual(100);
    }
    expect(await reader.ask({ action: "presence", channel })).toMatchObject({ members: [{}] });
  }, 30_000);
});
