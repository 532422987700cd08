/**
 * `ephemeral queue` as a shell sees it: jobs by hand, and a queue that several processes run, with what becomes of its jobs
 * when commands fail and when somebody is told to end, or killed. Each case has a broker of its own.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { type Invocation, type InvocationOptions, invoke } from "../support/invocation.ts";
import { binaryProgram } from "../support/programs.ts";
import { isThorough } from "../support/thorough.ts";
import { Trial, type TrialOptions } from "../support/trial.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(30_000);

const program = await binaryProgram();

/** A broker, its queue "specs", and commands that speak to it. */
class Scene implements AsyncDisposable {
  readonly client: Client;
  readonly stop: () => Promise<void>;
  readonly #stack: AsyncDisposableStack;
  readonly pipe: string;

  private constructor(stack: AsyncDisposableStack, broker: Awaited<ReturnType<typeof testBroker>>) {
    this.#stack = stack;
    this.pipe = broker.pipe;
    this.stop = () => broker.stop();
    this.client = stack.use(new Client(broker.pipe, { label: "watcher" }));
  }

  static async open(): Promise<Scene> {
    const stack = new AsyncDisposableStack();
    return new Scene(stack, stack.use(await testBroker()));
  }

  get queue() {
    return this.client.queue("specs");
  }

  /** `ephemeral queue`, to its end. */
  run(args: readonly string[], options: InvocationOptions = {}): Promise<Invocation> {
    return invoke(program, { ...options, args: ["queue", ...args], environment: { EPHEMERAL_PIPE: this.pipe } });
  }

  /** `ephemeral queue run specs`, in a folder of its own. */
  start(args: readonly string[], options: Omit<TrialOptions, "args"> = {}): Trial {
    const placed = ["queue", "--pipe", this.pipe, "run", "specs", ...args];
    return this.#stack.use(new Trial(program, { ...options, args: placed }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

const quiet = { status: 0, stderr: "" };

describe("ephemeral queue, by hand", () => {
  test("push counts new jobs: words, lines of stdin, JSON, with a priority, and closes", async () => {
    await using scene = await Scene.open();
    expect(await scene.run(["push", "specs", "a", "b c", "a"])).toEqual({ ...quiet, stdout: "2\n" });
    const lines = await scene.run(["push", "specs", "-", "b c", "--priority", "-1"], { stdin: "d\n\ne\r\n" });
    expect(lines).toEqual({ ...quiet, stdout: "2\n" });
    const jobs = ['{"data":{"n":1},"id":"f","priority":7}', '{"n":2}', '"g"', '{"data":1,"more":2}'];
    expect((await scene.run(["push", "specs", "--json-value", "--closes", "--json", ...jobs])).stdout).toBe(
      '{"count":4}\n',
    );
    const taken: unknown[] = [];
    for await (const { id, data } of scene.queue) taken.push([id, data]);
    expect(taken).toEqual([
      ["f", { n: 1 }],
      ["a", "a"],
      ["b c", "b c"],
      ["#1", { n: 2 }],
      ["g", "g"],
      ["#2", { data: 1, more: 2 }],
      ["d", "d"],
      ["e", "e"],
    ]);
    const late = await scene.run(["push", "specs", "h"]);
    expect([late.status, late.stderr.split("\n")[0]]).toEqual([
      64,
      'ephemeral: Cannot push 1 new jobs to queue "specs": it is closed',
    ]);
  });

  test("a taken job outlives its process, and is acked once by who knows its fence", async () => {
    await using scene = await Scene.open();
    await scene.queue.push([{ id: "a", data: { n: 1 } }, "b"], { closes: true });
    const { stdout } = await scene.run(["take", "specs"]);
    const [, fence = ""] = /^a\t(\d+)\t\{"n":1\}\n$/.exec(stdout) ?? [];
    const second = JSON.parse((await scene.run(["take", "specs", "--ack", "10m", "--json"])).stdout);
    expect(second).toMatchObject({ id: "b", data: "b", attempt: 1 });
    expect(second.expiresAtMs).toBeGreaterThan(Date.now() + 590_000);
    expect(await scene.queue.info()).toMatchObject({ depth: 0, inFlight: 2 });
    expect((await scene.run(["take", "specs", "--wait", "20ms"])).status).toBe(75);
    expect(await scene.run(["ack", "specs", "a", fence])).toEqual({ ...quiet, stdout: "" });
    expect((await scene.run(["ack", "specs", "a", fence])).status).toBe(1);
    expect((await scene.run(["ack", "specs", "a", "first"])).status).toBe(64);
    await scene.run(["ack", "specs", "b", `${second.fence}`]);
    const over = await scene.run(["take", "specs", "--wait", "forever"]);
    expect([over.status, over.stdout]).toEqual([1, ""]);
    expect(over.stderr).toStartWith('ephemeral: Nothing to take from queue "specs": it is closed');
  });

  test("nack gives back: unharmed, later, or dead, as info shows", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["a", "b"]);
    const take = async () => JSON.parse((await scene.run(["take", "specs", "--json"])).stdout);
    const nack = ({ id, fence }: { id: string; fence: number }, ...flags: string[]) =>
      scene.run(["nack", "specs", id, `${fence}`, ...flags]);
    expect(await nack(await take(), "--pass")).toEqual({ ...quiet, stdout: "" });
    for (const attempt of [1, 2, 3]) {
      const job = await take();
      expect(job).toMatchObject({ id: "a", attempt });
      await nack(job, "--reason", "no such page");
    }
    await nack(await take(), "--delay", "1h");
    expect((await scene.run(["take", "specs"])).status).toBe(75);
    expect((await scene.run(["info", "specs"])).stdout).toBe(
      "1 to do, 0 in flight, 0 done, 1 dead, 0 waiting for one\n" +
        "DEAD  ATTEMPTS  LAST BY    REASON\n" +
        "a     3         ephemeral  no such page\n",
    );
    const closed = await scene.run(["close", "specs", "--json"]);
    expect(JSON.parse(closed.stdout)).toEqual({ depth: 1, inFlight: 0, dead: 1, done: 0, closed: true });
  });

  test.each([
    [["push", "specs", "a", "--ack", "1m"], "Cannot use --ack with queue push"],
    [["run", "specs", "--pass", "--", "true"], "Cannot use --pass with queue run"],
    [["pop", "specs"], 'Cannot read ACTION: wanted push, take, ack, nack, info, close, run, got "pop"'],
    [["push", "specs"], "Cannot push: there are no jobs"],
    [["push", "specs", "--json-value", "a"], "Cannot read jobs: number 1 is no JSON (1 characters)"],
    [["run", "specs"], "Cannot run a queue: there is no command"],
    [["run", "specs", "-j", "0", "--", "true"], "Cannot read --jobs: wanted at least 1, got 0"],
    // Once that were shells until there were no descriptors left, a complaint for each further one, and seven minutes.
    [["run", "specs", "-j", "257", "--", "true"], "Cannot read --jobs: wanted at most 256, got 257"],
  ])("%j is refused", async (args, message) => {
    await using scene = await Scene.open();
    const { status, stderr } = await scene.run(args);
    expect([status, stderr.split("\n")[0]]).toEqual([64, `ephemeral: ${message}`]);
  });
});

describe("ephemeral queue run", () => {
  test("does each job once over several processes, and ends with 0", async () => {
    await using scene = await Scene.open();
    const ids = Array.from({ length: 20 }, (_, index) => `job ${index}`);
    const script = 'echo "$1=$EPHEMERAL_JOB=$EPHEMERAL_JOB_ID/$EPHEMERAL_JOB_ATTEMPT"; cat; sleep 0.01';
    const shards = [0, 1].map(() =>
      scene.start(["-j", "3", "--", "sh", "-c", script, "sh", "<{}{}>"], { stdin: Buffer.from("typed") }),
    );
    await until(async () => (await scene.queue.info()).waiting === 6);
    await scene.queue.push([...ids, { id: "json", data: { n: [1] } }], { closes: true });
    for (const shard of shards) expect(await shard.ending()).toEqual({ status: 0, killed: false });
    const lines = shards.flatMap((shard) => shard.stdout.trimEnd().split("\n"));
    const wanted = [...ids.map((id) => `<${id}${id}>=${id}=${id}/1`), '<{"n":[1]}{"n":[1]}>={"n":[1]}=json/1'];
    expect(lines.toSorted()).toEqual(wanted.toSorted());
    const done = shards.map(({ stderr }) =>
      Number(/^ephemeral: Queue "specs": 21 of 21 done in \S+, here (\d+) done\n$/.exec(stderr)?.[1]),
    );
    expect(done.reduce((sum, count) => sum + count)).toBe(21);
  });

  test("tries what fails again, ends with 1 when a job is dead, and says which", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["good", "bad", "late"], { closes: true });
    // The first attempt at it fails.
    const script = '[ "$1" = good ] || { [ "$1" = late ] && [ "$EPHEMERAL_JOB_ATTEMPT" = 2 ]; }';
    const { status, stderr } = await scene.run([
      "run",
      "specs",
      "--retry-after",
      "5ms",
      "--",
      "sh",
      "-c",
      script,
      "sh",
      "{}",
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^ephemeral: Queue "specs": 2 of 3 done in \S+, here 2 done, 4 failed\nephemeral: Dead after 3 attempts: "bad" \(exit status 1, by sh \(pid \d+\)\)\n$/,
    );
    const again = await scene.run(["run", "specs", "--json", "--", "true"]);
    expect([again.status, again.stderr]).toEqual([1, ""]);
    expect(JSON.parse(again.stdout)).toMatchObject({
      done: 2,
      dead: 1,
      deadJobs: [{ id: "bad", reason: "exit status 1" }],
      here: { done: 0, failed: 0, givenBack: 0, lost: 0 },
    });
  });

  test("--wait ends it while the queue is open", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["a", "b"]);
    const { status, stdout } = await scene.run(["run", "specs", "--wait", "0", "--", "echo", "{}"]);
    expect([status, stdout]).toEqual([0, "a\nb\n"]);
  });

  test("takes nothing where there is no such command, or it cannot be run", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["a", "/no/such"]);
    expect((await scene.run(["run", "specs", "--", "/no/such/command"])).status).toBe(127);
    expect((await scene.run(["run", "specs", "--", "/etc/passwd"])).status).toBe(126);
    expect(await scene.queue.info()).toMatchObject({ depth: 2, dead: 0 });
    await scene.queue.close();
    expect((await scene.run(["run", "specs", "--", "{}"])).status).toBe(1);
    const reasons = (await scene.queue.info()).deadJobs.map(({ id, reason }) => `${id}: ${reason}`);
    expect(reasons.toSorted()).toEqual(["/no/such: exit status 127", "a: exit status 127"]);
  });

  test("finds no broker: 69 at once", async () => {
    const { status } = await invoke(program, {
      args: ["queue", "run", "specs", "--", "true"],
      environment: { EPHEMERAL_PIPE: "/nonexistent/sock" },
    });
    expect(status).toBe(69);
  });

  test.each([
    ["SIGTERM", 15],
    ["SIGINT", 2],
  ] as const)("%s is told to the commands; their jobs go back unharmed, and it ends by it", async (signal, number) => {
    await using scene = await Scene.open();
    await scene.queue.push(["a", "b", "c"]);
    const run = scene.start([
      "-j",
      "2",
      "--",
      "sh",
      "-c",
      "trap 'echo told; exit 3' INT TERM; echo ready; while :; do sleep 0.01; done",
    ]);
    await until(() => run.stdout === "ready\nready\n");
    run.signal(signal);
    expect(await run.ending()).toEqual({ status: 128 + number, killed: true });
    await run.closedStreams();
    expect(run.stdout).toBe("ready\nready\ntold\ntold\n");
    expect(run.stderr).toMatch(/: 0 of 3 done in \S+, here 0 done, 2 given back\n$/);
    const attempts: string[] = [];
    await scene.queue.close();
    for await (const { id, attempt } of scene.queue) attempts.push(`${id}/${attempt}`);
    expect(attempts.toSorted()).toEqual(["a/1", "b/1", "c/1"]);
    await until(() => run.processes().length === 0);
  });

  test("Ctrl-C in the terminal gives all jobs back unharmed, though their commands may end before it hears of it", async () => {
    await using scene = await Scene.open();
    const lanes = 8;
    await scene.queue.push(Array.from({ length: lanes + 1 }, (_, index) => `${index}`));
    const script = "echo ready; exec sleep 1000";
    const run = scene.start(["-j", `${lanes}`, "--", "sh", "-c", script], { inTerminal: true });
    await until(() => run.stdout.split("ready").length > lanes);
    run.type("\x03");
    expect(await run.ending()).toEqual({ status: 130, killed: true });
    // Half of the jobs once counted as failed.
    await run.said(`: 0 of ${lanes + 1} done in `);
    expect(run.stdout).toContain(`here 0 done, ${lanes} given back`);
  });

  test("ends with who reads its commands' output, and leaves the other jobs for others", async () => {
    await using scene = await Scene.open();
    const jobs = Array.from({ length: 20 }, (_, index) => `${index}`);
    await scene.queue.push(jobs, { closes: true });
    const line = `{ "$@" queue run specs -- echo {}; echo "status $?" >&2; } | head -n 1`;
    const piped = Bun.spawn(["sh", "-c", line, "sh", ...program.argv], {
      env: { ...process.env, EPHEMERAL_PIPE: scene.pipe },
      stderr: "pipe",
    });
    expect(await piped.stdout.text()).toBe("0\n");
    expect(await piped.stderr.text()).toEndWith("status 141\n");
    // Once all of them were tried three times, and dead.
    const { depth, dead } = await scene.queue.info();
    expect(dead).toBe(0);
    expect(depth).toBeGreaterThan(0);
  });

  test("a second Ctrl-C in the terminal kills what does not end at the first", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["a"]);
    const script = "trap 'echo told' INT; echo ready; while :; do sleep 0.01; done";
    const run = scene.start(["--", "sh", "-c", script], { inTerminal: true });
    await run.said("ready");
    run.type("\x03");
    await run.said("told");
    run.type("\x03");
    expect(await run.ending()).toEqual({ status: 130, killed: true });
    expect(await scene.queue.info()).toMatchObject({ depth: 1, inFlight: 0 });
  });

  test("SIGKILL hands its job to the next one, and ends its command", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["a"], { closes: true });
    const run = scene.start(["--", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"]);
    await run.said("ready");
    const next = scene.start(["--", "sh", "-c", "echo attempt $EPHEMERAL_JOB_ATTEMPT"]);
    await until(async () => (await scene.queue.info()).waiting === 1);
    run.signal("SIGKILL");
    expect(await next.ending()).toEqual({ status: 0, killed: false });
    expect(next.stdout).toBe("attempt 2\n");
    await until(() => run.processes().length === 0);
  });

  test("when the broker goes its command goes on, and then it ends with 69", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["a", "b"]);
    const run = scene.start(["--", "sh", "-c", "mkfifo go; echo ready; read line < go; echo $line"]);
    await run.said("ready");
    await scene.stop();
    await run.complained('Lost job "a" of queue "specs"');
    // Waits for the command to open it, too.
    await Bun.spawn(["sh", "-c", "echo went on > go"], { cwd: run.directory }).exited;
    expect(await run.ending()).toEqual({ status: 69, killed: false });
    await run.closedStreams();
    expect(run.stdout).toBe("ready\nwent on\n");
  });

  // It says so every five seconds: what takes less is not worth a line.
  test.if(isThorough)("elsewhere a line now and then says how it goes", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["a", "b", "c"], { closes: true });
    const run = scene.start(["--", "sh", "-c", '[ "$1" = a ] || exec sleep 5.5', "sh", "{}"]);
    await until(() => run.stderr !== "", 10_000);
    expect(run.stderr).toMatch(/^ephemeral: 1 of 3 done, 1 running, 0 failed, 0\.\d\d\/s, \d+s left\n$/);
  });

  test("on a terminal it keeps the last row for how it goes, and gives it back", async () => {
    await using scene = await Scene.open();
    await scene.queue.push(["a", "b"]);
    const run = scene.start(["--", "sh", "-c", "test -t 1 && echo seen {}"], { inTerminal: true });
    await run.said("2 of 2 done, 0 running, 0 failed, waiting for more until it is closed");
    await scene.queue.close();
    expect(await run.ending()).toEqual({ status: 0, killed: false });
    await run.said("\x1b[r");
    expect(run.stdout).toContain("\x1b[1;23r");
    expect(run.stdout).toContain("\x1b[24;1H\x1b[2K2 of 2 done, 0 running, 0 failed");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
    const commands = run.stdout.replace(/\x1b7.*?\x1b8/gs, "");
    expect(commands).toContain("seen a\r\nseen b\r\n");
    expect(run.stdout.lastIndexOf("\x1b[1;23r")).toBeLessThan(run.stdout.lastIndexOf("\x1b[r"));
  });
});
