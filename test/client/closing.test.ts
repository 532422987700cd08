/**
 * A client that is closed by whoever it tells something, in the middle of what came at once: nothing of the rest is told, and
 * a channel's position stays behind what was.
 */
import { expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { type ScriptedConnection, scriptedBroker } from "../support/scripted-broker.ts";

const message = (offset: number) => ({ offset, data: offset, atMs: 0 });
const pushed = (offset: number) => ({ push: "message", channel: "room", ...message(offset) });

/** What was said until now has been read, and all that follows from it is done. */
async function read(connection: ScriptedConnection): Promise<void> {
  await connection.closed;
  await new Promise((resolve) => setImmediate(resolve));
}

function sayAtOnce(connection: ScriptedConnection, messages: readonly object[]): void {
  connection.write(messages.map((one) => `${JSON.stringify(one)}\n`).join(""));
}

test("a watch's listener hears no key behind the one it closed at", async () => {
  await using broker = await scriptedBroker();
  const client = new Client(broker.pipe);
  const heard: unknown[] = [];
  const watching = client.watch("", (event) => {
    heard.push("key" in event ? event.key : event.event);
    client.close();
  });
  const connection = await broker.greeted();
  connection.answer(await connection.next());
  await watching;
  sayAtOnce(
    connection,
    ["a", "b"].map((key) => ({ push: "key", key, event: "set", version: 1 })),
  );
  await read(connection);
  expect(heard).toEqual(["a"]);
});

// All of the rest was told by this and by those below.
test("a listener hears no event behind the one it closed at", async () => {
  await using broker = await scriptedBroker();
  const client = new Client(broker.pipe);
  const heard: unknown[] = [];
  const listening = client.onEvent("e", (data) => {
    heard.push(data);
    client.close();
  });
  const connection = await broker.greeted();
  connection.answer(await connection.next());
  await listening;
  sayAtOnce(
    connection,
    [1, 2, 3].map((data) => ({ push: "event", event: "e", data, from: "s" })),
  );
  await read(connection);
  expect(heard).toEqual([1]);
});

test("a channel's listener hears nothing of what was pushed while a page was read", async () => {
  await using broker = await scriptedBroker();
  const client = new Client(broker.pipe);
  const heard: unknown[] = [];
  const hear = ({ offset }: { readonly offset: number }): void => {
    heard.push(offset);
    if (offset === 4) client.close();
  };
  const options = { recover: { epoch: "e", offset: 0 }, onEvent: ({ event }: { event: string }) => heard.push(event) };
  const subscribing = client.subscribe("room", hear, options);
  const connection = await broker.greeted();
  const subscribe = await connection.next();
  connection.answer(subscribe, { epoch: "e", offset: 2, messages: [1, 2].map(message), more: true, recovered: true });
  const page = await connection.next();
  sayAtOnce(connection, [
    pushed(4),
    pushed(5),
    { id: page.id, ok: true, epoch: "e", offset: 3, messages: [3].map(message) },
  ]);
  const subscription = await subscribing;
  await read(connection);
  expect(heard).toEqual([1, 2, 3, 4]);
  expect(subscription.position).toEqual({ epoch: "e", offset: 4 });
});

test("a channel's later listener hears nothing of the page of history behind what it closed at", async () => {
  await using broker = await scriptedBroker();
  const client = new Client(broker.pipe);
  const heard: unknown[] = [];
  const first = client.subscribe("room", () => {});
  const connection = await broker.greeted();
  connection.answer(await connection.next(), { epoch: "e", offset: 2, messages: [] });
  await first;
  const hear = ({ offset }: { readonly offset: number }): void => {
    heard.push(offset);
    client.close();
  };
  const later = client.subscribe("room", hear, { history: 2 });
  connection.answer(await connection.next(), { epoch: "e", offset: 2, messages: [1, 2].map(message) });
  await later;
  expect(heard).toEqual([1]);
});
