/**
 * What a broker tells of itself: which events, at which level, with which fields, and that nothing is gathered that nobody
 * reads. Lines and formats are `logtape-log.test.ts`'s.
 */
import { describe, expect, spyOn, test } from "bun:test";
import type { Invocation } from "../../src/broker/invocation.ts";
import { CommandLog } from "../../src/broker/log/command-log.ts";
import { startHeartbeat } from "../../src/broker/log/heartbeat.ts";
import { type LogEvent, reportInternal } from "../../src/broker/log/log.ts";
import type { Command } from "../../src/protocol/commands.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { until } from "../support/processes.ts";
import { type RecordedLog, recordedLog } from "../support/recorded-log.ts";

const ttl = 60_000;
const hello = { action: "hello", protocol: 1, label: "worker 1", client: { name: "tester", version: "1.2.3" } };

const eventsOf = ({ told }: RecordedLog): readonly string[] => told.map(({ level, event }) => `${level} ${event}`);

/** Resolves once `event` was told `count` times. */
const told = (log: RecordedLog, event: LogEvent, count = 1): Promise<void> =>
  until(() => log.of(event).length >= count);

describe("a broker with a log at debug", () => {
  test("tells the life of a connection, its session and its commands, tied together", async () => {
    const log = recordedLog();
    {
      await using broker = await testBroker({ log });
      using client = await lineClient(broker.pipe);
      await client.ask({ id: 1, ...hello });
      await client.ask({ id: 2, action: "lease", key: "accounts", workerId: "w1", ttl, scope: "session" });
      await client.ask({ id: 3, action: "once", key: "token", waitMs: 0 });
      await client.ask({ id: 4, action: "get", key: "nothing" });
      await client.ask({ action: "set", key: 5 });
      client[Symbol.dispose]();
      await told(log, "session ended");
    }
    expect(eventsOf(log)).toEqual([
      "info broker started",
      "debug connection opened",
      "info session begun",
      "debug command done",
      "debug command done",
      "debug command done",
      "debug command done",
      "debug command refused",
      "info connection closed",
      "info session ended",
      "info broker draining",
      "info broker stopped",
    ]);
    const { pid } = process;
    expect(log.of("session begun")).toEqual([
      { session: "s1", label: "worker 1", pid, door: "pipe", client: "tester 1.2.3", lingerMs: 0 },
    ]);
    const fence = expect.any(Number);
    expect(log.of("command done")).toEqual([
      { session: "s1", id: 1, action: "hello", outcome: "ok", us: 0 },
      {
        session: "s1",
        id: 2,
        action: "lease",
        key: "accounts",
        workerId: "w1",
        ttl,
        scope: "session",
        waitMs: 0,
        outcome: "ok",
        "reply.fence": fence,
        us: 0,
      },
      {
        session: "s1",
        id: 3,
        action: "once",
        key: "token",
        waitMs: 0,
        outcome: "ok",
        "reply.leader": true,
        "reply.fence": fence,
        us: 0,
      },
      { session: "s1", id: 4, action: "get", key: "nothing", waitMs: 0, outcome: "not_found", us: 0 },
    ]);
    expect(log.of("command refused")).toEqual([{ session: "s1", pid, label: "worker 1", code: "bad_command" }]);
    expect(log.of("connection closed")).toEqual([
      {
        session: "s1",
        pid,
        label: "worker 1",
        reason: "the peer closed it",
        durationMs: expect.any(Number),
        commands: 4,
        receivedBytes: expect.any(Number),
        sentBytes: expect.any(Number),
      },
    ]);
    const [ended] = log.of("session ended");
    expect(ended).toMatchObject({ session: "s1", held: "1 lease, 1 once" });
    expect(ended?.names).toMatch(/^lease .*accounts.*, once token$/);
    expect(log.of("broker stopped")).toMatchObject([{ connections: 1, commands: 4 }]);
  });

  test("tells that a command waits, and how its wait ended", async () => {
    const log = recordedLog();
    await using broker = await testBroker({ log });
    using waiter = await lineClient(broker.pipe);
    using setter = await lineClient(broker.pipe);
    waiter.say({ id: 7, action: "get", key: "url", waitMs: 5000 });
    await told(log, "command waits");
    await setter.ask({ id: 1, action: "set", key: "url", value: "v", ttl });
    await waiter.next();
    expect(log.of("command waits")).toEqual([{ session: "s1", id: 7, action: "get", key: "url", waitMs: 5000 }]);
    expect(log.of("command done").map(({ session, id, outcome }) => [session, id, outcome])).toEqual([
      ["s2", 1, "ok"],
      ["s1", 7, "ok"],
    ]);
  });

  test("tells of a session that lingers and is resumed", async () => {
    const log = recordedLog();
    await using broker = await testBroker({ log });
    const first = await lineClient(broker.pipe);
    const greeted = await first.ask({ ...hello, lingerMs: 30_000 });
    first[Symbol.dispose]();
    await told(log, "session lingering");
    using second = await lineClient(broker.pipe);
    await second.ask({ ...hello, lingerMs: 30_000, session: greeted.session });
    expect(log.of("session lingering")).toMatchObject([{ session: "s1", label: "worker 1", lingerMs: 30_000 }]);
    expect(log.of("session resumed")).toMatchObject([{ session: "s1", label: "worker 1" }]);
  });
});

describe("a broker with a log at info", () => {
  test("tells nothing of commands, nor of those who come for one request", async () => {
    const log = recordedLog("info");
    {
      await using broker = await testBroker({ log });
      using client = await lineClient(broker.pipe);
      await client.ask({ action: "set", key: "k", value: 1, ttl });
      await client.ask({ action: "nonsense" });
    }
    expect(eventsOf(log)).toEqual(["info broker started", "info broker draining", "info broker stopped"]);
  });

  test("warns of failed proofs, and of connections it closed for them", async () => {
    const log = recordedLog("info");
    await using broker = await testBroker({ log, secret: "s" });
    using client = await lineClient(broker.pipe);
    for (let attempt = 0; attempt < 5; attempt++) await client.ask({ id: attempt, action: "get", key: "k" });
    await client.closed;
    await told(log, "connection closed");
    const { pid } = process;
    const about = { session: "s1", pid, label: `pid ${pid}` };
    expect(log.of("authentication failed")).toEqual(
      [0, 1, 2, 3, 4].map((id) => ({ ...about, id, action: "get" as const })),
    );
    expect(log.of("connection closed")).toMatchObject([{ ...about, code: 3500, reason: "authentication failed" }]);
    expect(eventsOf(log)).toContain("warning connection closed");
  });

  test("warns of connections it had no room for", async () => {
    const log = recordedLog("info");
    await using broker = await testBroker({ log, limits: { connectionsMax: 1 } });
    using _first = await lineClient(broker.pipe);
    using second = await lineClient(broker.pipe);
    await second.next();
    expect(log.told.at(-1)).toEqual({
      level: "warning",
      event: "connection refused",
      fields: { pid: process.pid, open: 1 },
    });
  });

  test("beats", async () => {
    const log = recordedLog("info");
    await using broker = await testBroker({ log, heartbeatMs: 1 });
    using client = await lineClient(broker.pipe);
    await client.ask({ action: "set", key: "k", value: 1, ttl });
    const before = log.of("heartbeat").length;
    await told(log, "heartbeat", before + 2);
    expect(log.of("heartbeat").at(-1)).toEqual({
      uptimeMs: expect.any(Number),
      rssBytes: expect.any(Number),
      heapUsedBytes: expect.any(Number),
      connections: 1,
      sessions: 1,
      inFlight: 0,
      items: 1,
      leases: 0,
      onces: 0,
      waits: 0,
    });
  });
});

describe("startHeartbeat()", () => {
  test("beats once an interval, not at the start, and not once it is stopped; what was slept through is not caught up on", async () => {
    const clock = new ManualClock();
    const log = recordedLog();
    const stop = startHeartbeat({ clock, log, everyMs: 100, read: async () => ({ atMs: clock.nowMs() }) });
    const startedAtMs = clock.nowMs();
    const step = async (pass: () => void): Promise<void> => {
      pass();
      await Promise.resolve();
    };
    await step(() => clock.advance(99));
    await step(() => clock.advance(1));
    await step(() => clock.advance(100));
    await step(() => clock.skip(350));
    await step(() => clock.advance(99));
    await step(() => clock.advance(1));
    stop();
    clock.advance(1000);
    await Promise.resolve();
    expect(log.of("heartbeat").map(({ atMs }) => Number(atMs) - startedAtMs)).toEqual([100, 200, 550, 650]);
  });

  test("survives a reading that fails", async () => {
    const clock = new ManualClock();
    const log = recordedLog();
    startHeartbeat({ clock, log, everyMs: 100, read: () => Promise.reject(new RangeError("5 is out of range")) });
    clock.advance(100);
    await told(log, "internal error");
    clock.advance(100);
    await told(log, "internal error", 2);
    expect(log.of("internal error")[0]).toMatchObject({ problem: "RangeError" });
  });
});

describe("CommandLog.follow()", () => {
  const command = { action: "ping", id: 1, request: { value: "v", key: "k" } } as unknown as Command;
  // It asks an invocation for nothing else.
  const invocation = { session: { id: "s1" }, cancel: undefined } as unknown as Invocation;

  test("passes results and failures on as they are, and tells how long they took", async () => {
    let nowUs = 0;
    const log = { ...recordedLog(), nowUs: () => (nowUs += 5) };
    const commandLog = new CommandLog(log);
    const reply = { pong: 1 };
    expect(commandLog.follow({ command, invocation }, () => reply)).toBe(reply);
    expect(await commandLog.follow({ command, invocation }, async () => reply)).toBe(reply);
    const refused = new EphemeralError("timeout", "late");
    const failing = (): never => {
      throw refused;
    };
    expect(() => commandLog.follow({ command, invocation }, failing)).toThrow(refused);
    await expect(
      Promise.resolve(commandLog.follow({ command, invocation }, () => Promise.reject(refused))),
    ).rejects.toBe(refused);
    expect(() =>
      commandLog.follow({ command, invocation }, () => {
        throw new TypeError("secret");
      }),
    ).toThrow(TypeError);
    const about = { session: "s1", id: 1, action: "ping", key: "k", us: 5 };
    const outcomes = ["ok", "ok", "timeout", "timeout", "internal"];
    expect(log.of("command done")).toEqual(outcomes.map((outcome) => ({ ...about, outcome })));
  });
});

describe("reportInternal()", () => {
  const cases: [string, unknown, { problem: string; hasStack: boolean }][] = [
    ["an error of the runtime", new TypeError('"canary" cannot be parsed'), { problem: "TypeError", hasStack: true }],
    ["an error with lines that look like frames", new Error("a\n    at canary"), { problem: "Error", hasStack: true }],
    [
      "a broken invariant",
      new Error("Invariant broken: a is b"),
      { problem: "Invariant broken: a is b", hasStack: true },
    ],
    ["anything else that was thrown", "canary", { problem: "a thrown string", hasStack: false }],
  ];

  test.each(cases)("tells of %s where, and what only when it is ours", (_what, error, { problem, hasStack }) => {
    const log = recordedLog();
    reportInternal(log, { error, action: "get" });
    const [told] = log.of("internal error");
    expect(told).toMatchObject({ action: "get", problem });
    expect(String(told?.stack).includes("log.test.ts")).toBe(hasStack);
    expect(JSON.stringify(told)).not.toContain("canary");
  });

  test("without a log tells stderr the same", () => {
    const said = spyOn(console, "error").mockImplementation(() => {});
    try {
      reportInternal(undefined, { error: new TypeError("canary"), action: undefined });
      expect(said).toHaveBeenCalledTimes(1);
      const [text] = said.mock.calls[0] ?? [];
      expect(text).toMatch(/^ephemeral: internal error in a command: TypeError\n\s+at .*log\.test\.ts/);
      expect(text).not.toContain("canary");
    } finally {
      said.mockRestore();
    }
  });
});
