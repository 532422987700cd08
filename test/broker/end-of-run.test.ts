import { describe, expect, test } from "bun:test";
import { EndOfRun } from "../../src/broker/end-of-run.ts";
import { lifetimeRows } from "../../src/broker/handlers/lifetime.ts";
import type { Invocation } from "../../src/broker/invocation.ts";
import type { Lifetime } from "../../src/broker/lifetime.ts";
import type { Door } from "../../src/broker/sessions/session.ts";
import { Client } from "../../src/client/client.ts";
import { LocalBroker } from "../../src/local/local.ts";
import type { EndCommand } from "../../src/protocol/end-of-run.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { testBroker } from "../support/broker.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { refusal } from "../support/refusal.ts";

/** What an end of run has kept. */
function keeping(commandsMax = 64): { readonly kept: EndCommand[]; readonly endOfRun: EndOfRun } {
  const kept: EndCommand[] = [];
  return { kept, endOfRun: new EndOfRun({ commandsMax, keep: (command) => void kept.push(command) }) };
}

const command = { argv: ["docker", "rm", "-f", "db"], cwd: "/tmp" } as const;

describe("EndOfRun.register()", () => {
  test("keeps the same argv, cwd and env once, whatever its time", () => {
    const { kept, endOfRun } = keeping();
    const others: EndCommand[] = [
      { ...command, argv: ["docker", "rm", "-f db"] },
      { ...command, cwd: "/" },
      { ...command, env: { A: "1", B: "2" } },
      { ...command, env: { A: "1" } },
    ];
    for (const one of [command, ...others, ...others, { ...command, timeoutMs: 5 }]) endOfRun.register(one);
    endOfRun.register({ ...command, env: { B: "2", A: "1" } });
    expect(kept).toEqual([command, ...others]);
  });

  test("does not count what could not be kept, so that it can be tried again", () => {
    let fails = true;
    const kept: EndCommand[] = [];
    const keep = (one: EndCommand): void => {
      if (fails) throw new EphemeralError("unavailable", "no reaper");
      kept.push(one);
    };
    const endOfRun = new EndOfRun({ commandsMax: 1, keep });
    expect(refusal(() => endOfRun.register(command)).code).toBe("unavailable");
    fails = false;
    endOfRun.register(command);
    expect(kept).toEqual([command]);
  });

  test("waits for what is not taken at once, for a while; whoever registers it again waits for the same", async () => {
    const clock = new ManualClock();
    const kept: EndCommand[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const keep = (one: EndCommand): Promise<void> => {
      kept.push(one);
      return promise;
    };
    const endOfRun = new EndOfRun({ commandsMax: 1, clock, keep });
    const first = endOfRun.register(command);
    clock.advance(2000);
    const second = endOfRun.register(command);
    clock.advance(1000);
    const refused = await Promise.resolve(first).catch((error: EphemeralError) => error);
    expect(refused).toMatchObject({ code: "unavailable", retryable: true, details: { outcome: "unknown" } });
    expect(String(refused)).toContain("has not taken it within 3000 ms, it is stopped or hangs");
    expect(refusal(() => endOfRun.register({ ...command, cwd: "/" })).code).toBe("max_items");
    resolve();
    await second;
    expect(endOfRun.register(command)).toBeUndefined();
    expect([kept, clock.alarmsPending]).toEqual([[command], 0]);
  });

  test("does not count what could not be kept in the end", async () => {
    const clock = new ManualClock();
    const { promise, reject } = Promise.withResolvers<void>();
    const endOfRun = new EndOfRun({ commandsMax: 1, clock, keep: () => promise });
    const registered = endOfRun.register(command);
    reject(new EphemeralError("unavailable", "no reaper"));
    await expect(registered).rejects.toMatchObject({ code: "unavailable", message: "no reaper" });
    await expect(endOfRun.register({ ...command, cwd: "/" })).rejects.toMatchObject({ message: "no reaper" });
    expect(clock.alarmsPending).toBe(0);
  });

  test("takes nothing new once the end has begun", () => {
    const { kept, endOfRun } = keeping();
    endOfRun.register(command);
    endOfRun.close();
    endOfRun.register(command);
    expect(refusal(() => endOfRun.register({ ...command, cwd: "/" })).code).toBe("draining");
    expect(kept).toEqual([command]);
  });
});

describe("onEnd", () => {
  const comingBy = (door: string): Invocation =>
    // The row asks the session for nothing else; not every door there may be is there yet.
    ({ session: { door: door as Door } }) as Invocation;

  test("is refused over any door but the pipe", () => {
    const { kept, endOfRun } = keeping();
    const { onEnd } = lifetimeRows({ lifetime: {} as Lifetime, endOfRun });
    expect(refusal(() => onEnd.handle(command, comingBy("web"))).code).toBe("forbidden");
    expect(kept).toEqual([]);
    expect(onEnd.handle(command, comingBy("pipe"))).toEqual({});
    expect(kept).toEqual([command]);
  });

  test("is refused by a broker within a program, which nobody would outlive", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    await expect(client.onEnd(["true"])).rejects.toMatchObject({ code: "forbidden" });
    const local = new LocalBroker();
    await expect(local.client().onEnd(["true"])).rejects.toMatchObject({ code: "forbidden" });
    await local.stop();
  });

  test("takes what the client says, from its own folder unless told", async () => {
    const { kept, endOfRun } = keeping();
    await using broker = await testBroker({}, { endOfRun });
    using client = new Client(broker.pipe);
    await client.onEnd(["a", "b c"]);
    await client.onEnd(["a"], { cwd: "/", env: { A: "1" }, timeoutMs: 5 });
    expect(kept).toEqual([
      { argv: ["a", "b c"], cwd: process.cwd(), env: undefined, timeoutMs: undefined },
      { argv: ["a"], cwd: "/", env: { A: "1" }, timeoutMs: 5 },
    ]);
  });

  test("leaves no word of it in the log", async () => {
    const log = recordedLog();
    const { kept, endOfRun } = keeping();
    await using broker = await testBroker({ log }, { endOfRun });
    using client = new Client(broker.pipe);
    await client.onEnd(["canary-argv", "canary-argument"], { cwd: "/canary-cwd", env: { CANARY: "canary-env" } });
    await expect(client.onEnd(["canary-argv"], { cwd: "canary-cwd" })).rejects.toMatchObject({ code: "bad_command" });
    expect(kept).toHaveLength(1);
    expect(log.of("command done").map(({ action, outcome }) => [action, outcome])).toContainEqual(["onEnd", "ok"]);
    expect(JSON.stringify(log.told).toLowerCase()).not.toContain("canary");
  });
});
