/**
 * `ephemeral pub`, `sub`, `presence` and `channels` as a shell sees them. Each case has a broker of
 * its own.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { bare, type InvocationOptions, invoke } from "../support/invocation.ts";
import { binaryProgram } from "../support/programs.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(30_000);

const program = await binaryProgram();

/** Runs the program beside the broker at `pipe` to its end. */
const beside =
  (pipe: string) =>
  (args: readonly string[], options: InvocationOptions = {}) =>
    invoke(program, { ...options, args, environment: { EPHEMERAL_PIPE: pipe } });

/** `ephemeral sub`, which listens to `room` when this resolves. */
async function listening(client: Client, args: readonly string[]) {
  const child = Bun.spawn([...program.argv, "sub", "--pipe", client.pipe, ...args], {
    env: bare({}),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  await until(async () => (await client.channels("room")).some(({ subscribers }) => subscribers > 0), 10_000);
  const ended = async () => {
    const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { stdout, stderr, status };
  };
  return { child, ended };
}

describe("ephemeral pub", () => {
  test("publishes text and JSON, and says where it came to", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const run = beside(broker.pipe);
    expect(await run(["pub", "room", "hello"])).toEqual({ status: 0, stdout: "", stderr: "" });
    const { stdout } = await run(["pub", "room", '{"a":[1]}', "--key", "k", "--trace", "t", "--json"]);
    const { epoch, messages } = await client.history("room");
    expect(JSON.parse(stdout)).toEqual({ epoch, offset: 2, receivers: 0, count: 1 });
    expect(messages).toMatchObject([{ data: "hello" }, { data: { a: [1] }, key: "k", trace: "t" }]);
  });

  test.each([[["pub", "room", "-", "--json"]], [["pub", "room", "--json"]]])(
    "%j publishes each line of standard input, in order",
    async (args) => {
      await using broker = await testBroker();
      using client = new Client(broker.pipe);
      const lines = Array.from({ length: 700 }, (_, index) => `line ${index}`);
      const stdin = `${lines.join("\n")}\r\n\nlast é`;
      const { stdout } = await beside(broker.pipe)(args, { stdin });
      expect(JSON.parse(stdout)).toMatchObject({ offset: 701, count: 701 });
      const { messages } = await client.history("room", { limit: 1000 });
      expect(messages.map(({ data }) => data)).toEqual([...lines, "last é"]);
    },
  );
});

describe("ephemeral sub", () => {
  test("prints the last messages and those that come, harmless to a terminal, and ends after so many", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    for (const data of ["old", "a\x1b[31m\nb"]) await client.publish("room", data);
    const { ended } = await listening(client, ["room", "--history", "1", "-n", "3"]);
    for (const data of [{ x: new Uint8Array([1]) }, "last", "too many"]) await client.publish("room", data);
    const stdout = 'a\\u001b[31m\\nb\n{"x":{"$binary":"AQ=="}}\nlast\n';
    expect(await ended()).toEqual({ stdout, stderr: "", status: 0 });
  });

  test("names the channels where there are several; --json tells all of it, members too", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "client" });
    const two = await listening(client, ["hall", "room", "-n", "2"]);
    const one = await listening(client, ["room", "-n", "1", "--presence", "--json"]);
    await until(async () => (await client.channels("room"))[0]?.subscribers === 2);
    await client.publish("hall", 1);
    expect(await client.presence("room")).toMatchObject([{ label: "ephemeral sub" }]);
    await client.subscribe("room", () => {}, { presence: true, unref: true });
    const { epoch: _, offset } = await client.publish("room", "two");
    expect(await two.ended()).toEqual({ stdout: "hall 1\nroom two\n", stderr: "", status: 0 });
    const lines = (await one.ended()).stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { channel: "room", event: "join", member: expect.objectContaining({ label: "client" }) },
      { channel: "room", data: "two", offset, from: expect.any(String), atMs: expect.any(Number) },
    ]);
  });

  test("ends with 69 when the broker is gone, and without one", async () => {
    const broker = await testBroker();
    using client = new Client(broker.pipe);
    const { ended } = await listening(client, ["room"]);
    await broker[Symbol.asyncDispose]();
    expect(await ended()).toMatchObject({
      stdout: "",
      status: 69,
      stderr: expect.stringMatching(/^ephemeral: No broker/),
    });
    expect(await beside(broker.pipe)(["sub", "room"])).toMatchObject({ stdout: "", status: 69 });
  });
});

describe("ephemeral presence and channels", () => {
  test("show who is there and what there is", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe, { label: "client" });
    await client.subscribe("room:1", () => {}, { presence: true, unref: true });
    await client.publish("room:1", "x");
    await client.publish("hall", "x");
    const run = beside(broker.pipe);
    expect((await run(["presence", "room:1"])).stdout).toMatch(/^SESSION +USER +LABEL +FOR\n\S+ +client +\S+\n$/);
    expect((await run(["channels", "room"])).stdout).toMatch(
      /^CHANNEL +OFFSET +SUBSCRIBERS +MEMBERS +KEPT +BYTES\nroom:1 +1 +1 +1 +1 +\d+\n$/,
    );
    expect(JSON.parse((await run(["channels", "--json"])).stdout).channels).toHaveLength(2);
  });
});
