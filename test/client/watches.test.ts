import { describe, expect, test } from "bun:test";
import { Client, type WatchEvent } from "../../src/client/client.ts";
import { closeCodes } from "../../src/protocol/errors.ts";
import { testBroker } from "../support/broker.ts";
import { bundleClient, runScript } from "../support/client-bundle.ts";
import { ManualClientClock } from "../support/manual-client-clock.ts";
import { type ScriptedBroker, type ScriptedConnection, scriptedBroker } from "../support/scripted-broker.ts";

/** A listener, and the events it was told, which can be waited for. */
class Heard {
  readonly events: string[] = [];
  #waiting: (() => void)[] = [];

  readonly listen = (event: WatchEvent): void => {
    if (event.event === "gap") this.events.push(`gap ${event.dropped}`);
    else if (event.event === "lost") this.events.push(`lost ${event.error.code}`);
    else this.events.push(`${event.event} ${event.key} ${event.version}`);
    for (const wake of this.#waiting.splice(0)) wake();
  };

  /** Resolves when there are `count` events. */
  async until(count: number): Promise<readonly string[]> {
    while (this.events.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.events;
  }
}

/** A client that watches `prefix` at a scripted broker, greeted and told that it does. */
async function watching(broker: ScriptedBroker, prefix = "k", clock = new ManualClientClock()) {
  const client = new Client(broker.pipe, { clock, timeoutMs: 5000 });
  const heard = new Heard();
  const starting = client.watch(prefix, heard.listen);
  const connection = await broker.greeted();
  const command = await connection.next();
  expect(command).toMatchObject({ action: "watch", prefix });
  connection.answer(command);
  return { client, heard, connection, clock, watch: await starting };
}

/** Sees to it that `connection` has been read to here. */
async function passed(client: Client, connection: ScriptedConnection): Promise<void> {
  const ping = client.ping();
  const command = await connection.next();
  expect(command.action).toBe("ping");
  connection.answer(command, { pong: 0 });
  await ping;
}

const pushOf = (key: string, version: number) => ({ push: "key", key, event: "set", version });

describe("Client.watch()", () => {
  test("tells what others do to keys that begin so, in order, until stop()", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    using other = new Client(broker.pipe);
    const heard = new Heard();
    const watch = await client.watch("auth:", heard.listen);
    expect(watch.prefix).toBe("auth:");
    await other.set("auth:a", 1);
    await other.set("plain", 1);
    await other.incr("auth:a");
    await other.set("auth:b", 1, 1);
    await heard.until(4);
    await other.del("auth:a");
    expect(await heard.until(5)).toEqual([
      "set auth:a 1",
      "set auth:a 3",
      "set auth:b 4",
      "expired auth:b 4",
      "del auth:a 3",
    ]);
    await watch.stop();
    expect((await other.stats()).watches).toBe(0);
    await other.set("auth:c", 1);
    await client.ping();
    expect(heard.events).toHaveLength(5);
  });

  test("tells each of several watches its own, and once; the broker is told of the last stop()", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const [wide, narrow, twin] = [new Heard(), new Heard(), new Heard()];
    const all = await client.watch("", wide.listen);
    const one = await client.watch("a", narrow.listen);
    const two = await client.watch("a", twin.listen);
    await client.set("a", 1);
    await client.set("b", 1);
    await one.stop();
    await one.stop();
    await client.set("a", 2);
    await wide.until(3);
    expect(wide.events).toEqual(["set a 1", "set b 2", "set a 3"]);
    expect(narrow.events).toEqual(["set a 1"]);
    expect(twin.events).toEqual(["set a 1", "set a 3"]);
    expect((await client.stats()).watches).toBe(2);
    await two.stop();
    expect((await client.stats()).watches).toBe(1);
    await all.stop();
    expect((await client.stats()).watches).toBe(0);
  });

  test("rejects what the broker refuses, and keeps nothing of it", async () => {
    await using broker = await testBroker({ limits: { watchesPerSessionMax: 1 } });
    using client = new Client(broker.pipe);
    const heard = new Heard();
    const watch = await client.watch("a", heard.listen);
    await expect(client.watch("ab", heard.listen)).rejects.toMatchObject({ code: "too_many_names" });
    await client.set("ab", 1);
    await client.ping();
    expect(heard.events).toEqual(["set ab 1"]);
    await watch.stop();
    await client.watch("ab", heard.listen);
  });

  test("sends the overflow it was told", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    void client.watch("k", () => {}, { overflow: "latest" }).catch(() => {});
    expect(await (await broker.greeted()).next()).toMatchObject({ prefix: "k", overflow: "latest" });
  });

  test("tells a gap to every watch that overlaps", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection } = await watching(broker, "a");
    const [inner, other] = [new Heard(), new Heard()];
    for (const [prefix, listener] of [["a:b", inner] as const, ["b", other] as const]) {
      const starting = client.watch(prefix, listener.listen);
      connection.answer(await connection.next());
      await starting;
    }
    connection.say({ push: "gap", prefix: "a:", dropped: 7 });
    connection.say({ push: "gap", prefix: "a:c", dropped: 2 });
    await passed(client, connection);
    expect([heard.events, inner.events, other.events]).toEqual([["gap 7", "gap 2"], ["gap 7"], []]);
    client.close();
  });

  test("leaves alone what it does not know: pushes of later versions, and keys nobody watches", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection } = await watching(broker, "k");
    connection.say({ push: "message", channel: "k", data: 1 });
    connection.say(pushOf("other", 1));
    await passed(client, connection);
    expect(heard.events).toEqual([]);
    client.close();
  });
});

describe("Client.watch(), when the connection is lost", () => {
  test("comes back by itself and asks again, and tells of a gap before anything else", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection, clock } = await watching(broker);
    connection.say(pushOf("k", 1));
    await heard.until(1);
    connection.cut();
    clock.advance(await clock.reconnectPlanned());
    const next = await broker.greeted();
    // What a broker says before it has answered is not ours yet.
    next.say(pushOf("k", 2));
    const command = await next.next();
    expect(command).toMatchObject({ action: "watch", prefix: "k" });
    next.answer(command);
    next.say(pushOf("k", 3));
    expect(await heard.until(3)).toEqual(["set k 1", "gap undefined", "set k 3"]);
    client.close();
  });

  test("asks again however often it is cut, and tells of one gap for each time it was back", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection, clock } = await watching(broker);
    connection.cut();
    clock.advance(await clock.reconnectPlanned());
    const second = await broker.greeted();
    expect(await second.next()).toMatchObject({ action: "watch" });
    second.cut();
    clock.advance(await clock.reconnectPlanned());
    const third = await broker.greeted();
    third.answer(await third.next());
    await heard.until(1);
    await passed(client, third);
    expect([heard.events, third.waiting]).toEqual([["gap undefined"], 0]);
    client.close();
  });

  test("is lost when no broker comes back in time, and holds the process no longer", async () => {
    const clock = new ManualClientClock();
    const broker = await scriptedBroker();
    const { client, heard } = await watching(broker, "k", clock);
    await broker[Symbol.asyncDispose]();
    while (heard.events.length === 0) {
      clock.advance(await clock.reconnectPlanned());
      // A turn of the event loop lets a call that failed say so.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([heard.events, clock.reconnectsInMs]).toEqual([["lost unavailable"], []]);
    expect(clock.nowMs()).toBeWithin(5000, 7000);
    client.close();
  });

  test("tells nothing when the client is closed by its owner", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, watch } = await watching(broker);
    client.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard.events).toEqual([]);
    await watch.stop();
    await expect(client.watch("k", heard.listen)).rejects.toMatchObject({ code: "cancelled" });
  });

  test("is lost at once when the broker says to stay away", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection } = await watching(broker);
    connection.say({ push: "closing", code: closeCodes.forbidden, reason: "go" });
    expect(await heard.until(1)).toEqual(["lost forbidden"]);
    client.close();
  });

  test("stopped meanwhile, tells nothing more, and the broker that was asked again already is told to stop", async () => {
    await using broker = await scriptedBroker();
    const { client, heard, connection, clock, watch } = await watching(broker);
    connection.cut();
    clock.advance(await clock.reconnectPlanned());
    const next = await broker.greeted();
    const command = await next.next();
    await watch.stop();
    next.answer(command);
    next.say(pushOf("k", 2));
    const unwatch = await next.next();
    expect(unwatch).toMatchObject({ action: "unwatch", prefix: "k" });
    next.answer(unwatch, { unwatched: true });
    await passed(client, next);
    expect(heard.events).toEqual([]);
    client.close();
  });

  test("a broker that closed the connection, as its reader was too slow, is asked again", async () => {
    const limits = {
      frameBytesMax: 16 * 1024,
      valueBytesMax: 8 * 1024,
      outboxBytesMax: 64 * 1024,
      historyBytesMax: 16 * 1024,
    };
    await using broker = await testBroker({ limits });
    using other = new Client(broker.pipe);
    using bundle = await bundleClient();
    // Reads nothing from its connection until a byte comes on stdin.
    const script = await bundle.script(`
      import { readSync } from "node:fs";
      const watch = await new Client().watch("k", ({ event, key, version }) => {
        console.log(event, key?.slice(0, 6), version);
        if (key === "k:last") watch.stop();
      });
      console.log("watching");
      setImmediate(() => readSync(0, Buffer.alloc(1)));`);
    const env = { PATH: process.env.PATH ?? "", EPHEMERAL_PIPE: broker.pipe };
    await using child = Bun.spawn(["node", script], { env, stdin: "pipe", stdout: "pipe" });
    const output = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    let text = "";
    const until = async (wanted: string): Promise<void> => {
      while (!text.includes(wanted)) text += (await output.next()).value;
    };
    await until("watching");
    const key = "k".padEnd(400, "x");
    await Promise.all(Array.from({ length: 4000 }, () => other.set(key, 1)));
    child.stdin.write("!");
    child.stdin.flush();
    await until("gap");
    await other.set("k:last", 1);
    expect(await child.exited).toBe(0);
    await until("set k:last");
    const [, before = "", after = ""] = /watching\n(.*)gap undefined undefined\n(.*)$/s.exec(text) ?? [];
    const count = before.trimEnd().split("\n").length;
    expect(before).toBe(Array.from({ length: count }, (_, index) => `set kxxxxx ${index + 1}\n`).join(""));
    expect([count < 4000, after]).toEqual([true, "set k:last 4001\n"]);
  });
});

describe.each(["node", "bun"])("a watch on %s", (runtime) => {
  const command = runtime === "bun" ? process.execPath : runtime;

  test("keeps the process alive until it is stopped", async () => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const script = await bundle.script(`
      const [watcher, other] = [new Client(), new Client()];
      await watcher.ping(); // its connection is idle now, and lets the process end
      const watch = await watcher.watch("k", ({ event, key }) => {
        console.log(event, key);
        if (event === "expired") watch.stop();
      });
      await other.set("k", 1, 50);`);
    expect(await runScript([command, script], broker.pipe)).toEqual({
      stdout: "set k\nexpired k\n",
      stderr: "",
      code: 0,
    });
  });

  test("lets the process end when told to", async () => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const script = await bundle.script(`
      const client = new Client();
      await client.watch("k", () => console.log("told"), { unref: true });
      await client.set("k", 1);
      console.log("end");`);
    const { stdout, code } = await runScript([command, script], broker.pipe);
    expect({ stdout, code }).toEqual({ stdout: "told\nend\n", code: 0 });
  });

  test("whose listener throws is an uncaught error, and ends neither the watch nor the connection", async () => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const script = await bundle.script(`
      process.on("uncaughtException", (error) => console.log("uncaught", error.message));
      const client = new Client();
      const watch = await client.watch("k", ({ version }) => { throw new Error("at " + version); });
      await client.set("k", 1);
      await client.set("k", 2);
      await watch.stop();
      console.log(client.state);`);
    const { stdout, code } = await runScript([command, script], broker.pipe);
    expect({ stdout: stdout.split("\n").sort(), code }).toEqual({
      stdout: ["", "connected", "uncaught at 1", "uncaught at 2"],
      code: 0,
    });
  });
});
