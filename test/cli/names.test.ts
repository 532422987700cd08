/**
 * Brokers with names, as a shell sees them: one of a name, found by it, joined, listed and stopped; and what ends a broker
 * that runs no command. Every case runs against the compiled binary, and in CI against the source.
 */
import { describe, expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { identityOf } from "../../src/broker/pipe/process-identity.ts";
import { lineClient } from "../support/broker.ts";
import { until } from "../support/processes.ts";
import { programs } from "../support/programs.ts";
import { type SeenEnding, Trial, type TrialOptions } from "../support/trial.ts";

const both = await programs();

const exited = (status: number): SeenEnding => ({ status, killed: false });
const killedBy = (signal: number): SeenEnding => ({ status: 128 + signal, killed: true });
/** Says who it is and ends, with status 0, when it is told to by a line on its stdin. */
const member = `echo "\${EPHEMERAL_JOINER:-owner}"; read _ || exit 9`;

describe.each(both.map((program) => [program.name, program] as const))("ephemeral (%s)", (_name, program) => {
  const run = (args: readonly string[], options: Omit<TrialOptions, "args"> = {}): Trial =>
    new Trial(program, { stdin: "pipe", ...options, args });
  const start = (
    flags: readonly string[],
    command: readonly string[],
    options: Omit<TrialOptions, "args"> = {},
  ): Trial => run(["start", ...flags, "--", ...command], options);

  /** How it ended, and all it said. */
  const outcome = async (trial: Trial): Promise<SeenEnding & { stdout: string; stderr: string }> => {
    const ending = await trial.ending();
    await trial.closedStreams();
    return { ...ending, stdout: trial.stdout, stderr: trial.stderr };
  };

  const expectNothingLeft = async (trial: Trial): Promise<void> => {
    await until(() => trial.processes().length === 0);
    expect(trial.runDirectories()).toEqual([]);
  };

  /** The owner of the name "x", its command running. */
  const owner = async (flags: readonly string[] = []): Promise<Trial> => {
    const trial = start(["--name", "x", ...flags], ["sh", "-c", member]);
    await trial.said("owner");
    return trial;
  };

  describe("start --name", () => {
    test("refuses a name that is taken, and says by whom and what to do", async () => {
      await using first = await owner();
      await using second = start(["--name", "x"], ["true"], { beside: first });
      expect(await outcome(second)).toEqual({
        ...exited(69),
        stdout: "",
        stderr: `ephemeral: Cannot start broker: the name "x" is held by another one, process ${first.pid} (${first.directory}/ephemeral/x)
Join it with --join, end it with: ephemeral stop --name x, or choose another name
`,
      });
      first.type("\n");
      expect(await first.ending()).toEqual(exited(0));
      await expectNothingLeft(first);
    });

    test("makes a broker that other commands find by --name, and only they", async () => {
      await using first = await owner();
      await using setting = run(["set", "--name", "x", "k", "v"], { beside: first });
      expect(await setting.ending()).toEqual(exited(0));
      await using getting = run(["get", "--name=x", "k"], { beside: first });
      expect(await outcome(getting)).toMatchObject({ status: 0, stdout: "v\n" });
      await using elsewhere = run(["get", "--name", "y", "k"], { beside: first });
      expect(await outcome(elsewhere)).toMatchObject({
        status: 69,
        stderr: expect.stringContaining(`nothing listens at ${first.directory}/ephemeral/y/sock (--name y)`),
      });
    });

    test.each([
      [["get", "--name", "x", "--pipe", "p", "k"], "--name and --pipe are both given"],
      [["get", "--name", "a/b", "k"], "Cannot read --name: wanted 1 to 32 of A-Z a-z 0-9 . _ -"],
      [["get", "--name=", "k"], 'not beginning with a dot, got ""'],
      [["start", "--name", ".x", "true"], 'not beginning with a dot, got ".x"'],
      [["start", "--owner", "stdin", "true"], "Cannot use --owner: this broker ends when its command does"],
      [["start", "--idle-timeout", "5s", "true"], "Cannot use --idle-timeout: this broker ends when its command does"],
      [["start", "--idle-timeout", "soon"], "Cannot read --idle-timeout: wanted a duration"],
      [["start", "--owner", "1"], "Cannot watch process 1: a pid alone may be another process's"],
      [["start", "--owner", "me"], 'Cannot read --owner: wanted stdin or PID:STARTTIME, got "me"'],
      [["stop"], "Cannot stop a broker: which one is not said"],
    ])("%j cannot be meant", async (args, text) => {
      await using trial = run(args);
      expect(await outcome(trial)).toMatchObject({ status: 64, stdout: "", stderr: expect.stringContaining(text) });
      expect(trial.runDirectories()).toEqual([]);
    });
  });

  describe("start --join", () => {
    test("runs the command in the run of the broker of that name, and gives its ending back", async () => {
      await using first = await owner();
      const script = 'echo "$EPHEMERAL_PIPE"; exit 7';
      await using second = start(["--name", "x", "--join"], ["sh", "-c", script], { beside: first });
      expect(await outcome(second)).toEqual({
        ...exited(7),
        stdout: `${first.directory}/ephemeral/x/sock\n`,
        stderr: "",
      });
      await using third = start(["--name", "x", "--join"], ["sh", "-c", "kill -USR1 $$"], { beside: first });
      expect(await third.ending()).toEqual(killedBy(10));
      first.type("\n");
      expect(await first.ending()).toEqual(exited(0));
      await expectNothingLeft(first);
    });

    test("is known by its label to those who look", async () => {
      await using first = await owner();
      await using second = start(["--name", "x", "--join"], ["sh", "-c", member], { beside: first });
      await until(() => second.stdout !== "");
      await using looking = run(["ps", "--name", "x", "--json"], { beside: first });
      const { stdout } = await outcome(looking);
      expect(JSON.parse(stdout).sessions[0]).toMatchObject({ label: "join sh", pid: second.pid });
    });

    test("passes signals on as ever, and leaves the broker and its command alone", async () => {
      await using first = await owner();
      const script = "trap 'echo got TERM; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
      await using second = start(["--name", "x", "--join"], ["sh", "-c", script], { beside: first });
      await second.said("ready");
      second.signal("SIGTERM");
      expect(await second.ending()).toEqual(exited(5));
      expect(second.stdout).toBe("ready\ngot TERM\n");
      expect(first.runDirectories()).toContain("x/sock");
      first.type("\n");
      expect(await first.ending()).toEqual(exited(0));
    });

    test("is the broker's owner when none of that name lives", async () => {
      await using trial = start(["--name", "x", "--join"], ["sh", "-c", member]);
      await trial.said("owner");
      expect(trial.runDirectories()).toContain("x/sock");
      trial.type("\n");
      expect(await trial.ending()).toEqual(exited(0));
      await expectNothingLeft(trial);
    });

    test("without a name joins the run it is in; without --join it has a broker of its own", async () => {
      const ours = program.argv.join(" ");
      const show = (flags: string): string => `${ours} start ${flags} -- sh -c 'echo "$EPHEMERAL_PIPE"'`;
      await using trial = start([], ["sh", "-c", `echo "$EPHEMERAL_PIPE"; ${show("--join")}; ${show("")}`]);
      expect(await trial.ending()).toEqual(exited(0));
      await trial.closedStreams();
      const [outer, joined, own] = trial.stdout.split("\n");
      expect(joined).toBe(outer ?? "");
      expect(own).toStartWith(`${trial.directory}/ephemeral/`);
      expect(own).not.toBe(outer ?? "");
    });

    test("without a name and outside of any run there is nothing to join", async () => {
      await using trial = start(["--join"], ["true"]);
      expect(await outcome(trial)).toMatchObject({
        status: 69,
        stderr: expect.stringContaining("No run to join: EPHEMERAL_PIPE is not set and --name is not given"),
      });
    });

    test("without a name fails when the broker it was told of has gone", async () => {
      const script = `EPHEMERAL_PIPE=$PWD/gone exec "$@"`;
      await using trial = start(["--join"], ["true"], { through: ["sh", "-c", script, "sh"] });
      expect(await outcome(trial)).toMatchObject({
        status: 69,
        stderr: expect.stringContaining(`${trial.directory}/gone`),
      });
    });

    test("is refused, and not kept waiting, when the run it is in is about to end", async () => {
      await using first = await owner();
      await using second = start(["--name", "x", "--join"], ["sh", "-c", member], { beside: first });
      await until(() => second.stdout !== "");
      await using stopping = run(["stop", "--name", "x", "--wait", "1ms"], { beside: first });
      expect(await stopping.ending()).toEqual(exited(75));
      const through = ["sh", "-c", `EPHEMERAL_PIPE=$PWD/ephemeral/x/sock exec "$@"`, "sh"];
      await using third = start(["--join"], ["true"], { beside: first, through });
      expect(await outcome(third)).toEqual({
        ...exited(69),
        stdout: "",
        stderr: "ephemeral: Cannot run join: the broker is about to end\nThe broker's run is ending\n",
      });
    });

    test("is not inherited by a run inside: that one's processes are its own", async () => {
      const ours = program.argv.join(" ");
      await using first = await owner();
      const script = `${ours} start -- sh -c 'echo "\${EPHEMERAL_JOINER-none}"'`;
      await using second = start(["--name", "x", "--join"], ["sh", "-c", script], { beside: first });
      expect(await outcome(second)).toMatchObject({ ...exited(0), stdout: "none\n" });
    });

    test("takes out the mark of the run it is started in, which is not its own", async () => {
      const script = `${program.argv.join(" ")} start --join -- sh -c 'echo "\${EPHEMERAL_RUN-none}"'`;
      await using trial = start(["--name", "x"], ["sh", "-c", script]);
      expect(await outcome(trial)).toMatchObject({ ...exited(0), stdout: "none\n" });
    });

    test("needs the broker's secret", async () => {
      const environment = { EPHEMERAL_SECRET: "open sesame" };
      await using first = start(["--name", "x"], ["sh", "-c", member], { environment });
      await first.said("owner");
      await using stranger = start(["--name", "x", "--join"], ["true"], { beside: first });
      expect(await outcome(stranger)).toMatchObject({ status: 77, stdout: "" });
      await using friend = start(["--name", "x", "--join"], ["sh", "-c", "echo in"], { beside: first, environment });
      expect(await outcome(friend)).toEqual({ ...exited(0), stdout: "in\n", stderr: "" });
    });

    test("without a command prints the socket and ends with the broker, whose end it says", async () => {
      await using first = await owner(["--grace", "100ms"]);
      await using second = run(["start", "--name", "x", "--join"], { beside: first });
      await second.said("\n");
      expect(second.stdout).toBe(`${first.directory}/ephemeral/x/sock\n`);
      first.type("\n");
      expect(await first.ending()).toEqual(exited(0));
      expect(await second.ending()).toEqual(exited(69));
      await second.closedStreams();
      expect(second.stderr).toMatch(/^ephemeral: The broker at .+\/x\/sock has gone: .*\(3001\)\n$/);
      await expectNothingLeft(first);
    });
  });

  describe("stop", () => {
    test("ends the command as SIGTERM would, tells clients that wait, and returns when all of it is gone", async () => {
      const script = "trap 'echo got TERM; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
      await using first = start(["--name", "x"], ["sh", "-c", script]);
      await first.said("ready");
      const pipe = join(first.directory, "ephemeral", "x", "sock");
      using waiting = await lineClient(pipe);
      await waiting.ask({ id: 1, action: "hello", protocol: 1 });
      waiting.say({ id: 2, action: "get", key: "never", waitMs: -1 });
      await using stopping = run(["stop", "--name", "x", "--json"], { beside: first });
      expect(await outcome(stopping)).toEqual({
        ...exited(0),
        stdout: `${JSON.stringify({ pipe, joiners: 0 })}\n`,
        stderr: "",
      });
      // It is gone when stop says so, not some time later.
      expect(first.runDirectories()).toEqual([]);
      expect(identityOf(first.pid)).toBeUndefined();
      expect(await waiting.next()).toEqual({ push: "closing", code: 3001, reason: "the broker ends" });
      expect(await first.ending()).toEqual(exited(5));
      await expectNothingLeft(first);
    });

    test("by its socket ends a broker without a command, with status 0, and says nothing", async () => {
      await using first = run(["start"]);
      await first.said("\n");
      await using stopping = run(["stop", "--pipe", first.stdout.trim()], { beside: first });
      expect(await outcome(stopping)).toEqual({ ...exited(0), stdout: "", stderr: "" });
      expect(await first.ending()).toEqual(exited(0));
      await expectNothingLeft(first);
    });

    test("says that nothing is there", async () => {
      await using stopping = run(["stop", "--name", "x"]);
      expect(await outcome(stopping)).toMatchObject({
        status: 69,
        stdout: "",
        stderr: expect.stringMatching(/^ephemeral: No broker: nothing listens at .+\/x\/sock \(--name x\)\n/),
      });
    });

    test("gives up waiting after --wait; the command is killed after its grace all the same", async () => {
      const stubborn = "trap '' TERM; echo ready; while :; do sleep 0.02; done";
      await using first = start(["--name", "x", "--grace", "1s"], ["sh", "-c", stubborn]);
      await first.said("ready");
      await using stopping = run(["stop", "--name", "x", "--wait", "50ms"], { beside: first });
      expect(await outcome(stopping)).toMatchObject({
        status: 75,
        stderr: expect.stringContaining("/x/sock is still there after 50ms"),
      });
      expect(await first.ending()).toEqual(killedBy(9));
      await expectNothingLeft(first);
    });
  });

  describe("ls", () => {
    const listed = async (beside: Trial): Promise<Record<string, unknown>[]> => {
      await using listing = run(["ls", "--json"], { beside });
      const { stdout, status } = await outcome(listing);
      expect(status).toBe(0);
      return JSON.parse(stdout).brokers;
    };

    test("shows who lives, in the order of names: pid, connections, command", async () => {
      await using first = await owner();
      await using second = run(["start", "--name", "a"], { beside: first });
      await second.said("\n");
      const root = join(first.directory, "ephemeral");
      const claimedAtMs = (name: string): number => Math.floor(lstatSync(join(root, name, "lock")).mtimeMs);
      const about = (name: string): object => ({
        name,
        pipe: join(root, name, "sock"),
        sinceAtMs: claimedAtMs(name),
        connections: 0,
      });
      const expected = [
        { ...about("a"), pid: second.pid },
        { ...about("x"), pid: first.pid, command: `sh -c ${member}` },
      ];
      expect(await listed(first)).toEqual(expected);
      using _client = await lineClient(join(root, "x", "sock"));
      await using text = run(["ls"], { beside: first });
      const [header, lineOfA, lineOfX] = (await outcome(text)).stdout.split("\n");
      expect(header).toMatch(/^NAME +PID +AGE +CONNECTIONS +PIPE +COMMAND$/);
      expect(lineOfA?.split(/ +/)).toEqual([
        "a",
        `${second.pid}`,
        expect.any(String),
        "0",
        join(root, "a", "sock"),
        "-",
      ]);
      expect(lineOfX?.split(/ +/).slice(0, 4)).toEqual(["x", `${first.pid}`, expect.any(String), "1"]);
    });

    test("does not need the secret of those it shows, only for their connections", async () => {
      const environment = { EPHEMERAL_SECRET: "open sesame" };
      await using first = start(["--name", "x"], ["sh", "-c", member], { environment });
      await first.said("owner");
      const [stranger] = await listed(first);
      expect(stranger).toMatchObject({ name: "x", pid: first.pid });
      expect(stranger).not.toHaveProperty("connections");
      await using listing = run(["ls", "--json"], { beside: first, environment });
      expect(JSON.parse((await outcome(listing)).stdout).brokers).toMatchObject([{ name: "x", connections: 0 }]);
    });

    test("removes what killed brokers left, and prints nothing when there is no other", async () => {
      await using first = await owner();
      await until(() => first.reapers().length === 1);
      for (const pid of [...first.reapers(), first.pid]) process.kill(pid, "SIGKILL");
      await first.ending();
      expect(first.runDirectories()).toContain("x/lock");
      await until(() => first.reapers().length === 0);
      expect(await listed(first)).toEqual([]);
      expect(first.runDirectories()).toEqual([]);
      await using text = run(["ls"], { beside: first });
      expect(await outcome(text)).toEqual({ ...exited(0), stdout: "", stderr: "" });
    });
  });

  describe("start without a command ends", () => {
    test.each([
      ["--idle-timeout", ["--idle-timeout", "50ms"], {}],
      ["EPHEMERAL_IDLE_TIMEOUT", [], { EPHEMERAL_IDLE_TIMEOUT: "50ms", BROKER_IDLE_TIMEOUT: "1d" }],
      ["BROKER_IDLE_TIMEOUT, in milliseconds", [], { BROKER_IDLE_TIMEOUT: "50" }],
    ])("when nobody was connected for so long: %s", async (_source, flags, environment) => {
      await using trial = run(["start", ...flags], { environment });
      expect(await outcome(trial)).toMatchObject({ ...exited(0), stderr: "" });
      await expectNothingLeft(trial);
    });

    test("at the end of its owner's stdin, and reads nothing into what is written there", async () => {
      await using trial = run(["start", "--owner", "stdin"]);
      await trial.said("\n");
      trial.type("exit\n");
      await using ping = run(["ping", "--pipe", trial.stdout.trim()], { beside: trial });
      expect(await ping.ending()).toEqual(exited(0));
      trial.endStdin();
      expect(await outcome(trial)).toMatchObject({ ...exited(0), stderr: "" });
      await expectNothingLeft(trial);
    });

    test("soon after its owner, a process, was killed", async () => {
      const process_ = Bun.spawn(["sleep", "1000"]);
      const { pid, birth } = identityOf(process_.pid) ?? {};
      await using trial = run(["start", "--owner", `${pid}:${birth}`]);
      await trial.said("\n");
      await using ping = run(["ping", "--pipe", trial.stdout.trim()], { beside: trial });
      expect(await ping.ending()).toEqual(exited(0));
      process_.kill("SIGKILL");
      expect(await outcome(trial)).toMatchObject({ ...exited(0), stderr: "" });
      await expectNothingLeft(trial);
    });

    test("at once when its owner's pid is another process's by now", async () => {
      await using trial = run(["start", "--owner", `${process.pid}:1`]);
      expect(await outcome(trial)).toMatchObject({ ...exited(0), stderr: "" });
      await expectNothingLeft(trial);
    });

    test("not by an idle time that is set for others, when there is a command", async () => {
      const environment = { EPHEMERAL_IDLE_TIMEOUT: "1ms" };
      const script = "sleep 0.1; test -S $EPHEMERAL_PIPE && exit 3";
      await using trial = start([], ["sh", "-c", script], { environment });
      expect(await trial.ending()).toEqual(exited(3));
    });
  });
});
