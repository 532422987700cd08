import { describe, expect, test } from "bun:test";
import { Decoder, Encoder } from "@msgpack/msgpack";
import { lineClient, testBroker } from "../support/broker.ts";

/** A client of MessagePack frames, as bare as the line client. */
async function frameClient(pipe: string) {
  const replies: Record<string, unknown>[] = [];
  const readers: ((reply: Record<string, unknown>) => void)[] = [];
  const decoder = new Decoder();
  let held = Buffer.alloc(0);
  const socket = await Bun.connect({
    unix: pipe,
    socket: {
      data(_socket, chunk) {
        held = Buffer.concat([held, chunk]);
        while (held.length >= 4 && held.length >= 4 + held.readUInt32BE()) {
          const end = 4 + held.readUInt32BE();
          const reply = decoder.decode(held.subarray(4, end)) as Record<string, unknown>;
          held = held.subarray(end);
          const reader = readers.shift();
          if (reader === undefined) replies.push(reply);
          else reader(reply);
        }
      },
    },
  });
  const next = (): Promise<Record<string, unknown>> => {
    const reply = replies.shift();
    return reply === undefined ? new Promise((resolve) => readers.push(resolve)) : Promise.resolve(reply);
  };
  const say = (command: object): void => {
    const body = new Encoder().encode(command);
    const frame = Buffer.alloc(4 + body.length);
    frame.writeUInt32BE(body.length);
    frame.set(body, 4);
    socket.write(frame);
  };
  return {
    say,
    next,
    ask: (command: object) => {
      say(command);
      return next();
    },
    [Symbol.dispose]: () => socket.terminate(),
  };
}

/** `depth` arrays around `core`. */
const nested = (depth: number, core: unknown): unknown => (depth === 0 ? core : [nested(depth - 1, core)]);

describe("Connection with two codecs", () => {
  // Failed like this: the reply to a command that waited was written outside of any catch, and ended the process.
  test.each([
    ["at once", 0],
    ["after a wait", -1],
  ])("answers a value that its codec cannot write with a refusal, %s, and lives", async (_what, waitMs) => {
    await using broker = await testBroker();
    using lines = await lineClient(broker.pipe);
    using frames = await frameClient(broker.pipe);
    const set = { action: "set", key: "k", value: { ["__proto__"]: 1 }, ttl: 60_000 };
    if (waitMs === 0) await lines.ask(set);
    frames.say({ id: 1, action: "get", key: "k", waitMs });
    // Answered at once: so the command before it has arrived.
    frames.say({ id: 2, action: "ping" });
    if (waitMs !== 0) {
      expect(await frames.next()).toMatchObject({ id: 2, ok: true });
      await lines.ask(set);
    }
    expect(await frames.next()).toMatchObject({ id: 1, ok: false, error: "bad_command" });
    expect(await frames.ask({ id: 3, action: "ping" })).toMatchObject({ ok: true });
    expect(await lines.ask({ id: 4, action: "ping" })).toMatchObject({ ok: true });
  });

  test("answers bytes that lie too deep for JSON with a refusal", async () => {
    await using broker = await testBroker();
    using lines = await lineClient(broker.pipe);
    using frames = await frameClient(broker.pipe);
    const value = nested(63, Uint8Array.of(1));
    expect(await frames.ask({ id: 1, action: "set", key: "k", value, ttl: 60_000 })).toMatchObject({ ok: true });
    expect(await lines.ask({ id: 2, action: "get", key: "k" })).toMatchObject({ id: 2, ok: false });
    expect(await frames.ask({ id: 3, action: "get", key: "k" })).toMatchObject({ id: 3, ok: true, value });
  });

  const unwritable: unknown = JSON.parse('{"__proto__":1}');
  const reason = "Cannot write value: as MessagePack it would have a map with the key __proto__";

  // Failed like this: the job was in flight with a session that did not know of it, until that ended, and then with the next.
  test.each([
    ["at once", 0],
    ["after a wait", -1],
  ])("leaves a job for others that its taker's codec cannot write, and says which, %s", async (_what, waitMs) => {
    await using broker = await testBroker();
    using lines = await lineClient(broker.pipe);
    using frames = await frameClient(broker.pipe);
    const push = { action: "queue.push", queue: "q", items: [{ id: "j", data: unwritable }] };
    if (waitMs === 0) await lines.ask(push);
    frames.say({ id: 1, action: "queue.take", queue: "q", waitMs });
    frames.say({ id: 2, action: "ping" });
    if (waitMs !== 0) {
      expect(await frames.next()).toMatchObject({ id: 2, ok: true });
      await lines.ask(push);
    }
    const message = `Cannot take job "j" of queue "q", which stays there for others: ${reason}`;
    expect(await frames.next()).toMatchObject({ id: 1, ok: false, error: "bad_command", message });
    const { jobs } = await lines.ask({ action: "queue.take", queue: "q" });
    expect(jobs).toMatchObject([{ id: "j", data: unwritable, attempt: 1 }]);
  });

  test("gives a taker the jobs that its codec can write, and leaves the others as they stood", async () => {
    await using broker = await testBroker();
    using lines = await lineClient(broker.pipe);
    using frames = await frameClient(broker.pipe);
    const items = ["a", "b", "c", "d"].map((id, at) => ({ id, data: at % 2 ? 0 : unwritable }));
    await lines.ask({ action: "queue.push", queue: "q", items });
    const take = { action: "queue.take", queue: "q", count: 4 };
    expect(await frames.ask(take)).toMatchObject({ jobs: [{ id: "b" }, { id: "d" }] });
    expect(await lines.ask(take)).toMatchObject({ jobs: [{ id: "a" }, { id: "c" }] });
  });

  // Failed like this: the item was held by whoever was told that he could not have it.
  test("keeps no item for a session whose codec cannot write it", async () => {
    await using broker = await testBroker();
    using lines = await lineClient(broker.pipe);
    using frames = await frameClient(broker.pipe);
    await lines.ask({ action: "pool.define", pool: "p", items: [{ value: unwritable }] });
    const acquire = { action: "acquire", wants: [{ pool: "p" }] };
    expect(await frames.ask(acquire)).toMatchObject({ ok: false, error: "bad_command", message: reason });
    expect(await lines.ask(acquire)).toMatchObject({ ok: true });
  });
});
