/**
 * What is run at the end of a run: once, whoever of the run is killed, within its time, and never changing how the run ended.
 * Every way to end runs against the compiled binary, and in CI against the source.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../src/client/client.ts";
import { lineClient } from "../support/broker.ts";
import { until } from "../support/processes.ts";
import { binaryProgram, type Program, programs } from "../support/programs.ts";
import { Random } from "../support/random.ts";
import { isThorough } from "../support/thorough.ts";
import { type SeenEnding, Trial, type TrialOptions } from "../support/trial.ts";

setDefaultTimeout(30_000);

const both = await programs();
const binary = await binaryProgram();

const exited = (status: number): SeenEnding => ({ status, killed: false });
const killedBy = (signal: number): SeenEnding => ({ status: 128 + signal, killed: true });
const forever = "exec sleep 1000";
const noted = (word: string): string => `echo ${word} >> noted`;

type StartOptions = Omit<TrialOptions, "args"> & { readonly flags?: readonly string[]; readonly program?: Program };

function start(command: readonly string[], { flags = [], program = binary, ...options }: StartOptions = {}): Trial {
  return new Trial(program, {
    ...options,
    args: ["start", ...flags, ...(command.length > 0 ? ["--", ...command] : [])],
  });
}

/** A run whose command registers one thing more than `--on-end` does, says that it is ready and goes on with `script`. */
function registering(script: string, { program = binary, flags = [], ...options }: StartOptions = {}): Trial {
  const command = `${program.argv.join(" ")} on-end -- sh -c '${noted("second")}' && echo ready; ${script}`;
  return start(["sh", "-c", command], { ...options, program, flags: ["--on-end", noted("first"), ...flags] });
}

/** What hooks have noted so far, line by line. */
function notes(trial: Trial): readonly string[] {
  const path = join(trial.directory, "noted");
  return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
}

async function nothingLeft(trial: Trial): Promise<void> {
  await until(() => trial.processes().length === 0);
  expect(trial.runDirectories()).toEqual([]);
}

function pipeOf(trial: Trial): string {
  const [sock = ""] = trial.runDirectories().filter((path) => path.endsWith("/sock"));
  return join(trial.directory, "ephemeral", sock);
}

function killReapers(trial: Trial): void {
  for (const reaper of trial.reapers()) process.kill(reaper, "SIGKILL");
}

interface Way {
  readonly way: string;
  readonly script: string;
  readonly ending: SeenEnding;
  readonly options?: StartOptions;
  readonly done?: (trial: Trial) => Promise<void> | void;
}

const ways: readonly Way[] = [
  { way: "its command ends", script: "exit 0", ending: exited(0) },
  { way: "its command fails", script: "exit 3", ending: exited(3) },
  {
    way: "Ctrl-C is typed",
    script: forever,
    ending: killedBy(2),
    options: { inTerminal: true },
    done: (trial) => trial.type("\x03"),
  },
  { way: "it is told SIGTERM", script: forever, ending: killedBy(15), done: (trial) => trial.signal("SIGTERM") },
  { way: "a worker is killed", script: "sh -c 'kill -KILL $$'; exit 4", ending: exited(4) },
  { way: "the command is killed", script: "kill -KILL $$", ending: killedBy(9) },
  { way: "start itself is killed", script: forever, ending: killedBy(9), done: (trial) => trial.signal("SIGKILL") },
  {
    way: "the reaper was killed before",
    script: "read line; exit 6",
    ending: exited(6),
    options: { stdin: "pipe" },
    async done(trial) {
      killReapers(trial);
      await until(() => trial.reapers().length === 0);
      trial.type("\n");
    },
  },
];

describe.each(both.map((program) => [program.name, program] as const))("at the end of a run (%s)", (_name, program) => {
  test.each(ways)("each thing is run once, the last first, when $way", async ({ script, ending, options, done }) => {
    await using trial = registering(script, { ...options, program });
    await trial.said("ready");
    await done?.(trial);
    expect(await trial.ending()).toEqual(ending);
    await nothingLeft(trial);
    expect(notes(trial)).toEqual(["second", "first"]);
  });
});

/** The run's reaper, once it is there: the command may be sooner. What it has begun may still have its command line. */
async function reaperOf(trial: Trial): Promise<number> {
  await until(() => trial.reapers().length > 0);
  // Nothing else is ever signalled: pid 0 would be everybody of our own group.
  return trial.reapers()[0] ?? Number.NaN;
}

describe("what is run at the end", () => {
  test("is told on stderr with all it says, and stdout is the command's alone", async () => {
    await using trial = start(["echo", "mine"], { flags: ["--on-end", "echo out; echo 'to err' >&2"] });
    expect(await trial.ending()).toEqual(exited(0));
    await trial.closedStreams();
    expect(trial.stdout).toBe("mine\n");
    const shown = String.raw`sh -c 'echo out; echo '\''to err'\'' >&2'`;
    expect(trial.stderr).toBe(`ephemeral: At the end of the run: ${shown}\nout\nto err\n`);
  });

  test("is told when it fails and when it is not there, and the next one is run all the same", async () => {
    const flags = ["--on-end", noted("last"), "--on-end", "exit 7", "--on-end", "kill -TERM $$"];
    await using trial = start(["sh", "-c", `${binary.argv.join(" ")} on-end -- no-such-program; exit 5`], { flags });
    expect(await trial.ending()).toEqual(exited(5));
    await trial.closedStreams();
    expect(trial.stderr).toContain("Failed with status 127: no-such-program\n");
    expect(trial.stderr).toContain("Failed with status 143: sh -c 'kill -TERM $$'\n");
    expect(trial.stderr).toContain("Failed with status 7: sh -c 'exit 7'\n");
    expect(notes(trial)).toEqual(["last"]);
  });

  test.if(isThorough)("is waited for where the shell that runs it is stopped, and that is told", async () => {
    await using trial = start(["sh", "-c", "echo ready; read line"], {
      flags: ["--on-end", noted("it")],
      stdin: "pipe",
    });
    await trial.said("ready");
    const reaper = await reaperOf(trial);
    process.kill(reaper, "SIGSTOP");
    trial.type("\n");
    await trial.complained(
      "Waiting for the shell that runs the commands for the end of the run: it is stopped or hangs",
    );
    process.kill(reaper, "SIGCONT");
    expect(await trial.ending()).toEqual(exited(0));
    expect(notes(trial)).toEqual(["it"]);
  });

  test("may say as much as it likes", async () => {
    await using trial = start(["true"], { flags: ["--on-end", "head -c 3000000 /dev/zero | tr '\\0' x"] });
    expect(await trial.ending()).toEqual(exited(0));
    await trial.closedStreams();
    expect(trial.stderr.match(/x{3000000}$/)).not.toBeNull();
  });

  test("is ended with all it started when its time is over, and the next one is run", async () => {
    const stubborn = `trap '' TERM; (setsid sleep 1001 &) ; sleep 1002; sleep 1003`;
    const script = `for what in "trap 'echo told >> noted; exit' TERM; sleep 1000 & wait" "${stubborn}"; do
      ${binary.argv.join(" ")} on-end --within 300ms -- sh -c "$what"; done`;
    await using trial = start(["sh", "-c", script], { flags: ["--on-end", noted("last")] });
    expect(await trial.ending()).toEqual(exited(0));
    await trial.closedStreams();
    expect(trial.stderr.match(/Ended after 0\.3 s, which was its time: /g)).toHaveLength(2);
    expect(notes(trial)).toEqual(["told", "last"]);
    await nothingLeft(trial);
  });

  test("is run word for word, in its folder and with the variables that were given", async () => {
    const words = [
      "",
      " a  b ",
      "$HOME `id` $(id) \\",
      "'\"'",
      "line\nline\r\n\n",
      "Áàéßĥ 🚀",
      "-n",
      "*",
      "#",
      "\t\x01\x7f\x9b",
    ];
    await using trial = start(["sh", "-c", "echo ready; read line"], {
      stdin: "pipe",
      environment: { ODD: "it's\n$HOME", EPHEMERAL_RUN: "outer" },
    });
    await trial.said("ready");
    using client = new Client(pipeOf(trial));
    const script = `pwd > seen; printf '%s\\0' "$@" "$ODD" "$EVEN" "$hooks" "\${EPHEMERAL_PIPE-no pipe}" "\${EPHEMERAL_RUN-no run}" >> seen`;
    // No shell takes that for an OPTIND, and dash once took nothing behind it either.
    const env = { OPTIND: "none", EVEN: "x\n'y' $(id)", hooks: "3" };
    await client.onEnd(["sh", "-c", script, "sh", ...words], { cwd: trial.directory, env });
    await client.onEnd(["sh", "-c", script, "sh", ...words], { cwd: trial.directory, env });
    trial.type("\n");
    expect(await trial.ending()).toEqual(exited(0));
    const seen = readFileSync(join(trial.directory, "seen"), "utf8");
    const all = [...words, "it's\n$HOME", env.EVEN, "3", "no pipe", "no run"];
    expect(seen).toBe(`${trial.directory}\n${all.map((word) => `${word}\0`).join("")}`);
    expect(trial.stderr.split("At the end of the run").length).toBe(2);
    // Whatever is in a word, it is told on one line, and nothing in it reaches the terminal as it is.
    expect(trial.stderr).toMatch(/^[^\p{Cc}]*\n$/u);
  });

  test("waits for those who joined, may be registered by them, and counts once", async () => {
    const flags = ["--name", "x", "--join", "--on-end", noted("shared")];
    await using first = start(["sh", "-c", "echo owner; read line"], { flags, stdin: "pipe" });
    await first.said("owner");
    const joined = start(["sh", "-c", "echo joiner; read line; exit 8"], { flags, stdin: "pipe", beside: first });
    await using second = joined;
    await second.said("joiner");
    first.type("\n");
    await until(() => first.find(["sh", "-c", "echo owner; read line"]) === undefined);
    expect(notes(first)).toEqual([]);
    second.type("\n");
    expect([await second.ending(), await first.ending()]).toEqual([exited(8), exited(0)]);
    expect(notes(first)).toEqual(["shared"]);
  });

  test("is run by a broker without a command, too, before its name is another's", async () => {
    const script = `${noted("first")}; until [ -e go ]; do sleep 0.02; done`;
    await using trial = start([], { flags: ["--name", "x", "--on-end", script] });
    await trial.said("/sock\n");
    trial.signal("SIGTERM");
    await until(() => notes(trial).length === 1);
    await using next = start(["sh", "-c", noted("next")], { flags: ["--name", "x"], beside: trial });
    await next.complained("held by another one");
    writeFileSync(join(trial.directory, "go"), "");
    expect(await trial.ending()).toEqual(exited(0));
    expect(notes(trial)).toEqual(["first"]);
  });
});

describe("what is run at the end, when somebody is killed while it runs:", () => {
  const halting = `${noted("begun")}; until [ -e go ]; do sleep 0.02; done; ${noted("ended")}`;

  async function halted(): Promise<Trial> {
    const trial = start(["true"], { flags: ["--on-end", noted("last"), "--on-end", halting] });
    await until(() => notes(trial).length === 1);
    return trial;
  }

  test("start itself: all of it is run once", async () => {
    await using trial = await halted();
    trial.signal("SIGKILL");
    expect(await trial.ending()).toEqual(killedBy(9));
    expect(trial.runDirectories()).toHaveLength(3);
    writeFileSync(join(trial.directory, "go"), "");
    await nothingLeft(trial);
    expect(notes(trial)).toEqual(["begun", "ended", "last"]);
  });

  test("the reaper: what it had begun is not begun again, the rest is run", async () => {
    await using trial = await halted();
    const reaper = await reaperOf(trial);
    process.kill(reaper, "SIGKILL");
    await until(() => notes(trial).includes("last"));
    writeFileSync(join(trial.directory, "go"), "");
    expect(await trial.ending()).toEqual(exited(0));
    await nothingLeft(trial);
    expect(notes(trial).toSorted()).toEqual(["begun", "ended", "last"]);
  });
});

describe("registering something for the end", () => {
  test("is answered when it is sure to be run: start is killed at any moment, and all that was answered runs once", async () => {
    const random = new Random();
    for (let round = 0; round < (isThorough ? 25 : 2); round++) {
      await using trial = start(["sh", "-c", `echo ready; ${forever}`]);
      await trial.said("ready");
      using client = new Client(pipeOf(trial), { timeoutMs: 500 });
      const answered: string[] = [];
      const last = random.integer(20);
      const registered = Array.from({ length: 20 }, async (_, index) => {
        await client.onEnd(["sh", "-c", noted(`${index}`)], { cwd: trial.directory });
        answered.push(`${index}`);
        if (index === last) trial.signal("SIGKILL");
      });
      await Promise.allSettled(registered);
      expect(await trial.ending()).toEqual(killedBy(9));
      await nothingLeft(trial);
      const run = notes(trial);
      // Those behind that were not answered may have come through all the same.
      expect(answered.filter((word) => !run.includes(word))).toEqual([]);
      expect(run).toEqual(Array.from({ length: run.length }, (_, index) => `${run.length - 1 - index}`));
    }
  });

  test("is refused with --no-on-end", async () => {
    const command = `${binary.argv.join(" ")} on-end -- sh -c '${noted("it")}'`;
    await using trial = start(["sh", "-c", command], { flags: ["--no-on-end"] });
    expect(await trial.ending()).toEqual(exited(77));
    await trial.closedStreams();
    expect(trial.stderr).toContain(
      "Cannot register a command for the end of the run: this broker was started with --no-on-end",
    );
    expect(notes(trial)).toEqual([]);
  });

  test("is refused when the reaper is not there to run it, should we be killed", async () => {
    await using trial = start(["sh", "-c", "echo ready; read line"], { stdin: "pipe" });
    await trial.said("ready");
    killReapers(trial);
    await until(() => trial.reapers().length === 0);
    using client = await lineClient(pipeOf(trial));
    const refused = await client.ask({ action: "onEnd", argv: ["true"], cwd: "/" });
    expect(refused).toMatchObject({ ok: false, error: "unavailable", retryable: true });
    trial.type("\n");
    expect(await trial.ending()).toEqual(exited(0));
  });

  // The broker wrote to a pipe that was full, and was there for nobody until somebody had read.
  test("keeps nobody else waiting while the reaper does not read, and is answered when it does", async () => {
    await using trial = start(["sh", "-c", "echo ready; read line"], { stdin: "pipe" });
    await trial.said("ready");
    const reaper = await reaperOf(trial);
    process.kill(reaper, "SIGSTOP");
    using client = new Client(pipeOf(trial));
    using other = new Client(pipeOf(trial));
    const long = "x".repeat(40_000);
    const registered = [1, 2, 3].map((word) =>
      client.onEnd(["sh", "-c", noted(`${word}`), long], { cwd: trial.directory }),
    );
    let answered = 0;
    for (const one of registered) void one.then(() => answered++);
    for (let round = 0; round < 3; round++) expect(await other.ping()).toBeLessThan(5000);
    expect(answered).toBeLessThan(3);
    process.kill(reaper, "SIGCONT");
    await Promise.all(registered);
    trial.type("\n");
    expect(await trial.ending()).toEqual(exited(0));
    await nothingLeft(trial);
    expect(notes(trial)).toEqual(["3", "2", "1"]);
  });

  test.each([
    [["start", "--on-end", "", "--", "true"], "Cannot read --on-end: the command is empty"],
    [["start", "--no-on-end", "--on-end", "true", "--", "true"], "Cannot use --on-end: --no-on-end says"],
    [["on-end"], "COMMAND is missing"],
    [["on-end", "--env", "NO_SUCH", "--pipe", "/nowhere", "--", "true"], 'there is no variable "NO_SUCH"'],
  ])("%j is a mistake", async (args, why) => {
    await using trial = new Trial(binary, { args });
    expect(await trial.ending()).toEqual(exited(64));
    await trial.closedStreams();
    expect(trial.stderr).toContain(why);
  });
});
