import { describe, expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { type Message, type ScriptedConnection, scriptedBroker } from "../support/scripted-broker.ts";

const reasonOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ resolvedTo: value }),
    (error: unknown) => error,
  );

/** The next command, which should be `action`. */
async function nextOf(connection: ScriptedConnection, action: string): Promise<Message> {
  const command = await connection.next();
  expect(command.action).toBe(action);
  return command;
}

describe("Client.once()", () => {
  test("40 callers of 8 clients, one run, one value", async () => {
    await using broker = await testBroker();
    const clients = Array.from({ length: 8 }, () => new Client(broker.pipe));
    let runs = 0;
    const produce = async (): Promise<{ run: number }> => ({ run: ++runs });
    const values = await Promise.all(
      Array.from({ length: 40 }, (_, index) => clients[index % 8]!.once("token", produce)),
    );
    expect(runs).toBe(1);
    expect(values).toEqual(Array.from({ length: 40 }, () => ({ run: 1 })));
    for (const client of clients) client.close();
  });

  test("what the producer throws is thrown here, and told there", async () => {
    await using broker = await testBroker();
    using clients = clientsOf(broker.pipe);
    const [leader, follower] = clients;
    const production = Promise.withResolvers<string>();
    const here = reasonOf(leader.once("token", () => production.promise));
    await until(async () => (await follower.ps()).some((session) => session.holds.length === 1));
    const there = reasonOf(follower.once("token", () => "never run"));
    await until(async () => (await follower.ps()).some((session) => session.waits.length === 1));
    const failure = new TypeError("the login page is down");
    production.reject(failure);
    expect(await here).toBe(failure);
    expect(await there).toMatchObject({ code: "producer_failed" });
    expect(((await there) as Error).message).toContain("the login page is down");
    expect(await follower.once("token", () => "second try")).toBe("second try");
  });

  test.each([
    ["undefined", undefined],
    ["a Date", new Date(0)],
    ["too much", "x".repeat(300_000)],
  ])("a producer that returns %s frees the turn", async (_what, value) => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    expect(await reasonOf(client.once<unknown>("k", () => value))).toMatchObject({ name: "EphemeralError" });
    expect(await client.once("k", () => 1)).toBe(1);
  });

  test("the turn of a client that goes passes on", async () => {
    await using broker = await testBroker();
    using clients = clientsOf(broker.pipe);
    const [leader, follower] = clients;
    const lost = reasonOf(leader.once("token", () => new Promise<string>(() => {})));
    await Promise.race([lost, until(async () => (await follower.ps()).some((session) => session.holds.length === 1))]);
    const value = follower.once("token", () => "produced by the second");
    await until(async () => (await follower.ps()).some((session) => session.waits.length === 1));
    leader.close();
    expect(await value).toBe("produced by the second");
  });

  test("an aborted wait rejects, the others go on", async () => {
    await using broker = await testBroker();
    using clients = clientsOf(broker.pipe);
    const [leader, follower] = clients;
    const production = Promise.withResolvers<string>();
    const first = leader.once("token", () => production.promise);
    await until(async () => (await follower.ps()).some((session) => session.holds.length === 1));
    const controller = new AbortController();
    const second = reasonOf(follower.once("token", () => "never run", { signal: controller.signal }));
    await until(async () => (await follower.ps()).some((session) => session.waits.length === 1));
    controller.abort("enough");
    expect(await second).toBe("enough");
    production.resolve("value");
    expect(await first).toBe("value");
  });

  test("waitMs bounds the wait, not the work", async () => {
    await using broker = await testBroker();
    using clients = clientsOf(broker.pipe);
    const [leader, follower] = clients;
    const production = Promise.withResolvers<string>();
    const first = leader.once("token", () => production.promise, { waitMs: 1 });
    await until(async () => (await follower.ps()).some((session) => session.holds.length === 1));
    expect(await reasonOf(follower.once("token", () => "never run", { waitMs: 5 }))).toMatchObject({ code: "timeout" });
    production.resolve("value");
    expect(await first).toBe("value");
  });

  test("a leader that lost its turn returns what took its place", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const value = client.once("k", () => "mine");
    const connection = await broker.greeted();
    connection.answer(await nextOf(connection, "once"), { leader: true, fence: 5 });
    const resolve = await nextOf(connection, "once.resolve");
    expect(resolve).toMatchObject({ key: "k", fence: 5, value: "mine", ttl: 1_800_000 });
    connection.refuse(resolve, { error: "not_owner", message: "another leads" });
    connection.answer(await nextOf(connection, "once"), { value: "theirs", version: 3 });
    expect(await value).toBe("theirs");
  });

  test("a leader cut off while it shares offers the same value again, produced once", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    let runs = 0;
    const value = client.once("k", () => `run ${++runs}`, { ttl: 1000 });
    const first = await broker.greeted();
    first.answer(await nextOf(first, "once"), { leader: true, fence: 5 });
    await nextOf(first, "once.resolve");
    first.cut();
    const second = await broker.greeted();
    second.answer(await nextOf(second, "once"), { leader: true, fence: 6 });
    const resolve = await nextOf(second, "once.resolve");
    expect(resolve).toMatchObject({ fence: 6, value: "run 1", ttl: 1000 });
    second.answer(resolve, { version: 1 });
    expect(await value).toBe("run 1");
  });

  test("a turn lost again and again ends in an error, not in a loop", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const outcome = reasonOf(client.once("k", () => 1));
    const connection = await broker.greeted();
    for (let turn = 0; turn < 4; turn++) {
      connection.answer(await nextOf(connection, "once"), { leader: true, fence: turn });
      connection.refuse(await nextOf(connection, "once.resolve"), { error: "not_owner", message: "lost" });
    }
    connection.answer(await nextOf(connection, "once.reject"));
    expect(await outcome).toMatchObject({ code: "not_owner" });
  });

  test("a turn that came to a caller who has gone is given up", async () => {
    await using broker = await scriptedBroker();
    using client = new Client(broker.pipe);
    const controller = new AbortController();
    const outcome = reasonOf(client.once("k", () => "never run", { signal: controller.signal }));
    const connection = await broker.greeted();
    const once = await nextOf(connection, "once");
    controller.abort("gone");
    expect(await outcome).toBe("gone");
    connection.answer(await nextOf(connection, "cancel"), { cancelled: false });
    connection.answer(once, { leader: true, fence: 8 });
    expect(await connection.next()).toMatchObject({ action: "once.reject", key: "k", fence: 8 });
  });
});

function clientsOf(pipe: string): [Client, Client] & Disposable {
  const clients: [Client, Client] = [new Client(pipe), new Client(pipe)];
  const close = (): void => {
    for (const client of clients) client.close();
  };
  return Object.assign(clients, { [Symbol.dispose]: close });
}

/** Resolves once `condition` holds. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 5000;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`never came true: ${condition}`);
  }
}
