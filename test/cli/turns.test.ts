/**
 * `ephemeral lock`, `sem`, `take` and `once` as a shell sees them, after the table that people know from flock: the command's
 * own ending, who waits for whom, and what is free when somebody dies. Each case has a broker and a folder of its own.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../src/client/client.ts";
import { temporaryDirectory, testBroker } from "../support/broker.ts";
import { type InvocationOptions, invoke } from "../support/invocation.ts";
import { until } from "../support/processes.ts";
import { binaryProgram } from "../support/programs.ts";
import { isThorough } from "../support/thorough.ts";
import { type SeenEnding, Trial } from "../support/trial.ts";

setDefaultTimeout(30_000);

const program = await binaryProgram();
const folders: Disposable[] = [];
afterAll(() => {
  for (const folder of folders) folder[Symbol.dispose]();
});

const exited = (status: number): SeenEnding => ({ status, killed: false });
const killedBy = (signal: number): SeenEnding => ({ status: 128 + signal, killed: true });
const forever = "echo ready; exec sleep 1000";

/** What `why` says of a name that is nobody's. */
const nobody = { holdersCount: 0, waitersCount: 0 };

/** A broker, a client that watches it, and turns taken in it. */
class Turns implements AsyncDisposable {
  readonly client: Client;
  readonly #stack: AsyncDisposableStack;
  readonly #pipe: string;

  private constructor(stack: AsyncDisposableStack, pipe: string) {
    this.#stack = stack;
    this.#pipe = pipe;
    this.client = stack.use(new Client(pipe, { label: "watcher" }));
  }

  static async open(): Promise<Turns> {
    const stack = new AsyncDisposableStack();
    return new Turns(stack, stack.use(await testBroker()).pipe);
  }

  /** Starts the program in a folder of its own. */
  start(args: readonly string[], environment: Record<string, string> = {}): Trial {
    const [command = "", ...rest] = args;
    const placed = [command, "--pipe", this.#pipe, ...rest];
    return this.#stack.use(new Trial(program, { args: placed, environment }));
  }

  /** Runs it to its end. */
  async run(
    args: readonly string[],
    options: InvocationOptions = {},
  ): Promise<{ status: number; stdout: string; stderr: string }> {
    const environment = { EPHEMERAL_PIPE: this.#pipe, ...options.environment };
    return invoke(program, { ...options, args, environment });
  }

  async holders(name: string): Promise<number> {
    return (await this.client.why(name).catch(() => nobody)).holdersCount;
  }

  /** Resolves once so many wait for `name`. */
  async waiting(name: string, count: number): Promise<void> {
    const waiters = async (): Promise<number> => (await this.client.why(name).catch(() => nobody)).waitersCount;
    while ((await waiters()) !== count);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** The program as a script calls it. */
const ephemeral = program.argv.map((word) => `'${word}'`).join(" ");

describe("ephemeral lock", () => {
  test.each([
    ["exit 0", exited(0)],
    ["exit 42", exited(42)],
    ["kill -KILL $$", killedBy(9)],
    ["kill -TERM $$", killedBy(15)],
    ["kill -SEGV $$", killedBy(11)],
  ])("ends as its command ended: %s; and the lock is free then", async (script, ending) => {
    await using turns = await Turns.open();
    const lock = turns.start(["lock", "database", "--", "sh", "-c", script]);
    expect(await lock.ending()).toEqual(ending);
    expect(await turns.holders("database")).toBe(0);
    await lock.closedStreams();
    expect([lock.stdout, lock.stderr]).toEqual(["", ""]);
    await until(() => lock.processes().length === 0);
  });

  test("its command keeps its streams and gets EPHEMERAL_OWNER and EPHEMERAL_FENCE", async () => {
    await using turns = await Turns.open();
    const script = 'cat; echo "$EPHEMERAL_OWNER $EPHEMERAL_FENCE" >&2';
    const lock = await turns.run(["lock", "database", "sh", "-c", script, "sh", "--shared"], { stdin: "typed" });
    expect(lock).toMatchObject({
      status: 0,
      stdout: "typed",
      stderr: expect.stringMatching(/^\d+-[0-9a-f]{8} \d+\n$/),
    });
    const kept = await turns.run(["lock", "database", "--", "printenv", "EPHEMERAL_OWNER"], {
      environment: { EPHEMERAL_OWNER: "checkout" },
    });
    expect(kept.stdout).toBe("checkout\n");
  });

  test.each([
    [["--wait", "50ms"], 75],
    [["--wait", "0"], 75],
    [["-w", "0", "-E", "9"], 9],
    [["--conflict-status=0", "--wait=0"], 0],
  ])("%j ends in vain with %i, and says who has it", async (flags, status) => {
    await using turns = await Turns.open();
    const holder = turns.start(["lock", "database", "--", "sh", "-c", forever], {
      EPHEMERAL_LABEL: "checkout.spec.ts",
    });
    await holder.said("ready");
    const vain = await turns.run(["lock", ...flags, "database", "--", "echo", "never"]);
    expect(vain).toMatchObject({ status, stdout: "" });
    expect(vain.stderr).toMatch(/"database" held by checkout\.spec\.ts for \d+ m?s/);
  });

  test("a second waits until the first has ended; those who share do not", async () => {
    await using turns = await Turns.open();
    const first = turns.start(["lock", "--shared", "database", "--", "sh", "-c", forever]);
    await first.said("ready");
    expect((await turns.run(["lock", "database", "--shared", "--", "echo", "too"])).stdout).toBe("too\n");
    const second = turns.start(["lock", "database", "--", "sh", "-c", "echo mine"]);
    await turns.waiting("database", 1);
    expect(second.stdout).toBe("");
    first.signal("SIGTERM");
    expect(await first.ending()).toEqual(killedBy(15));
    expect(await second.ending()).toEqual(exited(0));
  });

  test("a background grandchild does not keep it, and is left alone", async () => {
    await using turns = await Turns.open();
    const lock = turns.start(["lock", "database", "--", "sh", "-c", "sleep 1000 & exit 3"]);
    expect(await lock.ending()).toEqual(exited(3));
    expect(await turns.holders("database")).toBe(0);
    await until(() => lock.find(["sleep", "1000"]) !== undefined);
  });

  test("SIGKILL frees it at once, and its command and what that began end, too", async () => {
    await using turns = await Turns.open();
    const lock = turns.start([
      "lock",
      "database",
      "--",
      "sh",
      "-c",
      "sleep 1001 & trap '' TERM; echo ready; while :; do sleep 0.02; done",
    ]);
    await lock.said("ready");
    const next = turns.client.lock("database", { waitMs: 10_000 });
    await turns.waiting("database", 1);
    lock.signal("SIGKILL");
    expect((await next).value).toBe(0);
    await until(() => lock.processes().length === 0);
  });

  test("who is killed in line leaves it", async () => {
    await using turns = await Turns.open();
    const held = await turns.client.lock("database");
    for (const [signal, number] of [
      ["SIGINT", 2],
      ["SIGTERM", 15],
      ["SIGKILL", 9],
    ] as const) {
      const lock = turns.start(["lock", "database", "--", "echo", "never"]);
      await turns.waiting("database", 1);
      lock.signal(signal);
      expect(await lock.ending()).toEqual(killedBy(number));
      await turns.waiting("database", 0);
      expect(lock.stdout).toBe("");
    }
    await held.release();
  });

  test("within a lock another one, and both are free behind it", async () => {
    await using turns = await Turns.open();
    const script = `${ephemeral} lock b -- sh -c 'echo inner $EPHEMERAL_OWNER; ${ephemeral} holders'; echo outer $EPHEMERAL_OWNER`;
    const { status, stdout } = await turns.run(["lock", "a", "--", "sh", "-c", script]);
    expect(status).toBe(0);
    const [inner, , ofA, ofB, outer] = stdout.split("\n");
    expect(inner?.split(" ")[1]).toBe(outer?.split(" ")[1]);
    expect([ofA?.split(/ +/)[0], ofB?.split(/ +/)[0]]).toEqual(["a", "b"]);
    expect(await Promise.all([turns.holders("a"), turns.holders("b")])).toEqual([0, 0]);
  });

  test("the same lock within itself is refused, as it would wait for ever", async () => {
    await using turns = await Turns.open();
    const { status, stderr } = await turns.run(["lock", "a", "--", ...program.argv, "lock", "a", "--", "true"]);
    expect(status).toBe(75);
    expect(stderr).toMatch(/^ephemeral: Cannot acquire "a", it would wait for ever: .*"a" held by .*\n/);
  });

  test("a deadlock of two shells is refused to the second, with the circle in words", async () => {
    await using turns = await Turns.open();
    const nested = (other: string): readonly string[] => [
      "--",
      "sh",
      "-c",
      `echo ready; read line; exec ${ephemeral} lock ${other} -E 33 -- echo got ${other}`,
    ];
    const shells = (["a", "b"] as const).map((name, index) => {
      const args = ["lock", "--pipe", pipeOf(turns), name, ...nested(name === "a" ? "b" : "a")];
      const environment = { EPHEMERAL_LABEL: `shell ${index + 1}` };
      return new Trial(program, { args, environment, stdin: "pipe" });
    });
    const [one, two] = shells;
    await using stack = new AsyncDisposableStack();
    for (const shell of shells) stack.use(shell);
    if (one === undefined || two === undefined) throw new Error("there are two");
    await Promise.all([one.said("ready"), two.said("ready")]);
    one.type("\n");
    await turns.waiting("b", 1);
    two.type("\n");
    expect(await two.ending()).toEqual(exited(33));
    expect(two.stderr).toContain("it would wait for ever");
    expect(two.stderr).toMatch(/shell 2 .*waits for "a" held by shell 1 .*, shell 1 .*waits for "b" held by shell 2/);
    expect(await one.ending()).toEqual(exited(0));
    expect(one.stdout).toContain("got b");
  });

  test.if(isThorough)("after 5 seconds one line on stderr says for whom it waits", async () => {
    await using turns = await Turns.open();
    using checkout = new Client(pipeOf(turns), { label: "playwright:3 checkout.spec.ts" });
    const held = await checkout.lock("database");
    const startedAtMs = performance.now();
    const lock = turns.start(["lock", "database", "--", "echo", "done"], { EPHEMERAL_LABEL: "report" });
    await until(() => lock.stderr !== "", 10_000);
    expect(performance.now() - startedAtMs).toBeGreaterThan(5000);
    await held.release();
    expect(await lock.ending()).toEqual(exited(0));
    expect(lock.stderr).toMatch(
      /^ephemeral: Waiting for "database": held by playwright:3 checkout\.spec\.ts for [56]s; waiting: report for [456]s\n$/,
    );
    expect(lock.stdout).toBe("done\n");
  });

  test.each([
    [["lock", "a", "--", "no-such-command"], 127, "it is not on PATH"],
    [["lock", "a", "--", "/"], 126, "it is a directory"],
    [["lock", "a"], 64, "there is no command"],
    [["lock", "--", "true"], 64, "LOCK is missing"],
    [["lock", "a", "-E", "256", "--", "true"], 64, "wanted at most 255"],
    [["sem", "a", "--", "true"], 64, "--seats is missing"],
    [["sem", "a", "-n", "0", "--", "true"], 64, "got 0\nWrite: ephemeral sem NAME -n 3 -- command"],
    [["sem", "a", "-n", "x", "--", "true"], 64, 'got "x"\nWrite: ephemeral sem NAME -n 3 -- command'],
  ])("%j: %i", async (args, status, why) => {
    await using turns = await Turns.open();
    const refused = await turns.run(args);
    expect(refused).toMatchObject({ status, stdout: "", stderr: expect.stringContaining(why) });
  });

  test("without a broker: 69, and how to start one", async () => {
    const environment = { EPHEMERAL_PIPE: "/nowhere/sock" };
    const lock = await invoke(program, { args: ["lock", "a", "--", "true"], environment });
    expect(lock).toMatchObject({ status: 69, stderr: expect.stringContaining("ephemeral start -- your-command") });
  });
});

describe("ephemeral sem", () => {
  test("gives a seat of so many, and no more", async () => {
    await using turns = await Turns.open();
    const script = 'echo "seat $EPHEMERAL_VALUE"; exec sleep 1000';
    const seats = [0, 1].map(() => turns.start(["sem", "browsers", "-n", "2", "--", "sh", "-c", script]));
    await Promise.all(seats.map((seat) => seat.said("seat")));
    expect(seats.map(({ stdout }) => stdout).sort()).toEqual(["seat 0\n", "seat 1\n"]);
    expect((await turns.run(["sem", "browsers", "-n2", "--wait", "0", "--", "true"])).status).toBe(75);
    expect(await turns.run(["sem", "browsers", "--seats", "3", "--", "true"])).toMatchObject({ status: 1 });
  });
});

describe("ephemeral take and pool", () => {
  test("define, take by tag, quarantine and add again", async () => {
    await using turns = await Turns.open();
    const file = '{"value":{"user":"ada"},"tags":["admin","eu"]}\n{"value":"bob","tags":["eu"]}\n\n7\n';
    const defined = await turns.run(["pool", "define", "accounts", "--file", "-", "--json"], { stdin: file });
    expect(defined).toEqual({ status: 0, stdout: '{"size":3}\n', stderr: "" });
    const value = ["--", "printenv", "EPHEMERAL_VALUE"];
    expect((await turns.run(["take", "accounts", "--match", "eu", "--match", "admin", ...value])).stdout).toBe(
      '{"user":"ada"}\n',
    );
    const held = await turns.client.acquire("accounts");
    expect((await turns.run(["take", "accounts", ...value])).stdout).toBe("bob\n");
    const reason = ["--reason", "password expired"];
    const refused = await turns.run(["pool", "quarantine", "accounts", "3", ...reason]);
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining("there is none") });
    expect((await turns.run(["pool", "quarantine", "accounts", "1", ...reason])).status).toBe(0);
    expect((await turns.run(["take", "accounts", ...value])).stdout).toBe("7\n");
    const shown = (await turns.run(["pool", "show", "accounts"])).stdout.split("\n");
    expect(shown[0]).toMatch(
      /^"accounts": 1 of 3 free; item 0 held by watcher for .*; item 1 quarantined by .*: password expired$/,
    );
    expect(shown.slice(1, 4).map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
      ["ITEM", "STATE", "BY"],
      ["0", "held", "watcher"],
      ["1", "quarantined", expect.any(String)],
    ]);
    expect((await turns.run(["pool", "quarantine", "accounts", "0", "--reason", "locked"])).status).toBe(0);
    expect((await turns.run(["why", "accounts"])).stdout).toMatch(
      /^"accounts": 1 of 3 free; item 0 held by watcher for .*; item 0 quarantined by .*: locked, item 1 quarantined by /,
    );
    await held.release();
    expect((await turns.run(["why", "accounts"])).stdout).toMatch(/^"accounts": 1 of 3 free; item 0 quarantined by /);
    const ada = ['{"value":{"user":"ada"},"tags":["admin","eu"]}', "--json-value"];
    expect((await turns.run(["pool", "add", "accounts", ...ada])).status).toBe(0);
    expect((await turns.run(["pool", "add", "accounts", "bob", "--tag", "eu"])).status).toBe(0);
    expect((await turns.run(["why", "accounts"])).stdout).toBe('"accounts": 3 of 3 free; nobody waits\n');
    expect((await turns.run(["pool", "remove", "accounts", "2", "--json"])).stdout).toBe('{"size":2}\n');
    expect((await turns.run(["pool", "remove", "accounts"])).status).toBe(0);
    expect((await turns.run(["pool", "show", "accounts"])).status).toBe(1);
  });

  test("a pool nobody has defined is waited for", async () => {
    await using turns = await Turns.open();
    const take = turns.start(["take", "accounts", "--", "printenv", "EPHEMERAL_VALUE"]);
    await turns.waiting("accounts", 1);
    expect((await turns.run(["why", "accounts"])).stdout).toContain('"accounts": nobody has defined it');
    await turns.run(["pool", "define", "accounts", '["a list"]', "--json-value"]);
    expect(await take.ending()).toEqual(exited(0));
    expect(take.stdout).toBe('["a list"]\n');
  });

  test.each([
    [["pool", "define", "p"], "there are none"],
    [["pool", "define", "p", "{", "--json-value"], "ITEM 1 is no JSON"],
    [["pool", "define", "p", "--file", "/nowhere"], "Cannot read --file"],
    [["pool", "define", "p", '{"value":1,"tags":"x"}', "--json-value"], "the tags of ITEM 1 are no list of words"],
    [["pool", "drop", "p"], 'got "drop"'],
    [["pool", "quarantine", "p", "0"], "--reason is missing"],
    [["pool", "remove", "p", "x"], 'got "x"'],
  ])("refuses %j", async (args, why) => {
    await using turns = await Turns.open();
    expect(await turns.run(args)).toMatchObject({ status: 64, stdout: "", stderr: expect.stringContaining(why) });
  });
});

describe("ephemeral once", () => {
  /** A folder where each run of a script leaves a file. */
  function counter(): { readonly mark: string; readonly runs: () => number } {
    const folder = temporaryDirectory();
    folders.push(folder);
    return {
      mark: `mktemp ${join(folder.path, "run-XXXXXX")} > /dev/null`,
      runs: () => readdirSync(folder.path).length,
    };
  }

  test("eight shells, one run; its output and status are everyone's, and are kept", async () => {
    await using turns = await Turns.open();
    const { mark, runs } = counter();
    const script = `${mark}; sleep 0.2; printf 'token\\nétoile'`;
    const once = (): Promise<unknown> => turns.run(["once", "login", "--ttl", "1h", "--", "sh", "-c", script]);
    const all = await Promise.all(Array.from({ length: 8 }, once));
    expect(all).toEqual(Array.from({ length: 8 }, () => ({ status: 0, stdout: "token\nétoile", stderr: "" })));
    expect(await once()).toEqual(all[0]);
    expect(runs()).toBe(1);
    expect(await turns.client.get<string>("login")).toBe("token\nétoile");
  });

  test("bytes come as they are", async () => {
    await using turns = await Turns.open();
    const once = ["once", "bytes", "--", "sh", "-c", "printf '\\377\\000\\n'"];
    await turns.run(once);
    expect(await turns.client.get<Uint8Array>("bytes")).toEqual(Uint8Array.of(255, 0, 10));
  });

  test("a failed run's status is that of all who wait, and is not kept", async () => {
    await using turns = await Turns.open();
    const { mark, runs } = counter();
    const script = `${mark}; echo said; read line; exit 4`;
    const leader = new Trial(program, {
      args: ["once", "--pipe", pipeOf(turns), "k", "--", "sh", "-c", script],
      stdin: "pipe",
      environment: { EPHEMERAL_LABEL: "shell 1" },
    });
    await using _leader = leader;
    await until(() => runs() === 1);
    const follower = turns.start(["once", "k", "--", "sh", "-c", script]);
    await turns.waiting("k", 1);
    leader.type("\n");
    expect(await Promise.all([leader.ending(), follower.ending()])).toEqual([exited(4), exited(4)]);
    await Promise.all([leader.closedStreams(), follower.closedStreams()]);
    expect([leader.stdout, follower.stdout]).toEqual(["said\n", ""]);
    expect(follower.stderr).toContain("shell 1 could not produce it: exit status 4");
    expect(await turns.run(["once", "k", "--", "sh", "-c", `${mark}; exit 5`])).toMatchObject({ status: 5 });
    expect(runs()).toBe(2);
  });

  test("when the one who runs it is killed, the first who waits runs it", async () => {
    await using turns = await Turns.open();
    const leader = turns.start(["once", "k", "--", "sh", "-c", forever]);
    await turns.client.ping();
    await until(() => leader.find(["sleep", "1000"]) !== undefined);
    const follower = turns.start(["once", "k", "--", "echo", "mine"]);
    await turns.waiting("k", 1);
    leader.signal("SIGKILL");
    expect(await follower.ending()).toEqual(exited(0));
    expect(follower.stdout).toBe("mine\n");
    await until(() => leader.processes().length === 0);
  });

  test("output that is too large to share is printed here all the same", async () => {
    await using turns = await Turns.open();
    const large = await turns.run(["once", "k", "--", "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"]);
    expect(large.status).toBe(0);
    expect(large.stdout).toHaveLength(300_000);
    expect(large.stderr).toContain('The others do not get the output of "k"');
  });
});

describe("ephemeral why and holders", () => {
  test("say in one line who holds it, since when, and who waits", async () => {
    await using turns = await Turns.open();
    using checkout = new Client(pipeOf(turns), { label: "playwright:3 checkout.spec.ts" });
    using login = new Client(pipeOf(turns), { label: "playwright:1 login.spec.ts" });
    await checkout.lock("database");
    const waiting = login.lock("database").catch(() => {});
    await turns.waiting("database", 1);
    const why = await turns.run(["why", "database"]);
    expect(why.stdout).toMatch(
      /^"database": held by playwright:3 checkout\.spec\.ts for \d+ms; waiting: playwright:1 login\.spec\.ts for \d+ms\n$/,
    );
    expect(JSON.parse((await turns.run(["why", "database", "--json"])).stdout)).toMatchObject({
      holders: [{ label: "playwright:3 checkout.spec.ts", mode: "exclusive" }],
      waiters: [{ label: "playwright:1 login.spec.ts" }],
    });
    const holders = await turns.run(["holders"]);
    expect(holders.stdout.split("\n")[1]).toMatch(/^database {2}0 +grant +playwright:3 checkout\.spec\.ts +\d+ms +1$/);
    expect((await turns.run(["ps"])).stdout).toContain("grant database 0");
    login.close();
    await waiting;
    expect(await turns.run(["why", "nothing"])).toMatchObject({ status: 1 });
  });

  test("--watch shows it again when it has changed", async () => {
    await using turns = await Turns.open();
    const watch = turns.start(["holders", "--watch", "--json"]);
    await watch.said('{"holders":[]}\n');
    const held = await turns.client.lock("database");
    await watch.said('"name":"database"');
    await held.release();
    await until(() => watch.stdout.trimEnd().split("\n").length === 3);
    watch.signal("SIGINT");
    expect(await watch.ending()).toEqual(killedBy(2));
  });
});

function pipeOf({ client }: Turns): string {
  return client.pipe;
}
