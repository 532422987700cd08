import { describe, expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { closeCodes } from "../../src/protocol/errors.ts";
import { testBroker } from "../support/broker.ts";
import { bundleClient, runScript } from "../support/client-bundle.ts";
import { HeardChannel } from "../support/heard-channel.ts";
import { ManualClientClock } from "../support/manual-client-clock.ts";
import {
  type Message,
  type ScriptedBroker,
  type ScriptedConnection,
  scriptedBroker,
} from "../support/scripted-broker.ts";

const place = { epoch: "e", offset: 0, messages: [] };
const push = (offset: number, data: unknown) => ({ push: "message", channel: "room", offset, data, atMs: 0 });

/** A client that listens to `room` at a scripted broker, and all it is told. */
async function listening(broker: ScriptedBroker) {
  const clock = new ManualClientClock();
  const client = new Client(broker.pipe, { clock, timeoutMs: 5000 });
  const heard = new HeardChannel();
  const subscribing = client.subscribe("room", heard.handler, { onEvent: heard.onEvent });
  const connection = await broker.greeted();
  const command = await next(connection, "subscribe");
  connection.answer(command, place);
  return { client, clock, heard, connection, subscription: await subscribing };
}

async function next(connection: ScriptedConnection, action: string): Promise<Message> {
  const command = await connection.next();
  expect(command.action).toBe(action);
  return command;
}

/** Sees to it that `connection` has been read to here. */
async function passed(client: Client, connection: ScriptedConnection): Promise<void> {
  const ping = client.ping();
  connection.answer(await next(connection, "ping"), { pong: 0 });
  await ping;
}

describe("a subscription", () => {
  test("asks again at a hole, on the same connection, with where it stopped", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection } = await listening(broker);
    connection.say(push(1, "a"));
    connection.say(push(3, "c"));
    const again = await next(connection, "subscribe");
    expect(again.recover).toEqual({ epoch: "e", offset: 1 });
    connection.say(push(4, "d"));
    const messages = [2, 3, 4].map((offset) => ({ offset, data: "abcd"[offset - 1], atMs: 0 }));
    connection.answer(again, { epoch: "e", offset: 4, recovered: true, messages });
    connection.say(push(5, "e"));
    expect(await heard.until(6)).toEqual(["a", "b", "c", "d", "recovered 3", "e"]);
    client.close();
  });

  test("takes no page that was asked for before the connection was cut", async () => {
    await using broker = await scriptedBroker();
    const { client, clock, heard, connection } = await listening(broker);
    connection.say(push(3, "c"));
    const messages = [{ offset: 1, data: "a", atMs: 0 }];
    connection.answer(await next(connection, "subscribe"), {
      ...place,
      offset: 3,
      recovered: true,
      messages,
      more: true,
    });
    expect(await next(connection, "history")).toMatchObject({ channel: "room", since: 1 });
    connection.cut();
    clock.advance(await clock.reconnectPlanned());
    const second = await broker.greeted();
    // The page is asked for again by the connection, as every read; it is nobody's now.
    const [history, subscribe] = [await next(second, "history"), await next(second, "subscribe")];
    expect(subscribe.recover).toEqual({ epoch: "e", offset: 1 });
    second.answer(history, { epoch: "e", offset: 9, messages: [{ offset: 9, data: "late", atMs: 0 }] });
    const rest = [2, 3].map((offset) => ({ offset, data: "abc"[offset - 1], atMs: 0 }));
    second.answer(subscribe, { epoch: "e", offset: 3, recovered: true, messages: rest });
    expect((await heard.until(4)).slice(0, 4)).toEqual(["a", "b", "c", "recovered 3"]);
    client.close();
  });

  test("that ends while it is asked for is told to the broker, and nothing of it to anybody", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection, subscription } = await listening(broker);
    connection.say(push(2, "b"));
    const again = await next(connection, "subscribe");
    const stopping = subscription.unsubscribe();
    const anew = new HeardChannel();
    const second = client.subscribe("room", anew.handler, { onEvent: anew.onEvent });
    connection.answer(again, { ...place, offset: 2, recovered: false });
    connection.say(push(3, "not ours yet"));
    connection.answer(await next(connection, "unsubscribe"), { unsubscribed: true });
    connection.answer(await next(connection, "subscribe"), { ...place, offset: 3 });
    connection.say(push(4, "d"));
    await Promise.all([stopping, second]);
    expect([await anew.until(1), heard.heard]).toEqual([["d"], []]);
    client.close();
  });

  test("that is answered too late is ended at the broker, too", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    using client = new Client(broker.pipe, { clock, timeoutMs: 5000 });
    const subscribing = client.subscribe("room", () => {}).catch(({ code }) => code);
    const connection = await broker.greeted();
    await next(connection, "subscribe");
    await passed(client, connection);
    clock.advance(5000);
    expect(await subscribing).toBe("timeout");
    // Nobody listens any more: the broker once told us everything to no end, and had us as a member.
    await next(connection, "unsubscribe");
  });

  test("that the broker ends asks again, or is over, by the code", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection } = await listening(broker);
    connection.say({ push: "unsubscribed", channel: "room", code: closeCodes.insufficientState, reason: "moved" });
    connection.answer(await next(connection, "subscribe"), { ...place, recovered: true });
    connection.say({ push: "unsubscribed", channel: "room", code: closeCodes.forbidden, reason: "no more" });
    connection.say(push(1, "a"));
    await passed(client, connection);
    expect(heard.heard).toEqual(["recovered 0", "unsubscribed forbidden"]);
    client.close();
  });

  test("tells a handler that unsubscribes nothing more, and the others all", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection, subscription } = await listening(broker);
    const other = new HeardChannel();
    await client.subscribe("room", ({ data }) =>
      data === "a" ? void subscription.unsubscribe() : other.heard.push(`${data}`),
    );
    connection.say(push(1, "a"));
    connection.say(push(2, "b"));
    expect([await other.until(1), heard.heard]).toEqual([["b"], ["a"]]);
    client.close();
  });
});

test.each(["node", process.execPath])(
  "on %s a handler that throws ends neither subscription nor connection, and it keeps the process alive",
  async (runtime) => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const script = await bundle.script(`
    process.on("uncaughtException", (error) => console.log("uncaught", error.message));
    const client = new Client();
    const subscription = await client.subscribe("room", ({ data }) => {
      if (data === 2) setTimeout(() => subscription.unsubscribe(), 1);
      throw new Error("at " + data);
    });
    await client.subscribe("room", () => {}, { unref: true });
    for (const data of [1, 2]) await client.publish("room", data);
    console.log(client.state);`);
    const { stdout, code } = await runScript([runtime, script], broker.pipe);
    expect({ stdout: stdout.split("\n").sort(), code }).toEqual({
      stdout: ["", "connected", "uncaught at 1", "uncaught at 2"],
      code: 0,
    });
  },
);
