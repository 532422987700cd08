import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { ChannelMessage } from "../../src/client/channels/channel-options.ts";
import { Client } from "../../src/client/client.ts";
import { temporaryDirectory, testBroker } from "../support/broker.ts";
import { brokerProcess } from "../support/broker-process.ts";
import { flakySocket } from "../support/flaky-socket.ts";
import { HeardChannel } from "../support/heard-channel.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { quickClock } from "../support/quick-clock.ts";
import { until } from "../support/until.ts";

const settled = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: { code: string; details?: { outcome?: string } }) => `${error.code} ${error.details?.outcome}`);

describe("Client.subscribe() and publish()", () => {
  test("carry a message to everybody who listens, with all that belongs to it, until unsubscribe()", async () => {
    await using broker = await testBroker();
    using reader = new Client(broker.pipe);
    using writer = new Client(broker.pipe, { label: "writer" });
    const messages: unknown[] = [];
    const subscription = await reader.subscribe("room", (message) => messages.push(message));
    const data = { text: "é", bytes: new Uint8Array([1, 2]) };
    const { epoch } = await writer.publish("room", data, { key: "k", trace: "t" });
    await until(() => messages.length === 1);
    const [session] = (await writer.ps()).filter(({ label }) => label === "writer");
    expect(messages).toEqual([
      { channel: "room", data, offset: 1, from: session?.session, key: "k", trace: "t", atMs: expect.any(Number) },
    ]);
    expect([subscription.channel, subscription.position]).toEqual(["room", { epoch, offset: 1 }]);
    await subscription.unsubscribe();
    await subscription.unsubscribe();
    expect(await writer.publish("room", 2)).toEqual({ epoch, offset: 2, receivers: 0 });
    await reader.ping();
    expect(messages).toHaveLength(1);
  });

  test("publish in the order of the calls, the first included", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const published = await Promise.all(Array.from({ length: 50 }, (_, index) => client.publish("room", index)));
    expect(published.map(({ offset }) => offset)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    const { messages, more } = await client.history<number>("room", { limit: 3 });
    expect([messages.map(({ data }) => data), more]).toEqual([[47, 48, 49], false]);
  });

  test("publish what the data was when it was called", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const data = { n: 1 };
    const published = client.publish("room", data);
    data.n = 2;
    await published;
    expect((await client.history("room")).messages).toMatchObject([{ data: { n: 1 } }]);
    await expect(client.publish("room", () => {})).rejects.toMatchObject({ code: "bad_command" });
  });

  test("exceptSelf: everybody has it but the session itself, which notices no hole", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    using other = new Client(broker.pipe);
    const [own, others] = [new HeardChannel(), new HeardChannel()];
    await client.subscribe("room", own.handler, { onEvent: own.onEvent });
    await other.subscribe("room", others.handler);
    await client.publish("room", 1, { exceptSelf: true });
    await client.publish("room", 2);
    expect([await own.until(1), await others.until(2)]).toEqual([["2"], ["1", "2"]]);
  });

  test("history: the last messages come first, read in pages where they are many", async () => {
    await using broker = await testBroker({ limits: { frameBytesMax: 16 * 1024, valueBytesMax: 8 * 1024 } });
    using client = new Client(broker.pipe);
    const texts = Array.from({ length: 30 }, (_, index) => `${index}`.padEnd(4000, "."));
    for (const text of texts) await client.publish("room", text);
    const heard = new HeardChannel();
    await client.subscribe("room", heard.handler, { history: 25, onEvent: heard.onEvent });
    await client.publish("room", "last");
    expect(await heard.until(26)).toEqual([...texts.slice(5), "last"]);
  });

  test("recover: of what the history forgets between two pages exactly that is told to be lost", async () => {
    const clock = new ManualClock();
    const limits = { frameBytesMax: 16 * 1024, valueBytesMax: 8 * 1024, historyTtlMs: 1000 };
    await using broker = await testBroker({ limits }, { clock });
    using client = new Client(broker.pipe);
    const { epoch } = await client.publish("room", "before");
    for (let round = 1; round <= 3; round++) {
      clock.advance(400);
      // Three of them fit a page.
      for (let message = 1; message <= 5; message++) await client.publish("room", "x".repeat(4000));
    }
    const heard = new HeardChannel();
    const hear = ({ offset }: ChannelMessage): void => {
      heard.heard.push(`${offset}`);
      // The second page is asked for when this returns, and the third: each time the oldest five are over.
      if (offset === 2 || offset === 7) clock.advance(300);
    };
    await client.subscribe("room", hear, { recover: { epoch, offset: 1 }, onEvent: heard.onEvent });
    await until(() => heard.heard.at(-1)?.startsWith("recovered") === true);
    expect(heard.heard.join(" ")).toBe("2 3 4 lost 5-6 7 8 9 lost 10-11 12 13 14 15 16 recovered 11");
  });

  test("a handler that closes the client is told nothing more", async () => {
    await using broker = await testBroker();
    using writer = new Client(broker.pipe);
    for (let message = 1; message <= 5; message++) await writer.publish("room", message);
    using client = new Client(broker.pipe);
    const heard: unknown[] = [];
    const subscribing = client.subscribe(
      "room",
      ({ data }) => {
        heard.push(data);
        if (data === 2) client.close();
      },
      { history: 5, onEvent: ({ event }) => heard.push(event) },
    );
    await settled(subscribing);
    // Once it was told the rest of the page, and that it had recovered.
    expect(heard).toEqual([1, 2]);
  });

  test("the position of who has unsubscribed stays, though others listen on", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const heard = new HeardChannel();
    const stopped = await client.subscribe("room", () => {});
    const other = await client.subscribe("room", heard.handler);
    await client.publish("room", 1);
    await heard.until(1);
    await stopped.unsubscribe();
    await client.publish("room", 2);
    await heard.until(2);
    // Who recovers from it is to get what it was not told.
    expect([stopped.position.offset, other.position.offset]).toEqual([1, 2]);
  });

  test("several listeners share one subscription: each is told its own, and the broker of the last that goes", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "client" });
    using other = new Client(broker.pipe, { label: "other" });
    for (const data of [1, 2, 3]) await other.publish("room", data);
    const [first, second, third] = [new HeardChannel(), new HeardChannel(), new HeardChannel()];
    const one = await client.subscribe("room", first.handler, { onEvent: first.onEvent });
    const two = await client.subscribe("room", second.handler, { history: 2, onEvent: second.onEvent });
    const three = await client.subscribe("room", third.handler, { presence: true, onEvent: third.onEvent });
    await other.publish("room", 4);
    await other.subscribe("room", () => {}, { presence: true, unref: true });
    await other.publish("room", 5);
    await third.until(3);
    expect([first.heard, second.heard, third.heard]).toEqual([
      ["4", "5"],
      ["2", "3", "4", "5"],
      ["4", "join other", "5"],
    ]);
    expect((await client.presence("room")).map(({ label }) => label)).toEqual(["client", "other"]);
    expect((await client.stats()).subscriptions).toBe(2);
    await one.unsubscribe();
    await two.unsubscribe();
    expect((await client.stats()).subscriptions).toBe(2);
    await three.unsubscribe();
    expect((await client.stats()).subscriptions).toBe(1);
  });

  test("the session is present for as long as somebody listens who wants it to be, and misses nothing then", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "client" });
    using other = new Client(broker.pipe, { label: "other" });
    const [stays, hears] = [new HeardChannel(), new HeardChannel()];
    await other.subscribe("room", hears.handler, { presence: true, onEvent: hears.onEvent });
    await client.subscribe("room", stays.handler, { onEvent: stays.onEvent });
    const present = [
      await client.subscribe("room", () => {}, { presence: true }),
      await client.subscribe("room", () => {}, { presence: true }),
    ];
    await present[0]?.unsubscribe();
    expect((await other.presence("room")).map(({ label }) => label)).toEqual(["other", "client"]);
    const publishing = Promise.all([1, 2, 3, 4].map((data) => other.publish("room", data)));
    await present[1]?.unsubscribe();
    // It once was present until the last of all had left.
    expect((await other.presence("room")).map(({ label }) => label)).toEqual(["other"]);
    await publishing;
    expect([await stays.until(4), (await hears.until(6)).filter((told) => !/\d/.test(told))]).toEqual([
      ["1", "2", "3", "4"],
      ["join client", "leave client"],
    ]);
  });

  test("listeners that come at once get each what it asked for", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "client" });
    using other = new Client(broker.pipe, { label: "other" });
    for (const data of [1, 2, 3]) await other.publish("room", data);
    const [first, second, third] = [new HeardChannel(), new HeardChannel(), new HeardChannel()];
    await Promise.all([
      client.subscribe("room", first.handler, { history: 2, onEvent: first.onEvent }),
      client.subscribe("room", second.handler, { presence: true, onEvent: second.onEvent }),
      client.subscribe("room", third.handler, { history: 1, onEvent: third.onEvent }),
    ]);
    await other.subscribe("room", () => {}, { presence: true, unref: true });
    await other.publish("room", 4);
    await second.until(2);
    expect([first.heard, second.heard, third.heard]).toEqual([
      ["2", "3", "4"],
      ["join other", "4"],
      ["3", "4"],
    ]);
  });

  test("a later listener is told, without a hole, what is published while it asks for the history", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    using other = new Client(broker.pipe);
    await client.subscribe("room", () => {});
    const publishing = Promise.all(Array.from({ length: 500 }, (_, index) => other.publish("room", index)));
    const late: HeardChannel[] = [];
    for (let index = 0; index < 20; index++) {
      const heard = new HeardChannel();
      late.push(heard);
      await client.subscribe("room", heard.handler, { history: 3, onEvent: heard.onEvent });
    }
    await publishing;
    await client.publish("room", "last");
    for (const heard of late) {
      await until(() => heard.heard.at(-1) === "last");
      const first = Number(heard.heard[0]);
      expect(heard.heard).toEqual([...Array.from({ length: 500 - first }, (_, index) => `${first + index}`), "last"]);
    }
  });

  test("refuses a second listener what does not go with the first", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await client.subscribe("jobs", () => {}, { group: "workers" });
    const group = client.subscribe("jobs", () => {}, { group: "others" });
    await expect(group).rejects.toThrow("the group of those who listen already, workers, got others");
    const recover = client.subscribe("jobs", () => {}, { group: "workers", recover: { epoch: "e", offset: 1 } });
    await expect(recover).rejects.toMatchObject({ code: "bad_command" });
  });

  test("group: each message goes to one of its members", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    using other = new Client(broker.pipe);
    const heard = new HeardChannel();
    for (const member of [client, other]) await member.subscribe("jobs", heard.handler, { group: "workers" });
    for (const data of [1, 2, 3, 4]) expect((await client.publish("jobs", data)).receivers).toBe(1);
    expect([...(await heard.until(4))].sort()).toEqual(["1", "2", "3", "4"]);
  });

  test("channels: says what is there, by the beginning of its name", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await client.publish("room:1", 1);
    await client.publish("hall", 1);
    await client.subscribe("room:1", () => {});
    expect(await client.channels("room")).toMatchObject([
      { channel: "room:1", offset: 1, subscribers: 1, messages: 1 },
    ]);
    expect(await client.channels()).toHaveLength(2);
  });

  test("rejects what the broker refuses, and keeps nothing of it", async () => {
    await using broker = await testBroker({ limits: { subscriptionsPerConnectionMax: 1 } });
    using client = new Client(broker.pipe);
    const subscription = await client.subscribe("a", () => {});
    await expect(client.subscribe("b", () => {})).rejects.toMatchObject({ code: "too_many_names" });
    await subscription.unsubscribe();
    await client.subscribe("b", () => {});
  });
});

describe("Client.subscribe(), when the connection is lost", () => {
  test("tells all that was missed, once and in order, and goes on", async () => {
    await using broker = await testBroker();
    await using flaky = await flakySocket(broker.pipe);
    using client = new Client(flaky.pipe, { clock: quickClock });
    using other = new Client(broker.pipe);
    const heard = new HeardChannel();
    const subscription = await client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
    await other.publish("room", 1);
    await heard.until(1);
    for (const round of [0, 1, 2]) {
      flaky.current.end();
      await other.publish("room", `missed ${round}`);
      await until(() => heard.heard.includes(`missed ${round}`));
    }
    await other.publish("room", "last");
    await until(() => heard.heard.at(-1) === "last");
    const told = [1, "missed 0", "recovered 1", "missed 1", "recovered 1", "missed 2", "recovered 1", "last"];
    expect(heard.heard).toEqual(told.map(String));
    expect(subscription.position.offset).toBe(5);
  });

  test("cut at any place while others publish, tells each message once, in order", async () => {
    await using broker = await testBroker();
    await using flaky = await flakySocket(broker.pipe);
    let cuts = 0;
    flaky.weather = () => (++cuts <= 12 ? { cut: { direction: "toClient", afterBytes: 150 * cuts } } : {});
    using client = new Client(flaky.pipe, { clock: quickClock });
    using other = new Client(broker.pipe);
    const { epoch } = await other.publish("room", "first");
    const messages: number[] = [];
    const handler = ({ offset }: { readonly offset: number }): void => void messages.push(offset);
    const lost = new HeardChannel();
    await client.subscribe("room", handler, { recover: { epoch, offset: 0 }, onEvent: lost.onEvent });
    while (cuts <= 12) {
      const { offset } = await other.publish("room", "between");
      // Not more than the history keeps.
      await until(() => offset - (messages.at(-1) ?? 0) < 500);
    }
    const { offset } = await other.publish("room", "last");
    await until(() => messages.at(-1) === offset);
    expect(messages).toEqual(Array.from({ length: offset }, (_, index) => index + 1));
    expect(lost.heard.filter((told) => !told.startsWith("recovered"))).toEqual([]);
  });

  test("tells lost after the broker was killed and another has come, and what is published there", async () => {
    using directory = temporaryDirectory();
    const options = { runRoot: join(directory.path, "run"), name: "again" };
    const first = await brokerProcess(options);
    using client = new Client(first.pipe);
    const heard = new HeardChannel();
    await client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
    await client.publish("room", 1);
    await heard.until(1);
    await first[Symbol.asyncDispose]();
    await using second = await brokerProcess(options);
    expect(second.pipe).toBe(first.pipe);
    await heard.until(2);
    await client.publish("room", 2);
    expect(await heard.until(3)).toEqual(["1", "lost ?-?", "2"]);
  });

  test("is over when no broker comes back in time", async () => {
    const broker = await testBroker();
    using client = new Client(broker.pipe, { timeoutMs: 300 });
    const heard = new HeardChannel();
    const subscription = await client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
    await broker[Symbol.asyncDispose]();
    expect(await heard.until(1)).toEqual(["unsubscribed unavailable"]);
    await subscription.unsubscribe();
  });

  test("tells nothing when the client is closed by its owner", async () => {
    await using broker = await testBroker();
    const client = new Client(broker.pipe);
    const heard = new HeardChannel();
    await client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
    client.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard.heard).toEqual([]);
  });
});

describe("Client.publish(), cut off before the answer", () => {
  test("is published once where the session goes on", async () => {
    await using broker = await testBroker();
    await using flaky = await flakySocket(broker.pipe);
    using client = new Client(flaky.pipe, { clock: quickClock, lingerMs: 20_000 });
    await client.publish("room", "first");
    for (const direction of ["toBroker", "toClient"] as const) {
      flaky.current.arm({ direction, afterBytes: 5 });
      const published = await Promise.all([1, 2, 3].map((data) => client.publish("room", data)));
      expect(published.map(({ offset }) => offset - (published[0]?.offset ?? 0))).toEqual([0, 1, 2]);
    }
    const { messages } = await client.history("room");
    expect(messages.map(({ data }) => data)).toEqual(["first", 1, 2, 3, 1, 2, 3]);
  });

  test("fails as unknown where it does not", async () => {
    await using broker = await testBroker();
    await using flaky = await flakySocket(broker.pipe);
    using client = new Client(flaky.pipe, { clock: quickClock });
    await client.publish("room", "first");
    flaky.current.arm({ direction: "toClient", afterBytes: 5 });
    expect(await settled(client.publish("room", 1))).toBe("unavailable unknown");
    expect((await client.history("room")).offset).toBe(2);
  });
});
