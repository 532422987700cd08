import { describe, expect, test } from "bun:test";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { defaultLimits, type Limits } from "../../src/protocol/limits.ts";
import { ManualClock } from "../support/manual-clock.ts";
import type { EngineUnderTest } from "./contract/actor.ts";
import { engineContract } from "./engine-contract.ts";

function create(limits?: Partial<Limits>): EngineUnderTest {
  const { engine, clock } = engineOn(limits);
  return {
    engine,
    nowMs: () => clock.nowMs(),
    advance: (ms) => clock.advance(ms),
    skip: (ms) => clock.skip(ms),
  };
}

function engineOn(limits?: Partial<Limits>): { engine: MemoryEngine; clock: ManualClock } {
  const clock = new ManualClock();
  return { clock, engine: new MemoryEngine({ clock, limits: { ...defaultLimits, ...limits } }) };
}

const caller = { id: "s", label: undefined };

engineContract("MemoryEngine", create);

describe("MemoryEngine is synchronous", () => {
  test("it answers with plain values, and with a promise only when the command waits", async () => {
    const { engine } = engineOn();
    const waiting = { caller, waitMs: -1, handle: {} };
    const lease = { key: "p", workerId: "w", ttlMs: 100, size: 1, scope: undefined };
    const waits = engine.get({ key: "k" }, waiting);
    const plain = [
      engine.set({ key: "k", value: "1", ttlMs: 100, compressed: false }),
      engine.get({ key: "k" }, waiting),
      engine.lease(lease, waiting),
      engine.once("o", waiting),
      engine.release({ workerId: "w", key: "p" }, caller),
    ];
    expect(waits).toBeInstanceOf(Promise);
    expect(plain.map((answer) => answer instanceof Promise)).toEqual([false, false, false, false, false]);
    expect(await waits).toMatchObject({ value: "1" });
  });

  test("it throws refusals at once", () => {
    const { engine } = engineOn();
    expect(() => engine.get({ key: "k" }, { caller, waitMs: 0, handle: {} })).toThrow(EphemeralError);
  });
});

describe("MemoryEngine and its alarm", () => {
  test("an expired key leaves memory without anyone asking, and no alarm is left", () => {
    const { engine, clock } = engineOn();
    engine.set({ key: "k", value: "1", ttlMs: 100, compressed: false });
    expect(clock.alarmsPending).toBe(1);
    clock.advance(100);
    expect(clock.alarmsPending).toBe(0);
    expect(engine.stats()).toMatchObject({ items: 0, storeBytes: 0, itemsExpired: 1 });
  });

  test("close() cancels the alarm", () => {
    const { engine, clock } = engineOn();
    engine.set({ key: "k", value: "1", ttlMs: 100, compressed: false });
    engine.close();
    expect(clock.alarmsPending).toBe(0);
  });
});
