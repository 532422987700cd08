import { describe, expect, test } from "bun:test";
import { defaultLimits } from "../../src/protocol/limits.ts";
import type { Overflow } from "../../src/protocol/pushes.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { msgpackClient } from "../support/msgpack-client.ts";
import { rawClient } from "../support/raw-client.ts";
import { until } from "../support/until.ts";

type Message = Record<string, unknown>;
type Client = Pick<LineClient, "say" | "ask" | "next">;

const channel = "room";
const subscribe = (more: object = {}): object => ({ action: "subscribe", channel, ...more });
const publish = (data: unknown, more: object = {}): object => ({ action: "publish", channel, data, ...more });
const offsetsOf = (messages: unknown): readonly unknown[] => (messages as Message[]).map(({ offset }) => offset);

/** Publishes so many messages, and answers the position after them. */
async function publishMany(client: Client, count: number, more: object = {}): Promise<Message> {
  let last: Message = {};
  for (let message = 0; message < count; message++) last = await client.ask(publish(message, more));
  return { epoch: last.epoch, offset: last.offset };
}

/** What has come till a ping that is said now is answered. */
async function pushesOf(client: Client): Promise<readonly Message[]> {
  client.say({ id: 999, action: "ping" });
  const pushes: Message[] = [];
  for (;;) {
    const message = await client.next();
    if (message.id === 999) return pushes;
    pushes.push(message);
  }
}

/** Pushes in a word each. */
const words = (pushes: readonly Message[]): readonly string[] =>
  pushes.map(({ push, offset, data, member }) =>
    push === "message" ? `${offset}:${JSON.stringify(data)}` : `${push} ${(member as Message)?.session ?? offset}`,
  );

describe.each([
  ["JSON", lineClient],
  ["MessagePack", msgpackClient],
])("a channel over %s", (_codec, connect) => {
  test("is told in one order, with what was published in the other codec too, until it is unsubscribed", async () => {
    await using broker = await testBroker();
    using reader = await connect(broker.pipe);
    using json = await lineClient(broker.pipe);
    using packed = await msgpackClient(broker.pipe);
    await reader.ask(subscribe());
    await json.ask(publish({ a: ["é", 1.5, null, { $binary: "AQI=" }] }));
    await packed.ask(publish({ a: ["é", 1.5, null, new Uint8Array([1, 2])] }));
    const [first, second] = await pushesOf(reader);
    expect([first?.offset, second?.offset]).toEqual([1, 2]);
    expect(first?.data).toEqual(second?.data as object);
    expect(await reader.ask({ action: "unsubscribe", channel })).toEqual({ ok: true, unsubscribed: true });
    expect(await json.ask(publish(1))).toMatchObject({ offset: 3, receivers: 0 });
    expect(await pushesOf(reader)).toEqual([]);
  });

  test("answers a subscription before its first push, whatever stands in one chunk", async () => {
    await using broker = await testBroker();
    using client = await connect(broker.pipe);
    using other = await connect(broker.pipe);
    await other.ask(subscribe());
    client.say({ id: 1, ...publish("before") });
    client.say({ id: 2, ...subscribe({ history: 10 }) });
    for (let id = 3; id < 13; id++) client.say({ id, ...publish(id) });
    client.say({ id: 13, ...subscribe({ recover: { epoch: "none", offset: 0 } }) });
    client.say({ id: 14, ...publish("after") });
    const came: Message[] = [];
    while (came.length < 14 + 11) came.push(await client.next());
    const at = (isIt: (message: Message) => boolean): number => came.findIndex(isIt);
    expect(at(({ id }) => id === 2)).toBeLessThan(at(({ push }) => push === "message"));
    expect(at(({ id }) => id === 13)).toBeLessThan(at(({ offset, push }) => push === "message" && offset === 12));
    const pushed = came.filter(({ push }) => push === "message").map(({ offset }) => offset);
    expect(pushed).toEqual(Array.from({ length: 11 }, (_, index) => index + 2));
    expect(came.find(({ id }) => id === 2)).toMatchObject({ offset: 1, messages: [{ offset: 1, data: "before" }] });
  });
});

describe("history", () => {
  test("gives nothing that is pushed after it", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    await client.ask(subscribe());
    client.write(
      `${[publish(1), { action: "history", channel }].map((command) => JSON.stringify(command)).join("\n")}\n`,
    );
    const came = [await client.next(), await client.next(), await client.next()];
    expect(came.findIndex(({ push }) => push === "message")).toBeLessThan(
      came.findIndex(({ messages }) => messages !== undefined),
    );
  });
});

describe("a subscription", () => {
  test("is replaced by the next of its connection, and counts once", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    using writer = await lineClient(broker.pipe);
    for (const more of [{}, { group: "g" }, { overflow: "gap" }]) await client.ask(subscribe(more));
    expect(await writer.ask(publish(1))).toMatchObject({ receivers: 1 });
    expect(words(await pushesOf(client))).toEqual(["1:1"]);
    expect(await client.ask({ action: "stats" })).toMatchObject({ stats: { channels: 1, subscriptions: 1 } });
  });

  test("ends with its connection, and leaves the channel its epoch", async () => {
    await using broker = await testBroker();
    using writer = await lineClient(broker.pipe);
    const client = await lineClient(broker.pipe);
    const { epoch } = await client.ask(subscribe());
    client[Symbol.dispose]();
    await until(async () => (await writer.ask(publish(1))).receivers === 0);
    const { channels } = await writer.ask({ action: "channels" });
    expect(channels).toMatchObject([{ channel, epoch, subscribers: 0, members: 0 }]);
    expect(await writer.ask({ action: "stats" })).toMatchObject({ stats: { subscriptions: 0 } });
  });

  test("with exceptSelf gets a skip in the place of its session's own message, in order", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    using other = await lineClient(broker.pipe);
    for (const reader of [client, other]) await reader.ask(subscribe());
    for (let id = 1; id <= 3; id++) client.say({ id, ...publish(id, { exceptSelf: id === 2 }) });
    const receivers: unknown[] = [];
    const pushes: Message[] = [];
    while (receivers.length + pushes.length < 6) {
      const message = await client.next();
      if (message.push === undefined) receivers.push(message.receivers);
      else pushes.push(message);
    }
    expect(words(pushes)).toEqual(["1:1", "skip 2", "3:3"]);
    expect(receivers).toEqual([2, 1, 2]);
    expect(words(await pushesOf(other))).toEqual(["1:1", "2:2", "3:3"]);
  });

  test("is told a gap where a message cannot be written in its codec", async () => {
    await using broker = await testBroker();
    using packed = await msgpackClient(broker.pipe);
    using json = await lineClient(broker.pipe);
    await packed.ask(subscribe());
    await json.ask(publish(1));
    json.write('{"action":"publish","channel":"room","data":{"__proto__":1}}\n');
    expect(await json.next()).toMatchObject({ ok: true, offset: 2, receivers: 1 });
    const [first, second] = await pushesOf(packed);
    expect(first).toMatchObject({ push: "message", offset: 1 });
    expect(second).toEqual({ push: "gap", channel, from: 2, to: 2 });
  });
});

describe("a group", () => {
  test("shares messages in turn, beside subscribers of their own", async () => {
    await using broker = await testBroker();
    using writer = await lineClient(broker.pipe);
    using alone = await lineClient(broker.pipe);
    using first = await lineClient(broker.pipe);
    const second = await lineClient(broker.pipe);
    await alone.ask(subscribe());
    for (const member of [first, second]) await member.ask(subscribe({ group: "g" }));
    expect(await writer.ask(publish(1))).toMatchObject({ receivers: 2 });
    await publishMany(writer, 3);
    expect([words(await pushesOf(first)), words(await pushesOf(second))]).toEqual([
      ["1:1", "3:1"],
      ["2:0", "4:2"],
    ]);
    second[Symbol.dispose]();
    await until(async () => ((await writer.ask({ action: "stats" })).stats as Message).subscriptions === 2);
    await publishMany(writer, 2);
    expect(words(await pushesOf(first))).toEqual(["5:0", "6:1"]);
    expect(await pushesOf(alone)).toHaveLength(6);
  });

  test("gives with exceptSelf to another member, or to nobody", async () => {
    await using broker = await testBroker();
    using first = await lineClient(broker.pipe);
    using second = await lineClient(broker.pipe);
    await first.ask(subscribe({ group: "g" }));
    expect(await first.ask(publish(1, { exceptSelf: true }))).toMatchObject({ receivers: 0 });
    await second.ask(subscribe({ group: "g" }));
    for (let id = 0; id < 2; id++) await first.ask(publish(2, { exceptSelf: true }));
    expect(await pushesOf(first)).toEqual([]);
    expect(words(await pushesOf(second))).toEqual(["2:2", "3:2"]);
  });
});

describe("recovery", () => {
  test.each([
    ["at the end: nothing was missed", 0, {}, { recovered: true, offsets: [] }],
    ["3 messages behind: all of them", 3, {}, { recovered: true, offsets: [3, 4, 5] }],
    ["from the beginning", 5, {}, { recovered: true, offsets: [1, 2, 3, 4, 5] }],
    ["one more than is remembered: none", 3, { historyCountMax: 2 }, { recovered: false, offsets: [] }],
    ["just what is remembered", 2, { historyCountMax: 2 }, { recovered: true, offsets: [4, 5] }],
    ["at the end, with nothing remembered", 0, { historyBytesMax: 1 }, { recovered: true, offsets: [] }],
    ["behind, with nothing remembered", 1, { historyBytesMax: 1 }, { recovered: false, offsets: [] }],
    ["further than the channel has come", -1, {}, { recovered: false, offsets: [] }],
  ] as const)("%s", async (_what, behind, limits, wanted) => {
    await using broker = await testBroker({ limits: { ...defaultLimits, ...limits } });
    using client = await lineClient(broker.pipe);
    const { epoch } = await publishMany(client, 5);
    const answer = await client.ask(subscribe({ recover: { epoch, offset: 5 - behind } }));
    expect(answer).toMatchObject({ epoch, offset: 5, recovered: wanted.recovered });
    expect(offsetsOf(answer.messages)).toEqual(wanted.offsets);
    await client.ask(publish("next"));
    expect(await client.next()).toMatchObject({ push: "message", offset: 6 });
  });

  test("of another epoch is none, though the offset would fit", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const { epoch } = await publishMany(client, 5);
    const answer = await client.ask(subscribe({ recover: { epoch: `${epoch}0`, offset: 5 } }));
    expect(answer).toMatchObject({ epoch, offset: 5, recovered: false, messages: [] });
  });

  test.each([
    ["JSON", lineClient, lineClient],
    ["MessagePack of what was published as JSON", msgpackClient, lineClient],
    ["JSON of what was published as MessagePack", lineClient, msgpackClient],
  ])("comes in pages that fit a frame, and whole: %s", async (_codec, connect, write) => {
    const limits = {
      frameBytesMax: 8192,
      valueBytesMax: 1024,
      outboxBytesMax: 1024 * 1024,
      historyBytesMax: 256 * 1024,
    };
    await using broker = await testBroker({ limits });
    using writer = await write(broker.pipe);
    using reader = await connect(broker.pipe);
    const data = "\u0001é".repeat(100);
    const published = await writer.ask(publish(data, { key: "k".repeat(200) }));
    for (let message = 1; message < 100; message++) await writer.ask(publish(data, { key: "k".repeat(200) }));
    const got: unknown[] = [];
    let page = await reader.ask(subscribe({ recover: { epoch: published.epoch, offset: 0 } }));
    let pages = 1;
    while (page.more) {
      expect(JSON.stringify(page).length).toBeLessThanOrEqual(limits.frameBytesMax);
      got.push(...offsetsOf(page.messages));
      page = await reader.ask({ action: "history", channel, since: got.length });
      pages++;
    }
    got.push(...offsetsOf(page.messages));
    expect(got).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(pages).toBeGreaterThan(5);
  });

  // The reply was refused as a whole, while the subscription it should have begun was live.
  test("and history leave out what cannot be written in the reader's codec: the offsets tell", async () => {
    await using broker = await testBroker();
    using json = await lineClient(broker.pipe);
    using packed = await msgpackClient(broker.pipe);
    const { epoch } = await json.ask(publish(1));
    for (const data of ['{"__proto__":1}', "3", '{"__proto__":1}']) {
      json.write(`{"action":"publish","channel":"room","data":${data}}\n`);
      await json.next();
    }
    for (const command of [subscribe({ recover: { epoch, offset: 0 } }), { action: "history", channel }]) {
      const answer = await packed.ask(command);
      expect([answer.epoch, answer.offset, offsetsOf(answer.messages), answer.more]).toEqual([
        epoch,
        4,
        [1, 3],
        undefined,
      ]);
    }
    expect(offsetsOf((await json.ask({ action: "history", channel })).messages)).toEqual([1, 2, 3, 4]);
    await json.ask(publish(5));
    expect(await packed.next()).toMatchObject({ push: "message", offset: 5 });
  });

  test("comes to an end where page after page cannot be written in the reader's codec", async () => {
    const limits = {
      frameBytesMax: 8192,
      valueBytesMax: 1024,
      historyBytesMax: 256 * 1024,
      outboxBytesMax: 1024 * 1024,
    };
    await using broker = await testBroker({ limits });
    using json = await lineClient(broker.pipe);
    using packed = await msgpackClient(broker.pipe);
    const { epoch } = await json.ask(publish(1));
    const unwritable = JSON.stringify({ ["__proto__"]: "x".repeat(900) });
    for (let message = 0; message < 50; message++) {
      json.write(`{"action":"publish","channel":"room","data":${unwritable}}\n`);
      await json.next();
    }
    await json.ask(publish(52));
    const answer = await packed.ask(subscribe({ recover: { epoch, offset: 1 } }));
    expect([answer.recovered, offsetsOf(answer.messages), answer.more]).toEqual([true, [52], undefined]);
  });
});

describe("a serial", () => {
  test("said again is answered as the first, over a resumed session too, and pushed once", async () => {
    await using broker = await testBroker();
    using reader = await lineClient(broker.pipe);
    await reader.ask(subscribe());
    const writer = await lineClient(broker.pipe);
    const hello = { action: "hello", protocol: 1, lingerMs: 5000 };
    const { session } = (await writer.ask(hello)) as { session: Message };
    const first = await writer.ask(publish("a", { serial: 1 }));
    writer[Symbol.dispose]();
    using again = await lineClient(broker.pipe);
    await again.ask({ ...hello, session: { id: session.id, secret: session.secret } });
    expect(await again.ask(publish("a", { serial: 1 }))).toEqual(first);
    expect(await again.ask(publish("b", { serial: 2 }))).toMatchObject({ offset: 2 });
    expect(words(await pushesOf(reader))).toEqual(['1:"a"', '2:"b"']);
  });
});

describe("presence", () => {
  const hello = { action: "hello", protocol: 1, lingerMs: 5000 };
  const members = async (client: Client): Promise<readonly unknown[]> =>
    ((await client.ask({ action: "presence", channel })).members as Message[]).map(({ session }) => session);

  test("is the session's: joined once, kept over a reconnect, left when the session ends", async () => {
    await using broker = await testBroker();
    using watcher = await lineClient(broker.pipe);
    using deaf = await lineClient(broker.pipe);
    await watcher.ask(subscribe({ presence: true }));
    await deaf.ask(subscribe());
    const guest = await lineClient(broker.pipe);
    const { session } = (await guest.ask({ ...hello, label: "guest" })) as { session: Message };
    await guest.ask(subscribe({ presence: true }));
    await guest.ask(subscribe({ presence: true }));
    expect(await watcher.next()).toMatchObject({
      push: "join",
      channel,
      member: { session: session.id, label: "guest" },
    });
    guest[Symbol.dispose]();
    await until(async () => ((await deaf.ask({ action: "stats" })).stats as Message).connections === 2);
    expect(await members(deaf)).toHaveLength(2);
    const back = await lineClient(broker.pipe);
    await back.ask({ ...hello, session: { id: session.id, secret: session.secret } });
    await back.ask(subscribe({ presence: true }));
    expect(await pushesOf(watcher)).toEqual([]);
    await back.ask({ action: "bye" });
    back[Symbol.dispose]();
    expect(await watcher.next()).toMatchObject({ push: "leave", member: { session: session.id } });
    expect(await members(deaf)).toHaveLength(1);
    expect(await pushesOf(deaf)).toEqual([]);
  });

  test.each([
    ["unsubscribe", { action: "unsubscribe", channel }],
    ["a subscription without it", subscribe()],
  ])("ends with %s", async (_what, command) => {
    await using broker = await testBroker();
    using watcher = await lineClient(broker.pipe);
    using guest = await lineClient(broker.pipe);
    await watcher.ask(subscribe({ presence: true }));
    await guest.ask(subscribe({ presence: true }));
    await guest.ask(command);
    expect((await pushesOf(watcher)).map(({ push }) => push)).toEqual(["join", "leave"]);
    expect(await members(watcher)).toHaveLength(1);
  });

  test("comes in the order of what is published around it", async () => {
    await using broker = await testBroker();
    using watcher = await lineClient(broker.pipe);
    using guest = await lineClient(broker.pipe);
    await watcher.ask(subscribe({ presence: true }));
    guest.write(
      [publish(1), subscribe({ presence: true }), publish(2), { action: "unsubscribe", channel }, publish(3)]
        .map((command) => `${JSON.stringify(command)}\n`)
        .join(""),
    );
    const pushes: Message[] = [];
    while (pushes.length < 5) pushes.push(await watcher.next());
    expect(pushes.map(({ push, offset }) => `${push} ${offset ?? ""}`.trim())).toEqual([
      "message 1",
      "join",
      "message 2",
      "leave",
      "message 3",
    ]);
  });

  test("of one session is bounded over all its connections", async () => {
    await using broker = await testBroker({ limits: { subscriptionsPerConnectionMax: 1 } });
    const first = await lineClient(broker.pipe);
    const { session } = (await first.ask(hello)) as { session: Message };
    await first.ask(subscribe({ presence: true }));
    first[Symbol.dispose]();
    using second = await lineClient(broker.pipe);
    await second.ask({ ...hello, session: { id: session.id, secret: session.secret } });
    const refused = await second.ask({ action: "subscribe", channel: "other", presence: true });
    expect(refused).toMatchObject({ error: "too_many_names" });
    expect(await second.ask({ action: "stats" })).toMatchObject({ stats: { subscriptions: 0 } });
    expect(await second.ask(subscribe({ presence: true }))).toMatchObject({ ok: true });
  });
});

/** Small enough to fill: 64 KiB beside the kernel's own buffers of some 200 KiB. */
const small = {
  frameBytesMax: 16 * 1024,
  valueBytesMax: 8 * 1024,
  historyBytesMax: 16 * 1024,
  outboxBytesMax: 64 * 1024,
  latestKeysMax: 20,
};

describe("a subscriber that does not read", () => {
  const count = 4000;

  /** One that stops reading, and 1.8 MB of messages of 10 keys behind its back, ten a turn. */
  async function stalled(broker: { readonly pipe: string }, overflow: Overflow) {
    const slow = await rawClient(broker.pipe);
    slow.write(`${JSON.stringify(subscribe({ overflow }))}\n`);
    await slow.next();
    slow.pause();
    using fast = await lineClient(broker.pipe);
    using writer = await lineClient(broker.pipe);
    await fast.ask(subscribe());
    for (let index = 0; index < count; index += 10) {
      const batch = Array.from({ length: 10 }, (_, key) => publish("x".repeat(400), { key: `k${key}` }));
      writer.write(batch.map((command) => `${JSON.stringify(command)}\n`).join(""));
      for (let answer = 0; answer < 10; answer++) await writer.next();
    }
    // Nobody else is held up, or misses anything.
    for (let offset = 1; offset <= count; offset++) expect((await fast.next()).offset).toBe(offset);
    return slow;
  }

  test("is closed 3008, with no hole before that", async () => {
    await using broker = await testBroker({ limits: small });
    using slow = await stalled(broker, "close");
    slow.resume();
    let offset = 0;
    for (;;) {
      const message = await slow.next();
      if (message.push === "closing") {
        expect(message).toMatchObject({ code: 3008 });
        break;
      }
      expect(message.offset).toBe(++offset);
    }
    expect(offset).toBeLessThan(count);
  });

  test.each(["gap", "latest"] as const)(
    "is told with overflow %s between which offsets messages are missing",
    async (how) => {
      await using broker = await testBroker({ limits: small });
      using slow = await stalled(broker, how);
      slow.resume();
      let told = 0;
      let gaps = 0;
      const kept: number[] = [];
      while (told < count) {
        const message = await slow.next();
        if (message.push === "gap") {
          expect(message).toMatchObject({ channel, from: told + 1 });
          told = Number(message.to);
          gaps++;
        } else if (Number(message.offset) <= told) kept.push(Number(message.offset));
        else expect(message.offset).toBe(++told);
      }
      expect(gaps).toBeGreaterThan(0);
      // Of ten keys the newest ten are the last messages: none of them is within the gap.
      expect(kept).toEqual([]);
      using writer = await lineClient(broker.pipe);
      expect(await writer.ask(publish("end"))).toMatchObject({ receivers: 1 });
      expect(await slow.next()).toMatchObject({ offset: count + 1, data: "end" });
    },
  );

  test("in a group loses nothing: its turn goes to the next that has room", async () => {
    await using broker = await testBroker({ limits: small });
    using slow = await rawClient(broker.pipe);
    slow.write(`${JSON.stringify(subscribe({ group: "g", overflow: "gap" }))}\n`);
    await slow.next();
    slow.pause();
    using fast = await lineClient(broker.pipe);
    using writer = await lineClient(broker.pipe);
    await fast.ask(subscribe({ group: "g" }));
    for (let message = 0; message < count; message += 20) {
      for (let one = 0; one < 20; one++) writer.say(publish("x".repeat(400)));
      // All at once, they were sometimes more than the one that reads could have read in its turn.
      for (let one = 0; one < 20; one++) await writer.next();
    }
    const taken = offsetsOf(await pushesOf(fast));
    expect(taken.length).toBeGreaterThan(count / 2);
    slow.resume();
    const others: unknown[] = [];
    while (others.length + taken.length < count) {
      const message = await slow.next();
      expect(message.push).toBe("message");
      others.push(message.offset);
    }
    const all = [...taken, ...others].map(Number).sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  });

  test("in a group has no turn any more once it is sent away, though it still has much to read", async () => {
    await using broker = await testBroker({ limits: small });
    using slow = await rawClient(broker.pipe);
    slow.write(`${JSON.stringify({ action: "hello", protocol: 1 })}\n`);
    const { session } = (await slow.next()) as { session: { id: string } };
    slow.write(`${JSON.stringify(subscribe({ group: "g", overflow: "gap" }))}\n`);
    await slow.next();
    slow.pause();
    using writer = await lineClient(broker.pipe);
    for (let message = 0; message < 1000; message++) await writer.ask(publish("x".repeat(400)));
    using fast = await lineClient(broker.pipe);
    await fast.ask(subscribe({ group: "g" }));
    await writer.ask({ action: "kick", session: session.id });
    for (let message = 0; message < 10; message++) await writer.ask(publish(message));
    // Every other one was once given to it, and said to nobody.
    expect(await pushesOf(fast)).toHaveLength(10);
  });
});
