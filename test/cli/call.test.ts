/**
 * Commands to a running broker as a shell sees them: what each prints, in both forms, and every way it can fail with its
 * status, its line and its hint. Every case runs against the compiled binary, and in CI against the source.
 */
import { describe, expect, test } from "bun:test";
import { lineClient, temporaryDirectory, testBroker } from "../support/broker.ts";
import { bare, type Invocation, invoke, invokeBytes } from "../support/invocation.ts";
import { until } from "../support/processes.ts";
import { programs } from "../support/programs.ts";

const both = await programs();

const printed = (stdout: string): Invocation => ({ status: 0, stdout, stderr: "" });
const silent = printed("");
const failed = (status: number, message: string, hint: string): Invocation => ({
  status,
  stdout: "",
  stderr: `ephemeral: ${message}\n${hint}\n`,
});

const failing = (status: number, stderr: RegExp): Invocation => ({
  status,
  stdout: "",
  stderr: expect.stringMatching(stderr),
});

describe.each(both.map((program) => [program.name, program] as const))("ephemeral (%s)", (_name, program) => {
  /** The program beside one broker. */
  const beside =
    (pipe: string, environment: Readonly<Record<string, string>> = {}) =>
    (args: readonly string[], stdin?: string | Uint8Array): Promise<Invocation> =>
      invoke(program, {
        args,
        environment: { EPHEMERAL_PIPE: pipe, ...environment },
        ...(stdin === undefined ? {} : { stdin }),
      });

  test("set and get carry strings, JSON, standard input and bytes as they are", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    expect(await run(["set", "text", "zażółć"])).toEqual(silent);
    expect(await run(["get", "text"])).toEqual(printed("zażółć\n"));
    expect(await run(["set", "empty", ""])).toEqual(silent);
    expect(await run(["get", "empty"])).toEqual(printed("\n"));
    expect(await run(["set", "json", '{"a":[1, null]}', "--json-value"])).toEqual(silent);
    expect(await run(["get", "json"])).toEqual(printed('{"a":[1,null]}\n'));
    expect(await run(["set", "typed", "-", "--json-value"], "[true]\n")).toEqual(silent);
    expect(await run(["get", "typed"])).toEqual(printed("[true]\n"));
    expect(await run(["set", "lines", "-"], "one\ntwo\n\n")).toEqual(silent);
    expect(await run(["get", "lines"])).toEqual(printed("one\ntwo\n\n"));
    expect(await run(["set", "--", "-dashed", "--ttl"])).toEqual(silent);
    expect(await run(["get", "--", "-dashed"])).toEqual(printed("--ttl\n"));
    expect(await run(["set", "number", "-5"])).toEqual(silent);
    expect((await run(["get", "number", "--json"])).stdout).toStartWith('{"value":"-5",');
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
    expect(await run(["set", "bytes", "-", "--bytes"], bytes)).toEqual(silent);
    const environment = { EPHEMERAL_PIPE: broker.pipe };
    expect(await invokeBytes(program, { args: ["get", "bytes"], environment })).toEqual({
      status: 0,
      stdout: bytes,
      stderr: "",
    });
  });

  test("--json prints one document and a line feed", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    const document = async (...args: string[]): Promise<unknown> => {
      const { status, stdout, stderr } = await run([...args, "--json"]);
      expect({ status, stderr, lines: stdout.split("\n").length }).toEqual({ status: 0, stderr: "", lines: 2 });
      return JSON.parse(stdout);
    };
    const aNumber = expect.any(Number);
    expect(await document("set", "a", "1")).toEqual({ version: 1 });
    expect(await document("get", "a")).toEqual({ value: "1", version: 1, ttlMs: aNumber });
    expect(await run(["set", "b", "-", "--bytes"], Uint8Array.of(255))).toEqual(silent);
    expect(await document("get", "b")).toEqual({ value: { $binary: "/w==" }, version: 2, ttlMs: aNumber });
    const item = { expires: aNumber, hasValue: true };
    expect(await document("list")).toEqual({ items: { a: { ...item, version: 1 }, b: { ...item, version: 2 } } });
    expect(await document("list", "b")).toEqual({ items: { b: { ...item, version: 2 } } });
    expect(await document("del", "a")).toEqual({ deleted: true });
    expect(await document("lease", "k", "w")).toEqual({ value: 0, fence: aNumber, expiresAtMs: aNumber });
    expect(await document("release", "w")).toEqual({ released: true });
    expect(await document("ping")).toEqual({ roundTripMs: aNumber });
    expect(await document("stats")).toMatchObject({ items: 1, leases: 0, capacity: { maxItems: 10_000 } });
    expect(await document("health")).toMatchObject({ status: "healthy", connections: { draining: false } });
    expect(await document("metrics")).toEqual({ metrics: expect.stringContaining("# TYPE ") });
    expect(await document("ps")).toMatchObject({ sessions: [{ label: "ephemeral", holds: [], waits: [] }] });
  });

  test("set keeps its conditions and its time to live", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    expect(await run(["set", "k", "1", "--if", "absent", "--ttl", "1d"])).toEqual(silent);
    expect(await run(["list"])).toEqual(printed("KEY  VERSION  ENDS\nk    1        in 23h 59m\n"));
    expect(await run(["set", "k", "2", "--if", "absent"])).toEqual(
      failing(1, /^ephemeral: .*"k".*\nLeave out --if absent to replace it\n$/),
    );
    expect(await run(["set", "k", "2", "--version", "1"])).toEqual(silent);
    expect(await run(["set", "k", "3", "--version", "1"])).toEqual(
      failing(1, /^ephemeral: .*"k".*\nSomebody changed it meanwhile; read it again with: ephemeral get KEY --json\n$/),
    );
    expect(await run(["get", "k"])).toEqual(printed("2\n"));
    expect(await run(["del", "k", "--version", "1"])).toEqual(failing(1, /^ephemeral: .*"k".*\nSomebody changed it/));
    expect(await run(["del", "k", "--version", "2"])).toEqual(silent);
    expect(await run(["set", "none", "1", "--if", "present"])).toEqual(failing(1, /^ephemeral: .*"none"/));
    expect(await run(["del", "k"])).toEqual(
      failed(
        1,
        'Cannot delete "k": there is no such key',
        "See what there is with: ephemeral list, ephemeral holders or ephemeral ps",
      ),
    );
  });

  test("lease gives numbers that outlive the command, and release gives them back", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    expect(await run(["lease", "account", "w1", "--size", "2", "--ttl", "1m"])).toEqual(printed("0\n"));
    expect(await run(["lease", "account", "w2", "--size", "2"])).toEqual(printed("1\n"));
    expect(await run(["lease", "account", "w1", "--size", "2"])).toEqual(printed("0\n"));
    expect(await run(["lease", "account", "w3", "--size", "2"])).toEqual(
      failing(1, /0 held by w1.*\nWait for one with --wait 30s; ephemeral ps shows who holds them\n$/),
    );
    const waited = run(["lease", "account", "w3", "--size", "2", "--wait", "forever"]);
    using watcher = await lineClient(broker.pipe);
    await waitsFor(watcher, "account");
    expect(await run(["release", "w2", "--key", "account"])).toEqual(silent);
    expect(await waited).toEqual(printed("1\n"));
    expect(await run(["release", "w2"])).toEqual(
      failed(
        1,
        'Cannot release: "w2" has no lease',
        "See what there is with: ephemeral list, ephemeral holders or ephemeral ps",
      ),
    );
    expect(await run(["lease", "other", "w1", "--scope", "session"])).toEqual(printed("0\n"));
    expect(await run(["release", "w1"])).toEqual(silent);
  });

  test("get --wait prints the value somebody sets meanwhile, and ends with 75 when nobody does", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    const waited = run(["get", "url", "--wait", "1m"]);
    using watcher = await lineClient(broker.pipe);
    await waitsFor(watcher, "url");
    expect(await run(["set", "url", "http://127.0.0.1:4000"])).toEqual(silent);
    expect(await waited).toEqual(printed("http://127.0.0.1:4000\n"));
    expect(await run(["get", "never", "--wait", "20ms", "--timeout", "30s"])).toEqual(
      failing(75, /waiting for key "never".*\nWait longer with --wait or --timeout; ephemeral ps shows/),
    );
  });

  test("Ctrl-C while waiting ends at once, by the signal", async () => {
    await using broker = await testBroker();
    using watcher = await lineClient(broker.pipe);
    const environment = bare({ EPHEMERAL_PIPE: broker.pipe });
    const child = Bun.spawn([...program.argv, "get", "k", "--wait", "forever"], { env: environment, stderr: "pipe" });
    await waitsFor(watcher, "k");
    child.kill("SIGINT");
    await child.exited;
    expect({ signal: child.signalCode, stderr: await child.stderr.text() }).toEqual({ signal: "SIGINT", stderr: "" });
  });

  test("ps, stats and health are tables; escape codes of others are made harmless", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe, { EPHEMERAL_LABEL: "spec \u001b[31m\n1" });
    const ps = await run(["ps"]);
    expect(ps.stdout).toMatch(
      /^SESSION +PID +AGE +LABEL +HOLDS +WAITS FOR\ns\w+ +\d+ +\d+ms +spec \\u001b\[31m\\n1 +- +-\n$/,
    );
    const names = (stdout: string): string[] =>
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split("  ")[0] ?? "");
    expect(names((await run(["stats"])).stdout)).toEqual([
      "items",
      "leases",
      "onces",
      "waits",
      "watches",
      "connections",
      "sessions",
      "commands",
      "store",
      "memory",
      "uptime",
    ]);
    expect((await run(["health"])).stdout).toStartWith(
      "status       healthy\nitems        0 of 10000\nconnections  1\n",
    );
    expect((await run(["ping"])).stdout).toMatch(/^\d+\.\d\d ms\n$/);
    expect((await run(["metrics"])).stdout).toStartWith("# HELP ");
    expect(await run(["list"])).toEqual(silent);
  });

  test("health ends with 1 when the broker is degraded, and says it all the same", async () => {
    await using broker = await testBroker({ limits: { itemsMax: 1 } });
    const run = beside(broker.pipe);
    expect(await run(["set", "only", "1"])).toEqual(silent);
    const { status, stdout, stderr } = await run(["health"]);
    expect({ status, stderr, first: stdout.split("\n")[0] }).toEqual({
      status: 1,
      stderr: "",
      first: "status       degraded",
    });
  });

  test("colours come with FORCE_COLOR or a terminal, and never with NO_COLOR", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    expect(await run(["set", "k", "1", "--ttl", "1d"])).toEqual(silent);
    const plain = "KEY  VERSION  ENDS\nk    1        in 23h 59m\n";
    const coloured = "\u001b[1mKEY  VERSION  ENDS\u001b[22m\nk    1        in 23h 59m\n";
    const listed = async (environment: Readonly<Record<string, string>>): Promise<string> =>
      (await beside(broker.pipe, environment)(["list"])).stdout;
    expect(await listed({ FORCE_COLOR: "1" })).toBe(coloured);
    expect(await listed({ FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(plain);
    const inTerminal = async (environment: Readonly<Record<string, string>>): Promise<string> => {
      const shown: string[] = [];
      const child = Bun.spawn([...program.argv, "list"], {
        env: bare({ EPHEMERAL_PIPE: broker.pipe, TERM: "xterm", ...environment }),
        terminal: { data: (_: unknown, bytes: Uint8Array) => void shown.push(new TextDecoder().decode(bytes)) },
      });
      await child.exited;
      await until(() => shown.join("").includes("59m"));
      child.terminal?.close();
      return shown.join("").replaceAll("\r\n", "\n").trimEnd();
    };
    expect(await inTerminal({})).toBe(coloured.trimEnd());
    expect(await inTerminal({ NO_COLOR: "1" })).toBe(plain.trimEnd());
    const broken = await beside(broker.pipe, { FORCE_COLOR: "1" })(["get", "none"]);
    expect(broken.stderr).toStartWith("\u001b[31mephemeral:\u001b[39m ");
    expect((await beside(broker.pipe, { FORCE_COLOR: "1" })(["list", "--json"])).stdout).not.toContain("\u001b");
  });

  test("a reader that goes away ends it quietly, a full disk does not", async () => {
    await using broker = await testBroker();
    const run = beside(broker.pipe);
    expect(await run(["set", "big", "-"], "x".repeat(200_000))).toEqual(silent);
    const shell = (script: string) => {
      const argv = ["bash", "-c", `set -o pipefail; ${script}`, "bash", ...program.argv];
      return Bun.spawn(argv, { env: bare({ EPHEMERAL_PIPE: broker.pipe }), stdout: "pipe", stderr: "pipe" });
    };
    const head = shell('"$@" get big | head -c 3');
    expect([await head.exited, await head.stdout.text(), await head.stderr.text()]).toEqual([141, "xxx", ""]);
    const full = shell('"$@" get big > /dev/full');
    expect(await full.exited).toBe(70);
    expect(await full.stderr.text()).toStartWith("ephemeral: Cannot write the answer: ENOSPC");
    const deaf = shell('"$@" get none 2> /dev/full');
    expect(await deaf.exited).toBe(1);
  });

  test("a broker with a secret hears who knows it, and nobody else", async () => {
    await using broker = await testBroker({ secret: "right" });
    const hint = "Give the broker's secret in EPHEMERAL_SECRET (or CLIENT_SECRET, which wins)";
    const secrets: [Record<string, string>, string[], number][] = [
      [{ EPHEMERAL_SECRET: "right" }, [], 0],
      [{ EPHEMERAL_SECRET: "wrong", CLIENT_SECRET: "right" }, [], 0],
      [{ EPHEMERAL_SECRET: "wrong" }, ["--secret", "right"], 0],
      [{ EPHEMERAL_SECRET: "wrong" }, [], 77],
      [{}, [], 77],
    ];
    for (const [environment, flags, status] of secrets) {
      const answer = await beside(broker.pipe, environment)(["set", "k", "v", ...flags]);
      expect({ environment, flags, status: answer.status }).toEqual({ environment, flags, status });
      if (status === 0) expect(answer).toEqual(silent);
      else expect(answer.stderr).toEndWith(`\n${hint}\n`);
      expect(answer.stderr).not.toMatch(/right|wrong"/);
    }
  });

  test("what the broker does not answer ends with 75 after --timeout", async () => {
    using directory = temporaryDirectory();
    const pipe = `${directory.path}/mute`;
    using _mute = Bun.listen({ unix: pipe, socket: { data() {} } });
    const { status, stdout, stderr } = await beside(pipe)(["ping", "--timeout", "200ms"]);
    expect({ stdout, lines: stderr.split("\n").length }).toEqual({ stdout: "", lines: 3 });
    expect([69, 75]).toContain(status);
  });

  test.each<[string[], Record<string, string>, Invocation]>([
    [
      ["get", "k"],
      {},
      failed(
        69,
        "No broker: EPHEMERAL_PIPE is not set and neither --pipe nor --name is given",
        "See which run with: ephemeral ls, and name one with --name; or start one: ephemeral start -- your-command",
      ),
    ],
    [
      ["get", "k"],
      { EPHEMERAL_PIPE: "/nowhere/sock" },
      failed(
        69,
        "No broker: nothing listens at /nowhere/sock (EPHEMERAL_PIPE)",
        "Start one with: ephemeral start -- your-command (the command finds it by EPHEMERAL_PIPE)",
      ),
    ],
    [
      ["ping", "--pipe", "/etc/passwd"],
      { EPHEMERAL_PIPE: "/nowhere/sock" },
      failed(
        69,
        "No broker: nothing listens at /etc/passwd (--pipe)",
        "Start one with: ephemeral start -- your-command (the command finds it by EPHEMERAL_PIPE)",
      ),
    ],
    [["subscribe", "room"], {}, failed(64, 'Unknown command "subscribe"', 'Did you mean "ephemeral sub"?')],
    [["gte", "k"], {}, failed(64, 'Unknown command "gte"', 'Did you mean "ephemeral get"?')],
    [
      ["npx", "jest"],
      {},
      failed(
        64,
        'Unknown command "npx"',
        "To run it with a broker: ephemeral start npx …  All commands: ephemeral help",
      ),
    ],
    [["--verson"], {}, failed(64, 'Unknown command "--verson"', 'Did you mean "ephemeral version"?')],
    [["get"], {}, failed(64, 'Cannot run "ephemeral get": KEY is missing', "See: ephemeral get --help")],
    [["get", "k", "--wiat", "1s"], {}, failed(64, 'Unknown flag --wiat for "ephemeral get"', "Did you mean --wait?")],
    [
      ["get", "k", "--wait", "soon"],
      { EPHEMERAL_PIPE: "/nowhere/sock" },
      failed(
        64,
        'Cannot read --wait: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "soon"',
        "Correct --wait, or leave it out for the default",
      ),
    ],
    [
      ["ping", "--secret="],
      { EPHEMERAL_PIPE: "/nowhere/sock" },
      failed(64, "Cannot use the secret: --secret is empty", "Give --secret a value, or leave it out"),
    ],
    [
      ["ping"],
      { EPHEMERAL_PIPE: "/nowhere/sock", EPHEMERAL_SECRET: "" },
      failed(64, "Cannot use the secret: EPHEMERAL_SECRET is empty", "Give EPHEMERAL_SECRET a value, or leave it out"),
    ],
    [
      ["set", "k", "{", "--json-value"],
      {},
      failed(
        64,
        "Cannot read VALUE: 1 characters are no JSON",
        "Quote it for the shell, as in '{\"a\":1}', or leave out --json-value to store a string",
      ),
    ],
    [
      ["set", "k", "text", "--bytes"],
      {},
      failed(64, "Cannot read VALUE: bytes come from standard input", "Write: ephemeral set KEY - --bytes < FILE"),
    ],
    [
      ["start", "--gracce", "5s", "true"],
      {},
      failed(64, 'Unknown flag --gracce for "ephemeral start"', "Did you mean --grace?"),
    ],
    [
      ["start", "--items-max", "many", "true"],
      {},
      failed(
        64,
        'Cannot read --items-max: wanted a whole number such as 100, got "many"',
        "Correct --items-max, or leave it out for the default",
      ),
    ],
    [
      ["start", "true"],
      { BROKER_SECRET: "" },
      failed(64, "Cannot use the secret: BROKER_SECRET is empty", "Give BROKER_SECRET a value, or leave it out"),
    ],
    [
      ["get", "k", "--json", "--odd"],
      {},
      {
        status: 64,
        stdout: "",
        stderr: '{"error":"bad_command","message":"Unknown flag --odd for \\"ephemeral get\\""}\n',
      },
    ],
    [
      ["get", "k", "--json"],
      { EPHEMERAL_PIPE: "/nowhere/sock" },
      {
        status: 69,
        stdout: "",
        stderr: '{"error":"unavailable","message":"No broker: nothing listens at /nowhere/sock (EPHEMERAL_PIPE)"}\n',
      },
    ],
    [
      ["get", "--", "k", "--json"],
      {},
      failed(
        64,
        'Cannot run "ephemeral get": wanted 1 operand, got 2',
        "Quote an operand that holds spaces. See: ephemeral get --help",
      ),
    ],
  ])("%j with %j fails as it should", async (args, environment, wanted) => {
    expect(await invoke(program, { args, environment })).toEqual(wanted);
  });

  test("set refuses text that is no UTF-8", async () => {
    expect(await invoke(program, { args: ["set", "k", "-"], stdin: Uint8Array.of(0xc3, 0x28) })).toEqual(
      failed(64, "Cannot read VALUE: 2 bytes are no UTF-8", "Store them as they are with --bytes"),
    );
  });

  test("start names the place it could not have", async () => {
    using directory = temporaryDirectory();
    await Bun.write(`${directory.path}/ephemeral`, "in the way");
    const answer = await invoke(program, { args: ["start", "true"], environment: { XDG_RUNTIME_DIR: directory.path } });
    expect(answer.stdout).toBe("");
    expect(answer.status).not.toBe(0);
    expect(answer.stderr).toEndWith(
      `\nIts place would be in ${directory.path}/ephemeral; XDG_RUNTIME_DIR or TMPDIR name another\n`,
    );
  });

  test("start hands its secret to the command, and the command's flags are the command's", async () => {
    using directory = temporaryDirectory();
    const environment = { XDG_RUNTIME_DIR: directory.path, NAME: "value" };
    const script = 'echo "$EPHEMERAL_SECRET $NAME $*"';
    const args = ["start", "--secret", "s", "--grace", "1s", "sh", "-c", script, "sh", "--help", "--secret", "--", "x"];
    expect(await invoke(program, { args, environment })).toEqual(printed("s value --help --secret -- x\n"));
    const nested = ["start", "--secret=s", "--", ...program.argv, "set", "k", "v", "--json"];
    expect(await invoke(program, { args: nested, environment })).toEqual(printed('{"version":1}\n'));
  });
});

/** Resolves when some session waits for `key`: the broker is asked again and again, as nobody tells of waits. */
async function waitsFor(watcher: Awaited<ReturnType<typeof lineClient>>, key: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  for (;;) {
    const { sessions } = await watcher.ask({ action: "ps" });
    if (JSON.stringify(sessions).includes(`"key":${JSON.stringify(key)}`)) return;
    if (performance.now() > deadlineMs) throw new Error(`nobody waits for ${key}`);
  }
}
