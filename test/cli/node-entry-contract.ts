/**
 * What the command that npm installs keeps of the wrapper's promises, on any Node: whether Node can become the program or has
 * to stand in front of it. Run by `node.test.ts` on the Node that is there, by the package tests on others.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { until } from "../support/processes.ts";
import { type SeenEnding, Trial, type TrialOptions } from "../support/trial.ts";

export interface NodeEntry {
  /** The Node to run on, and the entry: `dist/cli/node.js` of the package. */
  readonly argv: readonly [node: string, entry: string];
}

const exited = (status: number): SeenEnding => ({ status, killed: false });
const killedBy = (signal: number): SeenEnding => ({ status: 128 + signal, killed: true });
const forever = "echo ready; exec sleep 1000";
/** Tells every SIGINT apart, since `wait` ends at once for each; ends by SIGUSR1 with status 6. */
const interruptible =
  "sleep 1000 & trap 'echo got INT' INT; trap 'kill $!; exit 6' USR1; echo ready; while :; do wait; done";

/** Where Bun is on PATH; nothing else leads to it from where a trial runs. */
const bunFolder = join(import.meta.dir, "../../node_modules/.bin");

/** Defines the tests; `entry` is asked for when they run. */
export function nodeEntryContract(entry: () => NodeEntry): void {
  const start = (command: readonly string[], options: Omit<TrialOptions, "args"> = {}): Trial => {
    const environment = { PATH: `${bunFolder}:/usr/bin:/bin`, ...options.environment };
    return new Trial(
      { name: "source", argv: entry().argv },
      { ...options, environment, args: ["start", "--", ...command] },
    );
  };
  const expectNothingLeft = async (trial: Trial): Promise<void> => {
    expect(trial.runDirectories()).toEqual([]);
    await until(() => trial.processes().length === 0);
  };

  test.each([
    ["exit 42", exited(42)],
    ["kill -INT $$", killedBy(2)],
    ["kill -KILL $$", killedBy(9)],
    ["kill -PIPE $$", killedBy(13)],
    ["kill -TERM $$", killedBy(15)],
  ])("ends as the command ends: %s", async (script, ending) => {
    await using trial = start(["sh", "-c", script]);
    expect(await trial.ending()).toEqual(ending);
    await trial.closedStreams();
    expect([trial.stdout, trial.stderr]).toEqual(["", ""]);
    await expectNothingLeft(trial);
  });

  test("leaves the streams alone, and the command's flags", async () => {
    await using trial = start(["sh", "-c", 'cat; echo "$@" >&2', "sh", "--help", "--name", "y"], {
      stdin: new Uint8Array([0, 255, 10]),
    });
    expect(await trial.ending()).toEqual(exited(0));
    await trial.closedStreams();
    expect([[...trial.stdoutBytes], trial.stderr]).toEqual([[0, 255, 10], "--help --name y\n"]);
  });

  test.each([
    ["no-such-command-of-anybody", 127],
    ["/", 126],
  ])("a command that is %s is told in one line", async (name, status) => {
    await using trial = start([name]);
    expect(await trial.ending()).toEqual(exited(status));
    await trial.closedStreams();
    expect(trial.stderr).toMatch(/^ephemeral: Cannot run .*\n$/);
  });

  test.each(["TERM", "INT", "QUIT", "USR1"] as const)("passes SIG%s on, once", async (name) => {
    const script = `trap 'echo got ${name}; exit 5' ${name}; echo ready; while :; do sleep 0.02; done`;
    await using trial = start(["sh", "-c", script]);
    await trial.said("ready");
    trial.signal(`SIG${name}`);
    expect(await trial.ending()).toEqual(exited(5));
    await trial.closedStreams();
    expect(trial.stdout).toBe(`ready\ngot ${name}\n`);
    await expectNothingLeft(trial);
  });

  test("a second SIGINT kills", async () => {
    await using trial = start(["sh", "-c", interruptible]);
    await trial.said("ready");
    trial.signal("SIGINT");
    await trial.said("got INT");
    trial.signal("SIGINT");
    expect(await trial.ending()).toEqual(killedBy(9));
    await expectNothingLeft(trial);
  });

  test("Ctrl-C reaches the command once, by the terminal", async () => {
    await using trial = start(["sh", "-c", interruptible], { inTerminal: true });
    await trial.said("ready");
    trial.type("\x03");
    await trial.said("got INT");
    trial.signal("SIGUSR1");
    expect(await trial.ending()).toEqual(exited(6));
    expect(trial.stdout.match(/got INT/g)).toHaveLength(1);
    await expectNothingLeft(trial);
  });

  test("Ctrl-C ends us as it ends the command", async () => {
    await using trial = start(["sh", "-c", forever], { inTerminal: true });
    await trial.said("ready");
    trial.type("\x03");
    expect(await trial.ending()).toEqual(killedBy(2));
    await expectNothingLeft(trial);
  });

  test("says what it needs when there is nothing to run on", async () => {
    await using trial = start(["true"], { environment: { PATH: "/nowhere" } });
    expect(await trial.ending()).toEqual(exited(69));
    await trial.closedStreams();
    expect(trial.stderr).toMatch(/^ephemeral: Cannot run ephemeral: .*npm install --save-dev bun.*EPHEMERAL_BIN\n$/);
  });

  test("does not run a script for EPHEMERAL_BIN, which could be itself", async () => {
    await using trial = start(["true"], { environment: { EPHEMERAL_BIN: entry().argv[1] } });
    expect(await trial.ending()).toEqual(exited(64));
    await trial.closedStreams();
    expect(trial.stderr).toMatch(/^ephemeral: Cannot run EPHEMERAL_BIN: .* is a script\n$/);
  });
}
