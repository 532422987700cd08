import { describe, expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { type RunningBroker, startBroker } from "../../src/broker/broker.ts";
import { isBrokerName } from "../../src/broker/broker-name.ts";
import { type BrokerEvent, type BrokerState, nextBrokerState } from "../../src/broker/broker-state.ts";
import { type BrokerOptions, brokerConfig } from "../../src/broker/config.ts";
import { formatIdentity, identityOf, isRunning, parseIdentity } from "../../src/broker/pipe/process-identity.ts";
import { claimedDirectories, claimRunDirectory } from "../../src/broker/pipe/run-directory.ts";
import { lineClient, temporaryDirectory } from "../support/broker.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { until } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";

/** A broker whose time the test decides. */
async function timedBroker(options: BrokerOptions = {}): Promise<AsyncDisposable & TimedBroker> {
  const directory = temporaryDirectory();
  const runRoot = join(directory.path, "run");
  const clock = new ManualClock();
  const broker = await startBroker(brokerConfig({ ...options, runRoot }), { clock });
  return {
    broker,
    clock,
    runRoot,
    async [Symbol.asyncDispose]() {
      await broker.stop();
      directory[Symbol.dispose]();
    },
  };
}

interface TimedBroker {
  readonly broker: RunningBroker;
  readonly clock: ManualClock;
  readonly runRoot: string;
}

/** What `promise` has settled with by now, or "pending". */
function now<Value>(promise: Promise<Value>): Promise<Value | "pending"> {
  return Promise.race([promise, Bun.sleep(0).then(() => "pending" as const)]);
}

/** Waits until the broker has seen as many connections as `count`. */
async function connections(pipe: string, count: number): Promise<void> {
  using observer = await lineClient(pipe);
  for (let seen = -1; seen !== count; ) {
    const { connections } = (await observer.ask({ action: "health" })) as { connections: { open: number } };
    seen = connections.open - 1;
  }
}

describe("nextBrokerState()", () => {
  test.each([
    ["running", "drain", "draining"],
    ["running", "stop", "stopped"],
    ["draining", "drain", "draining"],
    ["draining", "stop", "stopped"],
    ["stopped", "drain", "stopped"],
    ["stopped", "stop", "stopped"],
  ] as const)("%s + %s → %s", (state: BrokerState, event: BrokerEvent, next: BrokerState) => {
    expect(nextBrokerState(state, event)).toBe(next);
  });
});

describe("isBrokerName()", () => {
  test.each(["a", "A-z_0.9", "_", "-", "a..b", "3".repeat(32)])("takes %j", (name) => {
    expect(isBrokerName(name)).toBe(true);
  });

  test.each(["", ".", "..", ".a", "a/b", "a b", "ä", "a\n", "a\0", "3".repeat(33)])("refuses %j", (name) => {
    expect(isBrokerName(name)).toBe(false);
    const error = refusal(() => brokerConfig({ runRoot: "/nowhere", name }));
    expect(error.code).toBe("bad_command");
    expect(error.message).toContain("wanted a name of 1 to 32 of A-Z a-z 0-9 . _ -");
  });
});

describe("a process's identity", () => {
  test("is its pid and its birth, as /proc tells it, and there and back as text", () => {
    const self = identityOf(process.pid);
    const stat = fs.readFileSync("/proc/self/stat", "utf8");
    expect(self).toEqual({ pid: process.pid, birth: stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] });
    expect(formatIdentity({ pid: 1, birth: "22" })).toBe("1:22");
    expect(formatIdentity({ pid: 1, birth: undefined })).toBe("1");
    expect(parseIdentity("1:22")).toEqual({ pid: 1, birth: "22" });
    expect(parseIdentity("1")).toEqual({ pid: 1, birth: undefined });
  });

  test.each(["", "0", "0:1", "-1", "1:", ":1", "1:2:3", "1 ", "a", "12345678901", "1:x"])("is not in %j", (text) => {
    expect(parseIdentity(text)).toBeUndefined();
  });

  test("tells a process from a later one of the same pid, and from one that has ended", async () => {
    const child = Bun.spawn(["sleep", "1000"]);
    const identity = identityOf(child.pid);
    if (identity?.birth === undefined) throw new Error("no birth");
    expect(isRunning(identity)).toBe(true);
    expect(isRunning({ ...identity, birth: `${BigInt(identity.birth) + 1n}` })).toBe(false);
    child.kill("SIGKILL");
    await child.exited;
    expect(isRunning(identity)).toBe(false);
  });

  test("is that of nobody for a zombie", async () => {
    const parent = Bun.spawn(["sh", "-c", "sleep 0 & echo $!; exec sleep 1000"], { stdout: "pipe" });
    const { value } = await parent.stdout.getReader().read();
    const zombie = Number(new TextDecoder().decode(value));
    await until(() => /\) Z /.test(fs.readFileSync(`/proc/${zombie}/stat`, "utf8")));
    expect(identityOf(zombie)).toBeUndefined();
    parent.kill();
    await parent.exited;
  });
});

describe("startBroker() with a name", () => {
  test("listens in the directory of that name; its lock says who holds it", async () => {
    await using timed = await timedBroker({ name: "ci" });
    const { broker, runRoot } = timed;
    expect(broker.pipe).toBe(join(runRoot, "ci", "sock"));
    const holder = identityOf(process.pid);
    expect(fs.readFileSync(join(runRoot, "ci", "lock"), "utf8")).toBe(`${process.pid}:${holder?.birth}\n`);
    expect(claimedDirectories(runRoot)).toEqual([
      { name: "ci", pipe: broker.pipe, holder, sinceMs: expect.any(Number) as unknown as number },
    ]);
  });

  test("is refused while another one has the name, at once and with its pid; the other is not disturbed", async () => {
    await using timed = await timedBroker({ name: "ci" });
    const { broker, runRoot } = timed;
    using waits = spyOn(Bun, "sleepSync");
    const error = await startBroker(brokerConfig({ runRoot, name: "ci" })).then(
      () => undefined,
      (refused: unknown) => refused,
    );
    // A holder that lives and says so is not waited for.
    expect(waits).not.toHaveBeenCalled();
    expect(error).toMatchObject({
      code: "unavailable",
      message: `Cannot start broker: the name "ci" is held by another one, process ${process.pid} (${join(runRoot, "ci")})`,
      details: { name: "ci", pid: process.pid, isEnding: false },
    });
    using client = await lineClient(broker.pipe);
    expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
  });

  test("takes a stale directory over: a socket nobody listens at, a lock nobody holds, whoever it names", async () => {
    using directory = temporaryDirectory();
    const runRoot = join(directory.path, "run");
    fs.mkdirSync(join(runRoot, "ci"), { recursive: true, mode: 0o700 });
    fs.chmodSync(runRoot, 0o700);
    fs.writeFileSync(join(runRoot, "ci", "sock"), "");
    fs.writeFileSync(join(runRoot, "ci", "lock"), `1:${"9".repeat(20)}\nmore of it than we ever write`);
    const claim = claimRunDirectory(runRoot, "ci");
    expect(fs.readdirSync(claim.path)).toEqual(["lock"]);
    expect(fs.readFileSync(join(runRoot, "ci", "lock"), "utf8")).toBe(`${formatIdentity(identityOf(process.pid)!)}\n`);
    claim.release();
  });

  // Failed like this: a broker whose directory had been removed by hand took that of its successor along.
  test("leaves alone at its end what has taken the place of its own directory", async () => {
    await using timed = await timedBroker({ name: "ci" });
    const { broker, runRoot } = timed;
    fs.rmSync(broker.directory, { recursive: true });
    const successor = claimRunDirectory(runRoot, "ci");
    await broker.stop();
    expect(fs.readdirSync(successor.path)).toEqual(["lock"]);
    successor.release();
    expect(fs.existsSync(runRoot)).toBe(false);
  });
});

describe("idleTimeoutMs", () => {
  test("asks for the end when nobody ever connected, at its instant and not before", async () => {
    await using timed = await timedBroker({ idleTimeoutMs: 1000 });
    const { broker, clock } = timed;
    clock.advance(999);
    expect(await now(broker.endAsked)).toBe("pending");
    clock.advance(1);
    expect(await now(broker.endAsked)).toBe("idle");
  });

  test("begins anew when the last connection goes, and never passes while there is one", async () => {
    await using timed = await timedBroker({ idleTimeoutMs: 1000 });
    const { broker, clock } = timed;
    clock.advance(900);
    const first = await lineClient(broker.pipe);
    await first.ask({ action: "ping" });
    const second = await lineClient(broker.pipe);
    await second.ask({ action: "ping" });
    clock.advance(1_000_000);
    first[Symbol.dispose]();
    await connections(broker.pipe, 1);
    clock.advance(1_000_000);
    expect(await now(broker.endAsked)).toBe("pending");
    second[Symbol.dispose]();
    // The observer's going is what begins the time anew.
    await connections(broker.pipe, 0);
    await until(() => clock.alarmsPending > 0);
    clock.advance(999);
    expect(await now(broker.endAsked)).toBe("pending");
    clock.advance(1);
    expect(await now(broker.endAsked)).toBe("idle");
  });

  test("of 0, the default, never passes", async () => {
    await using timed = await timedBroker();
    expect(timed.clock.alarmsPending).toBe(0);
  });

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("of %p is refused", (idleTimeoutMs) => {
    expect(refusal(() => brokerConfig({ runRoot: "/nowhere", idleTimeoutMs })).code).toBe("bad_command");
  });
});

describe("drain", () => {
  test("said by a client asks for the end, refuses new joiners at once and serves everything else", async () => {
    await using timed = await timedBroker();
    const { broker } = timed;
    using client = await lineClient(broker.pipe);
    expect(await now(broker.endAsked)).toBe("pending");
    expect(await client.ask({ action: "drain" })).toEqual({ ok: true, joiners: 0 });
    expect(await now(broker.endAsked)).toBe("drain");
    expect(await client.ask({ action: "join" })).toMatchObject({ ok: false, error: "draining", retryable: true });
    expect(await client.ask({ action: "set", key: "k", value: 1, ttl: 1000 })).toMatchObject({ ok: true });
    expect(await client.ask({ action: "health" })).toMatchObject({ connections: { draining: true } });
  });

  test("resolves at once when nobody joined, however long the grace is", async () => {
    await using timed = await timedBroker();
    using client = await lineClient(timed.broker.pipe);
    await client.ask({ action: "ping" });
    expect(await now(timed.broker.drain(1_000_000))).toBeUndefined();
  });

  test("resolves when the last session that joined ends, not when others do", async () => {
    await using timed = await timedBroker();
    const { broker } = timed;
    using first = await lineClient(broker.pipe);
    using second = await lineClient(broker.pipe);
    const other = await lineClient(broker.pipe);
    expect(await first.ask({ action: "join" })).toEqual({ ok: true, joiners: 1 });
    expect(await second.ask({ action: "join" })).toEqual({ ok: true, joiners: 2 });
    await other.ask({ action: "ping" });
    const drained = broker.drain(1_000_000);
    other[Symbol.dispose]();
    first[Symbol.dispose]();
    await connections(broker.pipe, 1);
    expect(await now(drained)).toBe("pending");
    second[Symbol.dispose]();
    await drained;
  });

  test("waits for a joiner that has lost its connection as long as its session lingers", async () => {
    await using timed = await timedBroker();
    const { broker, clock } = timed;
    const client = await lineClient(broker.pipe);
    await client.ask({ id: 1, action: "hello", protocol: 1, lingerMs: 500 });
    await client.ask({ id: 2, action: "join" });
    client[Symbol.dispose]();
    await connections(broker.pipe, 0);
    const drained = broker.drain(1_000_000);
    clock.advance(499);
    expect(await now(drained)).toBe("pending");
    clock.advance(1);
    expect(await now(drained)).toBeUndefined();
  });

  test("waits at most for the grace", async () => {
    await using timed = await timedBroker();
    const { broker, clock } = timed;
    using client = await lineClient(broker.pipe);
    await client.ask({ action: "join" });
    const drained = broker.drain(1000);
    clock.advance(999);
    expect(await now(drained)).toBe("pending");
    clock.advance(1);
    expect(await now(drained)).toBeUndefined();
    expect(await client.ask({ action: "ping" })).toMatchObject({ ok: true });
  });

  test("ends with the broker", async () => {
    await using timed = await timedBroker();
    using client = await lineClient(timed.broker.pipe);
    await client.ask({ action: "join" });
    const drained = timed.broker.drain(1_000_000);
    await timed.broker.stop();
    await drained;
    expect(timed.clock.alarmsPending).toBe(0);
  });
});

describe("stop()", () => {
  test("tells clients that wait, and those that joined, that it is a shutdown: 3001", async () => {
    await using timed = await timedBroker();
    const { broker } = timed;
    using waiting = await lineClient(broker.pipe);
    using joined = await lineClient(broker.pipe);
    for (const client of [waiting, joined]) await client.ask({ id: 1, action: "hello", protocol: 1 });
    waiting.say({ id: 2, action: "get", key: "never", waitMs: -1 });
    await joined.ask({ id: 2, action: "join" });
    await broker.stop();
    const closing = { push: "closing", code: 3001, reason: "the broker ends" };
    expect(await waiting.next()).toEqual(closing);
    expect(await joined.next()).toEqual(closing);
    await waiting.closed;
  });
});
