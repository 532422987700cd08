/**
 * `ephemeral request`, `serve`, `send` and `kick` as a shell sees them. Each case has a broker of
 * its own.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { type InvocationOptions, invoke, invokeBytes } from "../support/invocation.ts";
import { binaryProgram } from "../support/programs.ts";
import { Trial, type TrialOptions } from "../support/trial.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(30_000);

const program = await binaryProgram();

/** A broker, a client of it, and commands that speak to it. */
class Scene implements AsyncDisposable {
  readonly client: Client;
  readonly stop: () => Promise<void>;
  readonly #stack: AsyncDisposableStack;
  readonly #pipe: string;

  private constructor(stack: AsyncDisposableStack, broker: Awaited<ReturnType<typeof testBroker>>) {
    this.#stack = stack;
    this.#pipe = broker.pipe;
    this.stop = () => broker.stop();
    this.client = stack.use(new Client(broker.pipe, { label: "the client" }));
  }

  static async open(): Promise<Scene> {
    const stack = new AsyncDisposableStack();
    return new Scene(stack, stack.use(await testBroker()));
  }

  run(args: readonly string[], options: InvocationOptions = {}) {
    return invoke(program, { ...options, args, environment: { EPHEMERAL_PIPE: this.#pipe } });
  }

  runBytes(args: readonly string[], options: InvocationOptions = {}) {
    return invokeBytes(program, { ...options, args, environment: { EPHEMERAL_PIPE: this.#pipe } });
  }

  /** `ephemeral serve m`, which serves when this resolves. */
  async serve(args: readonly string[], options: Omit<TrialOptions, "args"> = {}): Promise<Trial> {
    const trial = this.#stack.use(
      new Trial(program, { ...options, args: ["serve", "--pipe", this.#pipe, "m", ...args] }),
    );
    await until(async () => (await this.client.ps()).some(({ serves }) => serves?.includes("m")), 10_000);
    return trial;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

const quiet = { status: 0, stderr: "" };

describe("ephemeral request", () => {
  test.each<[what: string, args: readonly string[], stdin: string | undefined, asked: unknown]>([
    ["JSON", ['{"a":[1]}'], undefined, { a: [1] }],
    ["text", ["a word"], undefined, "a word"],
    ["nothing", [], undefined, null],
    ["lines of stdin, as text", ["-"], "one\ntwo\n", "one\ntwo"],
    ["JSON from stdin", ["-"], "[1,2]\n", [1, 2]],
    ["bytes as JSON has them", ['{"$binary":"AQI="}'], undefined, Uint8Array.of(1, 2)],
  ])("asks with %s", async (_what, args, stdin, asked) => {
    await using scene = await Scene.open();
    const data: unknown[] = [];
    await scene.client.serve("m", (given) => {
      data.push(given);
      return "thanks";
    });
    const options = stdin === undefined ? {} : { stdin };
    expect(await scene.run(["request", "m", ...args], options)).toEqual({ ...quiet, stdout: "thanks\n" });
    expect(data).toEqual([asked]);
  });

  test("prints text as it is, anything else as JSON, bytes as bytes, and all of it with --json", async () => {
    await using scene = await Scene.open();
    await scene.client.serve("echo", (data) => data);
    expect((await scene.run(["request", "echo", '{"a":{"$binary":"AQI="}}'])).stdout).toBe(
      '{"a":{"$binary":"AQI="}}\n',
    );
    const bytes = Uint8Array.of(0xff, 0, 10);
    expect((await scene.runBytes(["request", "echo", "-"], { stdin: bytes })).stdout).toEqual(bytes);
    expect((await scene.run(["request", "echo", "--json", "-"], { stdin: bytes })).stdout).toBe(
      '{"data":{"$binary":"/wAK"}}\n',
    );
  });

  test("says that nobody serves it, what failed, and who took too long", async () => {
    await using scene = await Scene.open();
    const refused = await scene.run(["request", "m", "--json"]);
    expect([refused.status, JSON.parse(refused.stderr)]).toEqual([
      1,
      { error: "no_responder", message: 'Cannot request "m": nobody serves it' },
    ]);
    expect((await scene.run(["request", "m"])).stderr).toContain("Serve it with: ephemeral serve METHOD -- command");
    const waited = await scene.run(["request", "m", "--wait", "10ms"]);
    expect([waited.status, waited.stderr]).toEqual([
      75,
      expect.stringMatching(/after \d+ ms: "m": nobody serves it\n/),
    ]);
    await scene.client.serve("m", (data) =>
      data === null ? Promise.reject(new Error("no data")) : new Promise(() => {}),
    );
    const failed = await scene.run(["request", "m"]);
    expect([failed.status, failed.stderr]).toEqual([1, expect.stringContaining("the client failed: no data\n")]);
    const late = await scene.run(["request", "m", "1", "--wait", "20ms"]);
    expect([late.status, late.stderr]).toEqual([
      75,
      expect.stringMatching(/session s\d+ \(the client\) has had request "m" for \d+ ms\n/),
    ]);
    const other = await scene.run(["request", "m", "--to", "s99"]);
    expect(other.stderr).toContain("session s99 does not serve it");
  });
});

describe("ephemeral serve", () => {
  const shell = (script: string): readonly string[] => ["--", "sh", "-c", script];

  test("answers with what the command prints: JSON, text, bytes; it knows what is asked, by whom and where", async () => {
    await using scene = await Scene.open();
    await scene.serve(
      shell(
        'case $(cat) in json) echo "[1, 2]";; bytes) printf "\\377";; *) echo "$EPHEMERAL_METHOD"; echo "$EPHEMERAL_FROM";; esac',
      ),
    );
    expect(await scene.client.request("m", "json")).toEqual([1, 2]);
    expect(await scene.client.request("m", "bytes")).toEqual(Uint8Array.of(255));
    const [session] = (await scene.client.ps()).filter(({ label }) => label === "the client");
    expect(await scene.client.request("m", { what: "else" })).toBe(`m\n${session?.session}`);
  });

  test("gives the command a text as it is, anything else as JSON, with a line feed, and bytes without", async () => {
    await using scene = await Scene.open();
    await scene.serve(shell("od -An -c | tr -d ' \\n'"));
    expect(await scene.client.request("m", "a b")).toBe("ab\\n");
    expect(await scene.client.request("m", [1, null])).toBe("[1,null]\\n");
    expect(await scene.client.request("m", Uint8Array.of(65, 0))).toBe("A\\0");
  });

  test.each([
    ["its last line of stderr", "echo first >&2; echo 'no such account' >&2; echo >&2; exit 3", "no such account"],
    ["its exit status where it says nothing", "echo an answer; exit 3", "exit status 3"],
    ["the signal that killed it", "kill -9 $$", "killed by signal 9"],
  ])("tells a failure by %s", async (_what, script, failure) => {
    await using scene = await Scene.open();
    const trial = await scene.serve(shell(script));
    const failing = scene.client.request("m");
    await expect(failing).rejects.toMatchObject({ code: "responder_failed", details: { reason: failure } });
    if (script.includes(">&2")) await trial.complained("first\nno such account\n");
  });

  test.each([1, 3])("runs %d at a time, the others in the order they came", async (lanes) => {
    await using scene = await Scene.open();
    const trial = await scene.serve([
      "-j",
      `${lanes}`,
      ...shell("read n; echo > began-$n; until [ -e end-$n ]; do sleep 0.01; done; echo $n"),
    ]);
    const answers = [0, 1, 2, 3].map((n) => scene.client.request("m", n));
    const began = async (n: number): Promise<boolean> => Bun.file(join(trial.directory, `began-${n}`)).exists();
    await until(() => began(lanes - 1));
    expect(await began(lanes)).toBe(false);
    for (const n of [0, 1, 2, 3]) {
      await until(() => began(n));
      await Bun.write(join(trial.directory, `end-${n}`), "");
      expect(await answers[n]).toBe(n);
    }
  });

  test.each(["SIGINT", "SIGTERM"] as const)(
    "on %s ends its command and dies of it; who asked is told",
    async (signal) => {
      await using scene = await Scene.open();
      const trial = await scene.serve(shell("echo > began; exec sleep 60"));
      const told = [scene.client.request("m"), scene.client.request("m")].map((asking) =>
        asking.catch((error: { code: string; details: { reason: string } }) => [error.code, error.details.reason]),
      );
      await until(() => Bun.file(join(trial.directory, "began")).exists());
      trial.signal(signal);
      const ended = ["responder_failed", `${signal} ended its responder`];
      expect(await Promise.all(told)).toEqual([ended, ended]);
      expect(await trial.ending()).toEqual({ status: signal === "SIGINT" ? 130 : 143, killed: true });
      await until(() => trial.processes().length === 0);
      await expect(scene.client.request("m")).rejects.toMatchObject({ code: "no_responder" });
    },
  );

  test("in a terminal ends by Ctrl-C, which its command gets too", async () => {
    await using scene = await Scene.open();
    const trial = await scene.serve(shell("echo > began; exec sleep 60"), { inTerminal: true });
    const asking = scene.client.request("m");
    await until(() => Bun.file(join(trial.directory, "began")).exists());
    trial.type("\x03");
    await expect(asking).rejects.toThrow(/failed: SIGINT ended its responder$/);
    expect(await trial.ending()).toEqual({ status: 130, killed: true });
  });

  test("killed itself, leaves no command behind, and who asked is told at once", async () => {
    await using scene = await Scene.open();
    const trial = await scene.serve(["-j", "2", ...shell('[ "$(cat)" = slow ] && exec sleep 60; echo quick')]);
    const asking = scene.client.request("m", "slow").catch((error: { details: object }) => error.details);
    // Answered behind it, so that the first command runs by then, and is known to who cleans up.
    expect(await scene.client.request("m")).toBe("quick");
    trial.signal("SIGKILL");
    expect(await asking).toMatchObject({ outcome: "unknown" });
    expect(await trial.ending()).toEqual({ status: 137, killed: true });
    await until(() => trial.processes().length === 0);
  });

  test("ends with status 69 when the broker is gone, and with 127 where there is no such command", async () => {
    await using scene = await Scene.open();
    const trial = await scene.serve(shell("true"));
    await scene.stop();
    expect(await trial.ending()).toEqual({ status: 69, killed: false });
    const absent = await scene.run(["serve", "m", "--", "no-such-command"]);
    expect([absent.status, absent.stderr]).toEqual([127, expect.stringContaining("no-such-command")]);
  });
});

describe("ephemeral send and ephemeral kick", () => {
  test("tell a session something, and send it away", async () => {
    await using scene = await Scene.open();
    const told = Promise.withResolvers<unknown>();
    const over = Promise.withResolvers<Error>();
    await scene.client.onEvent("reload", told.resolve, { onLost: over.resolve });
    const [own] = await scene.client.ps();
    const session = own?.session ?? "";
    expect(await scene.run(["send", session, "reload", '{"all":true}'])).toEqual({ ...quiet, stdout: "" });
    expect(await told.promise).toEqual({ all: true });
    expect((await scene.run(["send", session, "other", "--json"])).stdout).toBe('{"receivers":1}\n');
    const nobody = await scene.run(["send", "s99", "reload"]);
    expect([nobody.status, nobody.stderr]).toEqual([1, expect.stringContaining('no session "s99"')]);
    expect(await scene.run(["kick", session, "--json"])).toEqual({ ...quiet, stdout: '{"kicked":true}\n' });
    expect((await over.promise).message).toContain("kicked (3503)");
    const again = await scene.run(["kick", session]);
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining(`no session "${session}"`)]);
  });

  test("ps shows who serves what", async () => {
    await using scene = await Scene.open();
    await scene.client.serve("sum", () => 0);
    expect((await scene.run(["ps"])).stdout).toMatch(/the client +serves sum +-\n/);
  });
});
