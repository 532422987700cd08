/**
 * Touch, incr, the refreshing get and watch, as a shell sees them, from the source and from the compiled binary.
 */
import { describe, expect, test } from "bun:test";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { bare, type Invocation, invoke } from "../support/invocation.ts";
import { programs } from "../support/programs.ts";
import { scriptedBroker } from "../support/scripted-broker.ts";

const both = await programs();
const ttl = 60_000;
const printed = (stdout: string): Invocation => ({ status: 0, stdout, stderr: "" });
const failed = (status: number, message: string, hint: string): Invocation => ({
  status,
  stdout: "",
  stderr: `ephemeral: ${message}\n${hint}\n`,
});

async function leftMs(client: LineClient, key: string): Promise<number> {
  return Number((await client.ask({ action: "get", key, refresh: false })).ttlMs);
}

describe.each(both.map((program) => [program.name, program] as const))("ephemeral (%s)", (_name, program) => {
  const beside =
    (pipe: string) =>
    (...args: string[]): Promise<Invocation> =>
      invoke(program, { args, environment: { EPHEMERAL_PIPE: pipe } });

  test.each([
    [["get", "k", "--refresh"], true],
    [["get", "k"], undefined],
  ])("%j says whether to refresh", async (args, refresh) => {
    await using broker = await scriptedBroker();
    const running = beside(broker.pipe)(...args);
    const connection = await broker.greeted();
    const command = await connection.next();
    expect([command.action, command.refresh]).toEqual(["get", refresh]);
    connection.answer(command, { value: "it", version: 1 });
    expect(await running).toEqual(printed("it\n"));
  });

  test("touch gives a key a new end", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    using client = await lineClient(broker.pipe);
    await client.ask({ action: "set", key: "k", value: "it", ttl });
    expect(await run("touch", "k", "2h")).toEqual(printed(""));
    expect(await leftMs(client, "k")).toBeWithin(7_100_000, 7_200_001);
    const { stdout } = await run("touch", "k", "90m", "--json");
    expect(JSON.parse(stdout).expiresAtMs - Date.now()).toBeWithin(5_300_000, 5_400_001);
    expect(await run("touch", "absent", "1m")).toEqual(
      failed(
        1,
        'Cannot touch key "absent": nothing is stored under it',
        "See what there is with: ephemeral list, ephemeral holders or ephemeral ps",
      ),
    );
    expect(await run("touch", "k", "soon")).toEqual(
      failed(
        64,
        'Cannot read TTL: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "soon"',
        "Write: ephemeral touch KEY 10m",
      ),
    );
    expect(await run("touch", "k", "0")).toEqual(
      failed(
        64,
        "Cannot touch key: wanted a ttl over 0 ms, got 0",
        "Give a time to live such as --ttl 30m, at most 30d",
      ),
    );
  });

  test("incr adds and prints the sum", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    using client = await lineClient(broker.pipe);
    expect(await run("incr", "n")).toEqual(printed("1\n"));
    expect(await leftMs(client, "n")).toBeWithin(1_700_000, 1_800_001);
    expect(await run("incr", "n", "--by", "-3", "--ttl", "1m")).toEqual(printed("-2\n"));
    expect(await leftMs(client, "n")).toBeWithin(1, 60_001);
    expect(await run("incr", "n", "--by=0.5", "--json")).toEqual(printed('{"value":-1.5,"version":3}\n'));
    await run("set", "text", "5");
    expect(await run("incr", "text")).toEqual(
      failed(
        1,
        'Cannot increment key "text": wanted a number under it, something else is stored there',
        "Store a number with: ephemeral set KEY 1 --json-value",
      ),
    );
    await run("set", "text", "5", "--json-value");
    expect(await run("incr", "text")).toEqual(printed("6\n"));
    for (const by of ["many", "1e3", "9007199254740992", ""]) {
      expect(await run("incr", "n", `--by=${by}`)).toEqual(
        failed(
          64,
          `Cannot read --by: wanted a number such as 5, -1 or 0.5, got ${JSON.stringify(by)}`,
          "Correct --by, or leave it out for the default",
        ),
      );
    }
  });

  test("incr of many at once loses nothing", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    const outputs = await Promise.all(Array.from({ length: 8 }, () => run("incr", "n")));
    expect(outputs.map(({ stdout }) => Number(stdout)).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("set refuses a scope that would end with it, and stores nothing", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    const { status, stdout, stderr } = await run("set", "k", "1", "--scope", "session");
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr).toStartWith("ephemeral: Cannot use --scope: a key of a session ends with it, and this command's");
    expect((await run("get", "k")).status).toBe(1);
  });

  /** The program, watching; `line` resolves to what it prints next. */
  async function watching(client: LineClient, args: readonly string[], pipe: string) {
    const argv = [...program.argv, "watch", ...args];
    const child = Bun.spawn(argv, {
      env: bare({ EPHEMERAL_PIPE: pipe }),
      stdout: "pipe",
      stderr: "pipe",
      stdin: "ignore",
    });
    const deadline = performance.now() + 10_000;
    while (((await client.ask({ action: "stats" })) as { stats: { watches: number } }).stats.watches === 0) {
      if (performance.now() > deadline) throw new Error("it does not watch");
    }
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const line = async (): Promise<string> => {
      while (!text.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`it has ended: ${await child.stderr.text()}`);
        text += value;
      }
      const end = text.indexOf("\n");
      const first = text.slice(0, end);
      text = text.slice(end + 1);
      return first;
    };
    return { child, line };
  }

  test("watch prints a line for each event, escape codes of others made harmless, until it is told to end", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const { child, line } = await watching(client, ["a:"], broker.pipe);
    await client.ask({ action: "set", key: "a:b c", value: 1, ttl });
    await client.ask({ action: "set", key: "b", value: 1, ttl });
    await client.ask({ action: "del", key: "a:b c" });
    await client.ask({ action: "set", key: "a:\x1b[31m", value: 1, ttl: 1 });
    expect([await line(), await line(), await line(), await line()]).toEqual([
      "set 1 a:b c",
      "del 1 a:b c",
      "set 3 a:\\u001b[31m",
      "expired 3 a:\\u001b[31m",
    ]);
    child.kill("SIGINT");
    await child.exited;
    expect(child.signalCode).toBe("SIGINT");
  });

  test("watch --json prints documents, and everything without a prefix", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const { child, line } = await watching(client, ["--json"], broker.pipe);
    await client.ask({ action: "set", key: "é\n", value: 1, ttl });
    expect(JSON.parse(await line())).toEqual({ event: "set", key: "é\n", version: 1 });
    child.kill("SIGTERM");
    await child.exited;
  });

  test("watch ends with 69 when the broker is gone, and without one", async () => {
    let pipe: string;
    {
      await using broker = await testBroker();
      pipe = broker.pipe;
      const client = await lineClient(broker.pipe);
      const { child, line } = await watching(client, [], pipe);
      await client.ask({ action: "set", key: "k", value: 1, ttl });
      expect(await line()).toBe("set 1 k");
      client[Symbol.dispose]();
      await broker.stop();
      expect(await child.exited).toBe(69);
      expect(await child.stderr.text()).toMatch(/^ephemeral: .*\n.*\n$/);
    }
    const { status, stdout } = await beside(pipe)("watch");
    expect({ status, stdout }).toEqual({ status: 69, stdout: "" });
  });

  test("watch ends quietly when nobody reads it any more", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const { child, line } = await watching(client, [], broker.pipe);
    await client.ask({ action: "set", key: "k", value: 1, ttl });
    await line();
    const script = `"$@" watch | head -n 1`;
    child.kill();
    await child.exited;
    const piped = Bun.spawn(["sh", "-c", script, "sh", ...program.argv], {
      env: bare({ EPHEMERAL_PIPE: broker.pipe }),
      stdout: "pipe",
      stderr: "pipe",
      stdin: "ignore",
    });
    // The second event finds no reader.
    const ticks = setInterval(() => client.say({ action: "incr", key: "n", ttl }), 20);
    try {
      expect([await piped.stdout.text(), await piped.stderr.text(), await piped.exited]).toEqual([
        expect.stringMatching(/^set \d+ n\n$/),
        "",
        0,
      ]);
    } finally {
      clearInterval(ticks);
    }
  });
});
