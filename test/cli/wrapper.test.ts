/**
 * `ephemeral start -- command` as a shell sees it: the command's own ending, its streams untouched, and nothing left
 * behind, whoever is killed. Every case runs against the compiled binary, and in CI against the source.
 */
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { temporaryDirectory } from "../support/broker.ts";
import { readProc, until } from "../support/processes.ts";
import { programs } from "../support/programs.ts";
import { type SeenEnding, Trial, type TrialOptions } from "../support/trial.ts";

const both = await programs();

const exited = (status: number): SeenEnding => ({ status, killed: false });
const killedBy = (signal: number): SeenEnding => ({ status: 128 + signal, killed: true });
/** A shell that says so when `signal` comes, and then exits with `status`. It asks every 20 ms. */
const trapping = (signal: string, status: number): string =>
  `trap 'echo got ${signal}; exit ${status}' ${signal}; echo ready; while :; do sleep 0.02; done`;
const stubborn = `trap '' TERM INT HUP; echo ready; while :; do sleep 0.02; done`;
/** Tells every SIGINT apart, since `wait` ends at once for each; ends by SIGUSR1 with status 6. */
const interruptible =
  "sleep 1000 & trap 'echo got INT' INT; trap 'kill $!; exit 6' USR1; echo ready; while :; do wait; done";
/** Two that ignore SIGTERM: one left its session, the other its parents, by a double fork. */
const stubbornDescendants = `setsid sh -c "trap '' TERM; exec sleep 1001" & (trap '' TERM; sleep 1002 &)`;
const forever = "echo ready; exec sleep 1000";

describe.each(both.map((program) => [program.name, program] as const))("ephemeral start (%s)", (_name, program) => {
  const start = (command: readonly string[], options: Omit<TrialOptions, "args"> & { flags?: string[] } = {}): Trial =>
    new Trial(program, { ...options, args: ["start", ...(options.flags ?? []), "--", ...command] });

  /** Nothing of a run is left: no socket, lock or directory at once, no process as soon as the kernel is done. */
  const expectNothingLeft = async (trial: Trial): Promise<void> => {
    expect(trial.runDirectories()).toEqual([]);
    await until(() => trial.processes().length === 0);
  };

  /** Somebody's process that knows the socket and is none of the run. */
  const lookInto = (trial: Trial): number => {
    const [sock = ""] = trial.runDirectories().filter((path) => path.endsWith("/sock"));
    const environment = { EPHEMERAL_PIPE: join(trial.directory, "ephemeral", sock) };
    return Bun.spawn(["sleep", "1005"], { env: environment }).pid;
  };

  /** Nothing of a run is left but a process that is not of it. */
  const expectLeft = async (trial: Trial, stranger: number | undefined): Promise<void> => {
    await until(() => trial.processes().length === 1 && trial.runDirectories().length === 0);
    expect(trial.processes()).toEqual([stranger ?? 0]);
  };

  describe("gives back the command's own ending", () => {
    test.each([
      ["exit 0", exited(0)],
      ["exit 1", exited(1)],
      ["exit 42", exited(42)],
      ["exit 255", exited(255)],
      ["kill -HUP $$", killedBy(1)],
      ["kill -INT $$", killedBy(2)],
      ["kill -QUIT $$", killedBy(3)],
      ["kill -ILL $$", killedBy(4)],
      ["kill -ABRT $$", killedBy(6)],
      ["kill -FPE $$", killedBy(8)],
      ["kill -KILL $$", killedBy(9)],
      ["kill -USR1 $$", killedBy(10)],
      ["kill -SEGV $$", killedBy(11)],
      ["kill -PIPE $$", killedBy(13)],
      ["kill -TERM $$", killedBy(15)],
      ["kill -40 $$", killedBy(40)],
    ])("%s", async (script, ending) => {
      await using trial = start(["sh", "-c", script]);
      expect(await trial.ending()).toEqual(ending);
      await expectNothingLeft(trial);
      await trial.closedStreams();
      expect([trial.stdout, trial.stderr]).toEqual(["", ""]);
    });

    test("without a core file of ours, whatever the limit", async () => {
      const through = ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh"];
      await using trial = start(["sh", "-c", "ulimit -c 0; kill -SEGV $$"], { through });
      expect(await trial.ending()).toEqual(killedBy(11));
      expect([...new Bun.Glob("core*").scanSync(trial.directory)]).toEqual([]);
    });

    test("when SIGCHLD was ignored at the start", async () => {
      await using trial = start(["sh", "-c", "exit 3"], { through: ["env", "--ignore-signal=CHLD"] });
      expect(await trial.ending()).toEqual(exited(3));
    });

    test("at once when background processes still hold its output, and leaves those alone", async () => {
      await using trial = start(["sh", "-c", "sleep 1000 & exit 3"]);
      expect(await trial.ending()).toEqual(exited(3));
      expect(trial.runDirectories()).toEqual([]);
      await until(() => trial.reapers().length === 0);
      expect(trial.processes()).toEqual([trial.find(["sleep", "1000"]) ?? 0]);
    });
  });

  describe("leaves streams, environment and place of the command alone", () => {
    test("8 MB of any bytes on both streams, and 4 MB through stdin", async () => {
      const bytes = crypto.getRandomValues(Buffer.alloc(65536));
      const input = Buffer.concat(Array.from({ length: 64 }, () => bytes));
      await using trial = start(["sh", "-c", "tee copy; cat copy copy >&2; cat copy"], { stdin: input });
      expect(await trial.ending()).toEqual(exited(0));
      await trial.closedStreams();
      const twice = Bun.SHA256.hash(Buffer.concat([input, input]), "hex");
      expect(Bun.SHA256.hash(trial.stdoutBytes, "hex")).toBe(twice);
      expect(Bun.SHA256.hash(trial.stderrBytes, "hex")).toBe(twice);
    });

    test("only the socket, EPHEMERAL_PIPE, and a mark made anew, EPHEMERAL_RUN, are added to the environment", async () => {
      const script = 'test -S "$EPHEMERAL_PIPE" && tr "\\0" "\\n" < /proc/$$/environ';
      const environment = { BUN_OPTIONS: "--smol", ODD: "a=b\nc" };
      const outer = { EPHEMERAL_RUN: "0123456789abcdef" };
      await using trial = start(["sh", "-c", script], { environment: { ...environment, ...outer } });
      expect(await trial.ending()).toEqual(exited(0));
      const wanted = { ...process.env, ...environment, XDG_RUNTIME_DIR: trial.directory };
      const lines = Object.entries(wanted).map(([name, value]) => `${name}=${value}`);
      expect(trial.stdout).not.toContain(outer.EPHEMERAL_RUN);
      const got = trial.stdout.replace(/^EPHEMERAL_PIPE=.*\n/m, "").replace(/^EPHEMERAL_RUN=[0-9a-f]{16}\n/m, "");
      expect(got.split("\n").sort()).toEqual(`${lines.join("\n")}\n`.split("\n").sort());
    });

    test("process group, session and open files are those of the caller", async () => {
      await using trial = start(["sh", "-c", forever]);
      await trial.said("ready");
      await until(() => trial.find(["sleep", "1000"]) !== undefined);
      const child = trial.find(["sleep", "1000"]) ?? 0;
      const place = (pid: number): readonly string[] => readProc(pid, "stat").split(" ").slice(4, 6);
      expect(place(child)).toEqual(place(trial.pid));
      expect(readdirSync(`/proc/${child}/fd`)).toEqual(["0", "1", "2"]);
    });

    test("arguments that look like ours, and the name it was called by", async () => {
      await using trial = start([
        "sh",
        "-c",
        'echo "$@"; tr "\\0" " " < /proc/$$/cmdline',
        "x",
        "--grace",
        "5",
        "--help",
      ]);
      expect(await trial.ending()).toEqual(exited(0));
      expect(trial.stdout).toStartWith("--grace 5 --help\nsh -c ");
    });

    test("a script without a #! line runs as a shell would run it", async () => {
      using folder = scripts();
      await using trial = start([join(folder.path, "no-interpreter-line"), "a b"]);
      expect(await trial.ending()).toEqual(exited(7));
      expect(trial.stdout).toBe("a b\n");
    });
  });

  describe("passes signals on and never ends before the command", () => {
    test.each(["TERM", "HUP", "INT", "QUIT", "USR1", "USR2"] as const)(
      "SIG%s, when the command takes it",
      async (name) => {
        await using trial = start(["sh", "-c", trapping(name, 5)]);
        await trial.said("ready");
        trial.signal(`SIG${name}`);
        expect(await trial.ending()).toEqual(exited(5));
        expect(trial.stdout).toBe(`ready\ngot ${name}\n`);
        await expectNothingLeft(trial);
      },
    );

    test.each([
      ["SIGTERM", 15],
      ["SIGHUP", 1],
      ["SIGINT", 2],
    ] as const)("%s, when the command dies of it", async (signal, number) => {
      await using trial = start(["sh", "-c", forever]);
      await trial.said("ready");
      trial.signal(signal);
      expect(await trial.ending()).toEqual(killedBy(number));
      await expectNothingLeft(trial);
    });

    test("a stubborn command and its descendants are killed after the grace", async () => {
      await using trial = start(["sh", "-c", `${stubbornDescendants}; ${stubborn}`], { flags: ["--grace", "300ms"] });
      await trial.said("ready");
      await until(() => [1001, 1002].every((seconds) => trial.find(["sleep", `${seconds}`]) !== undefined));
      const before = performance.now();
      trial.signal("SIGTERM");
      expect(await trial.ending()).toEqual(killedBy(9));
      expect(performance.now() - before).toBeGreaterThanOrEqual(295);
      await expectNothingLeft(trial);
    });

    test("a grace longer than any timer is no reason to kill at once", async () => {
      const slow = "trap 'sleep 0.2; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
      await using trial = start(["sh", "-c", slow], { flags: ["--grace", "30d"] });
      await trial.said("ready");
      trial.signal("SIGTERM");
      expect(await trial.ending()).toEqual(exited(5));
    });

    test("a descendant that cleaned its environment is known by its parents", async () => {
      const script = `env -i setsid sh -c "trap '' TERM; exec sleep 1003" & ${stubborn}`;
      await using trial = start(["sh", "-c", script], { flags: ["--grace", "100ms"] });
      await trial.said("ready");
      await until(() => trial.find(["sleep", "1003"]) !== undefined);
      trial.signal("SIGTERM");
      expect(await trial.ending()).toEqual(killedBy(9));
      await expectNothingLeft(trial);
    });

    test("a second SIGINT kills", async () => {
      await using trial = start(["sh", "-c", interruptible]);
      await trial.said("ready");
      trial.signal("SIGINT");
      await trial.said("got INT");
      trial.signal("SIGINT");
      expect(await trial.ending()).toEqual(killedBy(9));
      expect(trial.stdout).toBe("ready\ngot INT\n");
      await expectNothingLeft(trial);
    });

    test("a second SIGINT kills what left its parents, but not who looks into the run from outside", async () => {
      await using trial = start(["sh", "-c", `${stubbornDescendants}; ${interruptible}`]);
      await trial.said("ready");
      await until(() => [1001, 1002].every((seconds) => trial.find(["sleep", `${seconds}`]) !== undefined));
      const outsider = lookInto(trial);
      trial.signal("SIGINT");
      await trial.said("got INT");
      trial.signal("SIGINT");
      expect(await trial.ending()).toEqual(killedBy(9));
      await expectLeft(trial, outsider);
    });

    test.each([
      ["nohup", ["nohup"], "SIGHUP"],
      ["trap '' HUP", ["sh", "-c", `trap '' HUP; exec "$@"`, "sh"], "SIGHUP"],
      ["a script's background job", ["sh", "-c", `trap '' INT QUIT; exec "$@"`, "sh"], "SIGINT"],
    ] as const)("what was ignored at the start stays ignored: %s", async (_case, through, signal) => {
      await using trial = start(["sh", "-c", "echo $$ ready; read line; exit 9"], { through, stdin: "pipe" });
      await trial.said("ready");
      const child = Number.parseInt(trial.stdout, 10);
      for (const pid of [trial.pid, child]) {
        const ignored = BigInt(`0x${/^SigIgn:\s*(\w+)$/m.exec(readProc(pid, "status"))?.[1]}`);
        expect([pid, (ignored >> BigInt(constants.signals[signal] - 1)) & 1n]).toEqual([pid, 1n]);
        process.kill(pid, signal);
      }
      trial.type("\n");
      expect(await trial.ending()).toEqual(exited(9));
      await expectNothingLeft(trial);
    });
  });

  describe("in a terminal", () => {
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

    test("Ctrl-C twice kills a command that will not end", async () => {
      await using trial = start(["sh", "-c", interruptible], { inTerminal: true });
      await trial.said("ready");
      trial.type("\x03");
      await trial.said("got INT");
      trial.type("\x03");
      expect(await trial.ending()).toEqual(killedBy(9));
      await expectNothingLeft(trial);
    });

    test("in the background SIGINT is passed on, since the terminal does not send it", async () => {
      const through = ["bash", "-c", 'set -m; "$@" & wait $!; echo status=$?', "bash"];
      await using trial = start(["sh", "-c", trapping("INT", 4)], { through, inTerminal: true });
      await trial.said("ready");
      const wrapper = trial.processes().find((pid) => readProc(pid, "cmdline").startsWith(program.argv.join("\0")));
      process.kill(wrapper ?? 0, "SIGINT");
      await trial.said("status=4");
      await trial.ending();
      await expectNothingLeft(trial);
    });

    test("Ctrl-Z stops us with the command, and fg goes on", async () => {
      const through = ["bash", "-c", 'set -m; "$@"; echo stopped=$?; fg > /dev/null; echo status=$?', "bash"];
      await using trial = start(["sh", "-c", "echo ready; read line; exit 8"], { through, inTerminal: true });
      await trial.said("ready");
      trial.type("\x1a");
      await trial.said("stopped=148");
      trial.type("\n");
      await trial.said("status=8");
      await trial.ending();
      await expectNothingLeft(trial);
    });
  });

  describe("refuses what cannot be run, in one line", () => {
    test.each([
      ["no-such-command", 127, "it is not on PATH"],
      ["./no-such-file", 127, "it does not exist"],
      ["", 127, "the command is empty"],
      ["./plain-file", 126, "it is not executable, or not within reach"],
      ["plain-file", 126, "plain-file is not executable, or not within reach"],
      ["./folder", 126, "it is a directory"],
      ["folder", 126, "folder is a directory"],
      ["./plain-file/x", 126, "it cannot be reached (ENOTDIR)"],
      ["./no-interpreter", 126, "the interpreter its first line names does not exist"],
    ])("%p: %i", async (name, status, why) => {
      using folder = scripts();
      const environment = { PATH: `${folder.path}:/nowhere:${folder.path}/plain-file:/usr/bin:/bin` };
      const through = ["/bin/sh", "-c", `cd ${folder.path}; exec "$@"`, "sh"];
      await using trial = start([name, "arg"], { environment, through });
      expect(await trial.ending()).toEqual(exited(status));
      await trial.closedStreams();
      expect(trial.stdout).toBe("");
      expect(trial.stderr).toMatch(/^ephemeral: [^\n]+\n$/);
      expect(trial.stderr).toContain(`Cannot run "${name}": `);
      expect(trial.stderr).toEndWith(`${why}\n`);
      await expectNothingLeft(trial);
    });

    test("a working directory that is gone: the compiled runtime refuses it itself, before a broker is there", async () => {
      const through = ["/bin/sh", "-c", 'mkdir gone; cd gone; rmdir ../gone; exec "$@"', "sh"];
      await using trial = start(["/bin/echo", "hello"], { through });
      const ending = await trial.ending();
      await trial.closedStreams();
      if (program.name === "source") expect([ending, trial.stdout, trial.stderr]).toEqual([exited(0), "hello\n", ""]);
      else {
        expect([ending, trial.stdout]).toEqual([exited(1), ""]);
        expect(trial.stderr).toContain("The current working directory was deleted");
      }
      await expectNothingLeft(trial);
    });
  });

  describe("leaves nothing behind, whoever is killed:", () => {
    test("we are", async () => {
      await using trial = start(["sh", "-c", `sleep 1000 & ${forever}`]);
      await trial.said("ready");
      await until(() => trial.reapers().length === 1);
      trial.signal("SIGKILL");
      expect(await trial.ending()).toEqual(killedBy(9));
      await trial.closedStreams();
      await until(() => trial.processes().length === 0);
      expect(trial.runDirectories()).toEqual([]);
    });

    test("we are, and the command and its descendants are stubborn", async () => {
      await using trial = start(["sh", "-c", `${stubbornDescendants}; ${stubborn}`], { flags: ["--grace", "200ms"] });
      await trial.said("ready");
      await until(() => trial.reapers().length === 1);
      trial.signal("SIGKILL");
      await trial.closedStreams();
      await until(() => trial.processes().length === 0);
      expect(trial.runDirectories()).toEqual([]);
    });

    test("we are, but not who looks into the run from outside", async () => {
      await using trial = start(["sh", "-c", `sleep 1000 & ${forever}`]);
      await trial.said("ready");
      await until(() => trial.reapers().length === 1);
      const outsider = lookInto(trial);
      trial.signal("SIGKILL");
      await expectLeft(trial, outsider);
    });

    test("we are, but not what an earlier run of our name has left", async () => {
      const flags = ["--name", "x"];
      await using earlier = start(["sh", "-c", "sleep 1004 & exit 3"], { flags });
      expect(await earlier.ending()).toEqual(exited(3));
      await until(() => earlier.reapers().length === 0);
      await using trial = start(["sh", "-c", forever], { flags, beside: earlier });
      await trial.said("ready");
      await until(() => trial.reapers().length === 1);
      trial.signal("SIGKILL");
      await expectLeft(trial, earlier.find(["sleep", "1004"]));
    });

    test("we are, while stopped with the command", async () => {
      await using trial = start(["sh", "-c", "echo ready; kill -STOP $$"]);
      await trial.said("ready");
      await until(() => trial.reapers().length === 1);
      trial.signal("SIGKILL");
      await until(() => trial.processes().length === 0);
      expect(trial.runDirectories()).toEqual([]);
    });

    test("our parent is: the run goes on to its own end", async () => {
      const through = ["sh", "-c", '"$@"; :', "sh"];
      await using trial = start(["sh", "-c", "echo ready; until [ -e go ]; do sleep 0.02; done; echo went on"], {
        through,
      });
      await trial.said("ready");
      trial.signal("SIGKILL");
      expect(await trial.ending()).toEqual(killedBy(9));
      expect(trial.runDirectories()).toHaveLength(3);
      writeFileSync(join(trial.directory, "go"), "");
      await trial.closedStreams();
      expect(trial.stdout).toBe("ready\nwent on\n");
      await until(() => trial.processes().length === 0);
      expect(trial.runDirectories()).toEqual([]);
    });

    test("the reaper is: the run goes on, and ends as ever", async () => {
      await using trial = start(["sh", "-c", "echo ready; read line; exit 9"], { stdin: "pipe" });
      await trial.said("ready");
      await until(() => trial.reapers().length === 1);
      for (const reaper of trial.reapers()) process.kill(reaper, "SIGKILL");
      await until(() => trial.reapers().length === 0);
      trial.type("\n");
      expect(await trial.ending()).toEqual(exited(9));
      await trial.closedStreams();
      expect(trial.stderr).toBe("");
      await expectNothingLeft(trial);
    });

    test("the outer one of two nested runs is", async () => {
      await using trial = start([...program.argv, "start", "--", "sh", "-c", stubborn], { flags: ["--grace", "1s"] });
      await trial.said("ready");
      await until(() => trial.reapers().length === 2);
      expect(trial.runDirectories().filter((path) => path.endsWith("sock"))).toHaveLength(2);
      trial.signal("SIGKILL");
      await trial.closedStreams();
      await until(() => trial.processes().length === 0, 15_000);
      expect(trial.runDirectories()).toEqual([]);
    });
  });

  describe("without a command", () => {
    const serve = (): Trial => new Trial(program, { args: ["start"] });

    test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("prints the pipe and ends well on %s", async (signal) => {
      await using trial = serve();
      await trial.said("\n");
      expect(trial.stdout).toMatch(/^\/[^\n]+\/sock\n$/);
      expect(trial.runDirectories()).toContain(
        trial.stdout.trim().slice(trial.directory.length + "/ephemeral/".length),
      );
      trial.signal(signal);
      expect(await trial.ending()).toEqual(exited(0));
      await trial.closedStreams();
      expect(trial.stderr).toBe("");
      await expectNothingLeft(trial);
    });

    test("leaves nothing behind when it is killed, and its users alone", async () => {
      await using trial = serve();
      await trial.said("\n");
      await until(() => trial.reapers().length === 1);
      const user = Bun.spawn(["sleep", "1000"], { env: { EPHEMERAL_PIPE: trial.stdout.trim() } });
      trial.signal("SIGKILL");
      await until(() => trial.runDirectories().length === 0);
      await until(() => trial.reapers().length === 0);
      expect(user.exitCode ?? user.signalCode).toBeNull();
      user.kill();
    });
  });
});

/** Files that can and cannot be run, in a directory of their own. */
function scripts(): Disposable & { readonly path: string } {
  const directory = temporaryDirectory();
  mkdirSync(join(directory.path, "folder"));
  const write = (name: string, text: string, mode: number): void => {
    writeFileSync(join(directory.path, name), text);
    chmodSync(join(directory.path, name), mode);
  };
  write("plain-file", "echo hello\n", 0o644);
  write("no-interpreter", "#!/no/such/interpreter\n", 0o755);
  write("no-interpreter-line", 'echo "$1"; exit 7\n', 0o755);
  return directory;
}
