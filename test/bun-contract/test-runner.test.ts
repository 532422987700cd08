/** What `bun test` does with preloads, environments, children and signals. Imports nothing of ours. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { isAlive, Scratch, until } from "./scratch.ts";

/** Every event goes into a file, as the runner's own output is the runner's. */
const preload = `
  import { appendFileSync, readFileSync } from "node:fs";
  import { afterAll } from "bun:test";
  globalThis.say = (what, facts = {}) => appendFileSync("log", JSON.stringify({
    what, pid: process.pid, worker: process.env.BUN_TEST_WORKER_ID ?? null,
    isWorkerByCommandLine: readFileSync("/proc/self/cmdline", "utf8").split("\\0").includes("--test-worker"), ...facts }) + "\\n");
  globalThis.preloads = (globalThis.preloads ?? 0) + 1;
  say("preload", { ppid: process.ppid, preloads, leftByTest: process.env.LEFT_BY_TEST ?? null });
  process.env.LEFT_BY_PRELOAD = "here";
  afterAll(() => say("afterAll"));
  process.on("exit", () => say("exit"));
`;
const testFile = (name: string): string => `
  import { expect, test } from "bun:test";
  test("${name}", async () => {
    say("test ${name}", { seen: process.env.LEFT_BY_PRELOAD ?? null });
    process.env.LEFT_BY_TEST = "left";
    if (process.env.FAIL) expect(1).toBe(2);
    if (process.env.HANG) await new Promise(() => setInterval(() => {}, 1000));
  });`;

interface Event {
  readonly what: string;
  readonly pid: number;
  readonly worker: string | null;
  readonly isWorkerByCommandLine: boolean;
  readonly ppid?: number;
  readonly preloads?: number;
  readonly leftByTest?: string | null;
  readonly seen?: string | null;
  readonly child?: number;
  /** Sockets that were open when the preload began. */
  readonly before?: number;
}

const suite = (extraPreload = ""): Scratch =>
  new Scratch({
    "bunfig.toml": '[test]\npreload = ["./preload.ts"]',
    "preload.ts": preload + extraPreload,
    "a.test.ts": testFile("a"),
    "b.test.ts": testFile("b"),
    "c.test.ts": testFile("c"),
  });

const eventsOf = (scratch: Scratch): readonly Event[] =>
  existsSync(scratch.at("log"))
    ? readFileSync(scratch.at("log"), "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Event)
    : [];
const whats = (scratch: Scratch): readonly string[] => eventsOf(scratch).map(({ what }) => what);
const preloadsOf = (scratch: Scratch): readonly Event[] => eventsOf(scratch).filter(({ what }) => what === "preload");

describe.concurrent("bun test", () => {
  test("runs a preload once for all files, keeps the environment between them, and emits no exit event", async () => {
    using scratch = suite();
    expect((await scratch.bun(["test"])).status).toBe(0);
    expect(whats(scratch)).toEqual(["preload", "test a", "test b", "test c", "afterAll"]);
  });

  test("runs a preload anew for each file with --isolate, in the same process, and resets the environment", async () => {
    using scratch = suite();
    expect((await scratch.bun(["test", "--isolate"])).status).toBe(0);
    expect(whats(scratch)).toEqual(["a", "b", "c"].flatMap((name) => ["preload", `test ${name}`, "afterAll"]));
    const events = eventsOf(scratch);
    expect(new Set(events.map(({ pid }) => pid)).size).toBe(1);
    expect(preloadsOf(scratch).map(({ preloads, leftByTest }) => [preloads, leftByTest])).toEqual(
      Array(3).fill([1, null]),
    );
    expect(events.filter(({ seen }) => seen !== undefined).map(({ seen }) => seen)).toEqual(Array(3).fill("here"));
  });

  test("runs a preload for each file in the workers of --parallel, and no code of ours in the coordinator", async () => {
    using scratch = suite();
    const run = scratch.start([process.execPath, "test", "--parallel=2"]);
    expect(await run.exited).toBe(0);
    const preloads = preloadsOf(scratch);
    expect(preloads.length).toBe(3);
    expect(preloads.every(({ isWorkerByCommandLine, ppid }) => isWorkerByCommandLine && ppid === run.pid)).toBe(true);
    expect(preloads.every(({ worker }) => worker === "1" || worker === "2")).toBe(true);
    expect(eventsOf(scratch).some(({ pid, what }) => pid === run.pid || what === "exit")).toBe(false);
  });

  test("runs a single file with --parallel in the coordinator itself, which says that it is worker 1", async () => {
    using scratch = suite();
    const run = scratch.start([process.execPath, "test", "--parallel=2", "a.test.ts"]);
    expect(await run.exited).toBe(0);
    expect(preloadsOf(scratch)).toEqual([
      expect.objectContaining({ pid: run.pid, worker: "1", isWorkerByCommandLine: false }),
    ]);
  });

  const spawning = `
    const child = Bun.spawn(["sh", "-c", "trap 'echo TERM >> signals; exit' TERM; echo > up.$$; while :; do sleep 0.02; done"],
      { detached: true, stdio: ["ignore", "ignore", "ignore"] });
    child.unref();
    while (!require("node:fs").existsSync("up." + child.pid)) await Bun.sleep(2);
    say("spawned", { child: child.pid });`;

  test.each([
    ["--isolate sends SIGTERM to the children of each file but the last", ["--isolate"], [false, false, true]],
    ["--parallel sends SIGTERM to the children of every file", ["--parallel=2"], [false, false, false]],
  ])("with %s, detached ones too", async (_what, flags, survivors) => {
    using scratch = suite(spawning);
    expect((await scratch.bun(["test", ...flags])).status).toBe(0);
    const children = eventsOf(scratch).flatMap(({ child }) => child ?? []);
    try {
      await until(() => Bun.deepEquals(children.map(isAlive), survivors));
      const ended = survivors.filter((survives) => !survives).length;
      expect(readFileSync(scratch.at("signals"), "utf8")).toBe("TERM\n".repeat(ended));
    } finally {
      for (const child of children) if (isAlive(child)) process.kill(child, "SIGKILL");
    }
  });

  test("leaves detached children alone without --isolate, and those forked twice with it", async () => {
    using plain = suite(spawning);
    using isolated = suite(`
      const done = Bun.spawnSync(["sh", "-c", "sleep 1000 > /dev/null 2>&1 & echo $!"], { stdin: "ignore" });
      say("spawned", { child: Number(done.stdout) });`);
    await Promise.all([plain.bun(["test"]), isolated.bun(["test", "--isolate"])]);
    const children = [...eventsOf(plain), ...eventsOf(isolated)].flatMap(({ child }) => child ?? []);
    const alive = children.filter(isAlive);
    for (const child of alive) process.kill(child, "SIGKILL");
    expect([children.length, alive.length]).toEqual([4, 4]);
  });

  test("closes the sockets a preload opened when the file ends, with --isolate", async () => {
    using scratch = suite(`
      const { readdirSync, statSync } = require("node:fs");
      const isSocket = (name) => { try { return statSync("/proc/self/fd/" + name).isSocket(); } catch { return false; } };
      const before = readdirSync("/proc/self/fd").filter(isSocket).length;
      await Bun.connect({ unix: "sock", socket: { data() {} } });
      say("connected", { before });`);
    let opened = 0;
    let closed = 0;
    const socket = { open: () => void opened++, data: () => undefined, close: () => void closed++ };
    const listener = Bun.listen({ unix: scratch.at("sock"), socket });
    expect((await scratch.bun(["test", "--isolate"])).status).toBe(0);
    await until(() => closed === 3);
    const before = eventsOf(scratch).flatMap((event) => event.before ?? []);
    expect([opened, before]).toEqual([3, Array(3).fill(before[0])]);
    listener.stop(true);
  });

  test("skips a preload's afterAll when --bail ends a serial run", async () => {
    using scratch = suite();
    const { status } = await scratch.bun(["test", "--bail"], { FAIL: "1" });
    expect([status, whats(scratch)]).toEqual([1, ["preload", "test a"]]);
  });

  test.each([["SIGINT"], ["SIGTERM"]] as const)("skips a preload's afterAll when %s ends it", async (signal) => {
    using scratch = suite();
    const run = scratch.start([process.execPath, "test", "a.test.ts", "--timeout=20000"], { HANG: "1" });
    await until(() => whats(scratch).includes("test a"));
    run.kill(signal);
    await run.exited;
    expect([run.signalCode, whats(scratch)]).toEqual([signal, ["preload", "test a"]]);
  });

  test("goes on after SIGINT when a preload has a handler for it", async () => {
    using scratch = suite('process.on("SIGINT", () => say("interrupted"));');
    const run = scratch.start([process.execPath, "test", "a.test.ts", "--timeout=20000"], { HANG: "1" });
    await until(() => whats(scratch).includes("test a"));
    run.kill("SIGINT");
    await until(() => whats(scratch).includes("interrupted"));
    await Bun.sleep(100);
    expect(isAlive(run.pid)).toBe(true);
    run.kill("SIGKILL");
    await run.exited;
  });
});
