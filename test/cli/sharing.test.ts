/**
 * `ephemeral limit` and `barrier` as a shell sees them: who is let through, what its command's ending becomes, and what is
 * told when it is not to be.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { until as untilSeen } from "../support/processes.ts";
import { binaryProgram } from "../support/programs.ts";
import { isThorough } from "../support/thorough.ts";
import { type SeenEnding, Trial } from "../support/trial.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(30_000);

const program = await binaryProgram();
const exited = (status: number): SeenEnding => ({ status, killed: false });

/** A broker, a client that looks on, and the program beside it. */
async function scene() {
  const stack = new AsyncDisposableStack();
  const { pipe } = stack.use(await testBroker());
  const client = stack.use(new Client(pipe, { label: "watcher" }));
  const start = ([command = "", ...rest]: readonly string[], label = "a shell"): Trial => {
    const environment = { EPHEMERAL_LABEL: label };
    return stack.use(new Trial(program, { args: [command, "--pipe", pipe, ...rest], environment }));
  };
  const run = async (args: readonly string[]): Promise<readonly [SeenEnding, stdout: string, stderr: string]> => {
    const trial = start(args);
    const ending = await trial.ending();
    await trial.closedStreams();
    return [ending, trial.stdout, trial.stderr];
  };
  const waiting = (name: string, count: number): Promise<void> =>
    until(async () => ((await client.why(name).catch(() => undefined))?.waitersCount ?? 0) === count);
  return { client, start, run, waiting, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("ephemeral limit", () => {
  const hourly = { limit: 2, windowMs: 3_600_000 };

  test("lets its command run as often as the rate says, and ends as it ended", async () => {
    await using parts = await scene();
    const limit = ["limit", "api", "--rate", "2/1h", "--wait", "0"];
    expect(await parts.run([...limit, "--", "sh", "-c", "echo one; exit 3"])).toEqual([exited(3), "one\n", ""]);
    expect(await parts.run(["limit", "api", "--rate", "2/h", "--wait", "0"])).toEqual([exited(0), "", ""]);
    const [ending, stdout, stderr] = await parts.run([...limit, "echo", "never"]);
    expect([ending, stdout]).toEqual([exited(75), ""]);
    expect(stderr).toMatch(
      /^ephemeral: Cannot pass limit "api": 2 of 2 are used within .*\nWait for your turn with --wait/,
    );
    expect((await parts.run([...limit, "-E", "9"]))[0]).toEqual(exited(9));
    await expect(parts.client.rateLimit("api", { ...hourly, waitMs: 0 })).rejects.toMatchObject({
      code: "rate_limited",
    });
  });

  test("waits for its turn, or as long as it is told, and takes its cost", async () => {
    await using parts = await scene();
    await parts.client.rateLimit("api", { limit: 2, windowMs: 700 });
    const startedAtMs = performance.now();
    expect(await parts.run(["limit", "api", "--rate", "2/700ms", "--cost", "2", "--", "echo", "done"])).toEqual([
      exited(0),
      "done\n",
      "",
    ]);
    expect(performance.now() - startedAtMs).toBeGreaterThan(300);
    await parts.client.rateLimit("slow", { ...hourly, cost: 2 });
    const [ending, , stderr] = await parts.run(["limit", "slow", "--rate", "2/1h", "--wait", "50ms"]);
    expect([ending, stderr]).toEqual([
      exited(75),
      expect.stringMatching(/Timed out after \d+ ms waiting for limit "slow"/),
    ]);
  });

  test("--penalize lets nobody through before it ends", async () => {
    await using parts = await scene();
    expect(await parts.run(["limit", "api", "--penalize", "1h"])).toEqual([exited(0), "", ""]);
    await expect(parts.client.rateLimit("api", { ...hourly, waitMs: 0 })).rejects.toMatchObject({
      code: "rate_limited",
    });
    expect((await parts.run(["limit", "api", "--rate", "5/1s", "--wait", "0"]))[2]).toContain("held back for");
  });

  test.each([
    [["limit", "api"], "--rate is missing"],
    [["limit", "api", "--rate", "10"], "wanted 1 to 10000, a slash and a duration"],
    [["limit", "api", "--rate", "10/"], "Write --rate 10/1s: ten a second"],
    [["limit", "api", "--rate", "0/1s"], 'got "0/1s"'],
    [["limit", "api", "--rate", "10001/1s"], 'got "10001/1s"'],
    [["limit", "api", "--rate", "1/0s"], 'got "1/0s"'],
    [["limit", "api", "--rate", "1/1s", "--cost", "2"], "cost"],
    [["limit", "api", "--penalize", "1s", "--rate", "1/1s"], "Cannot penalize"],
    [["limit", "api", "--penalize", "1s", "--", "true"], "Cannot penalize"],
    [["barrier", "ready"], "--parties is missing"],
    [["barrier", "ready", "-n", "10001"], "Cannot read --parties: wanted at most 10000, got 10001"],
    [["barrier", "ready", "-n", "0"], "got 0\nWrite: ephemeral barrier NAME -n 4"],
  ])("%j is a mistake", async (args, why) => {
    await using parts = await scene();
    const [ending, , stderr] = await parts.run(args);
    expect([ending, stderr]).toEqual([exited(64), expect.stringContaining(why)]);
  });
});

describe("ephemeral barrier", () => {
  test("lets all go on when the last one has come, each with its own command's status", async () => {
    await using parts = await scene();
    const first = parts.start(["barrier", "ready", "-n", "3", "--", "sh", "-c", "echo first; exit 3"]);
    const second = parts.start(["barrier", "ready", "-n", "3"]);
    await parts.waiting("ready", 2);
    expect(first.stdout).toBe("");
    expect(await parts.client.barrier("ready", 3)).toBe(2);
    expect([await first.ending(), await second.ending()]).toEqual([exited(3), exited(0)]);
    expect(first.stdout).toBe("first\n");
  });

  test("tells those who wait who went away, with status 1; 75 when one never came", async () => {
    await using parts = await scene();
    const stays = parts.start(["barrier", "ready", "-n", "3", "--", "echo", "never"], "stays");
    await parts.waiting("ready", 1);
    const leaves = parts.start(["barrier", "ready", "-n", "3", "--", "echo", "never"], "leaves");
    await parts.waiting("ready", 2);
    leaves.signal("SIGKILL");
    expect(await stays.ending()).toEqual(exited(1));
    await stays.closedStreams();
    expect([stays.stdout, stays.stderr]).toEqual(["", expect.stringContaining('barrier "ready": leaves went away')]);
    const [ending, , stderr] = await parts.run(["barrier", "alone", "-n", "2", "--wait", "50ms"]);
    expect([ending, stderr]).toEqual([exited(75), expect.stringContaining("1 of 2 came (a shell), 1 never came")]);
  });
});

test.if(isThorough)("after 5 seconds limit and barrier say who else waits", async () => {
  await using parts = await scene();
  await parts.client.penalize("api", 3_600_000);
  const limit = parts.start(["limit", "api", "--rate", "10/1s"], "caller");
  const barrier = parts.start(["barrier", "ready", "-n", "4", "--", "true"], "loader");
  await untilSeen(() => limit.stderr !== "" && barrier.stderr !== "", 15_000);
  expect(limit.stderr).toMatch(/^ephemeral: Waiting for "api", 10 in 1s; in line: caller for [456]s\n$/);
  expect(barrier.stderr).toMatch(/^ephemeral: Waiting for "ready": 1 of 4 have come: loader for [456]s\n$/);
});
