/**
 * Random programs of callers that want to pass a rate limit, wait, give up and are held back, run against the memory engine
 * and against a list of all grants that is looked through at every millisecond: each is let through at the same instant. No
 * window of the log holds more than the limit. EPHEMERAL_TEST_SEED runs a failure again.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { WaitHandle } from "../../src/engine/engine.ts";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { SlidingLog } from "../../src/engine/memory/sharing/sliding-log.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { answerOf, cancelled } from "./contract/actor.ts";

const seed = Number(process.env.EPHEMERAL_TEST_SEED ?? Date.now() % 2 ** 31);
const [limit, windowMs] = [5, 40];

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      action: fc.constant("want"),
      cost: fc.constantFrom(1, 1, 1, 2, 5),
      waits: fc.constantFrom(true, true, false),
    }),
  },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("penalize"), forMs: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ action: fc.constant("cancel"), nth: fc.nat(4) }) },
  {
    weight: 6,
    arbitrary: fc.record({ action: fc.constantFrom("advance", "advance", "skip"), ms: fc.constantFrom(1, 3, 10, 45) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

interface Grant {
  readonly command: number;
  readonly cost: number;
  readonly atMs: number;
}

/** The two, on one clock. */
class Pair {
  readonly clock = new ManualClock();
  readonly engine = new MemoryEngine({ clock: this.clock, limits: defaultLimits });
  readonly grants: Grant[] = [];
  readonly granted: Grant[] = [];
  #waits: { readonly command: number; readonly cost: number }[] = [];
  #penaltyEndsAtMs = 0;
  readonly #cancels: { readonly command: number; readonly cancel: NonNullable<WaitHandle["cancel"]> }[] = [];
  #command = 0;

  apply(step: Step): void {
    if (step.action === "want") this.#want(step.cost, step.waits ? -1 : 0);
    else if (step.action === "penalize") {
      this.look();
      this.#penaltyEndsAtMs = Math.max(this.#penaltyEndsAtMs, this.clock.nowMs() + step.forMs);
      this.engine.sharing.penalizeLimit({ key: "k", forMs: step.forMs });
    } else if (step.action === "cancel") this.#cancel(step.nth);
    else if (step.action === "skip") this.clock.skip(step.ms);
    else {
      // What is overdue happens before time goes on.
      for (let ms = 0; ms <= step.ms; ms++) {
        this.clock.advance(ms === 0 ? 0 : 1);
        this.look();
      }
    }
  }

  /** Lets through who can pass now. */
  look(): void {
    for (let first = this.#waits[0]; first !== undefined && this.#fits(first.cost); first = this.#waits[0]) {
      this.#waits.shift();
      this.grants.push({ ...first, atMs: this.clock.nowMs() });
    }
  }

  async compare(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    expect(this.granted.toSorted((a, b) => a.command - b.command)).toEqual(
      this.grants.toSorted((a, b) => a.command - b.command),
    );
  }

  #fits(cost: number): boolean {
    const nowMs = this.clock.nowMs();
    if (this.#penaltyEndsAtMs > nowMs) return false;
    return cost + used(this.grants, nowMs - windowMs + 1) <= limit;
  }

  #want(cost: number, waitMs: number): void {
    const command = this.#command++;
    const handle: WaitHandle = {};
    this.look();
    const waiting = { caller: { id: "s", label: undefined }, waitMs, handle };
    answerOf(() => this.engine.sharing.takeLimit({ key: "k", limit, windowMs, cost }, waiting)).then((answer) => {
      // Of the newest grant of its millisecond this is exact, and all of one millisecond say the same.
      if (answer.error === undefined) this.granted.push({ command, cost, atMs: Number(answer.resetAtMs) - windowMs });
    });
    if (handle.cancel) this.#cancels.push({ command, cancel: handle.cancel });
    if (waitMs !== 0 || (this.#waits.length === 0 && this.#fits(cost))) this.#waits.push({ command, cost });
    this.look();
  }

  #cancel(nth: number): void {
    const chosen = this.#cancels.at(-1 - nth);
    if (chosen === undefined) return;
    this.look();
    const isWaiting = this.#waits.some(({ command }) => command === chosen.command);
    expect(chosen.cancel(cancelled())).toBe(isWaiting);
    this.#waits = this.#waits.filter(({ command }) => command !== chosen.command);
    this.clock.advance(0);
    this.look();
  }
}

/** What was granted from `fromMs` on, for one window. */
function used(grants: readonly Grant[], fromMs: number): number {
  const within = grants.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + windowMs);
  return within.reduce((sum, { cost }) => sum + cost, 0);
}

test("every program passes the limit at the instants a list of all grants says, and no window holds more", async () => {
  let count = 0;
  const program = fc.array(step, { minLength: 1, maxLength: 80, size: "max" });
  const property = fc.asyncProperty(program, async (steps) => {
    const pair = new Pair();
    for (const step of steps) {
      pair.apply(step);
      if (step.action !== "skip") await pair.compare();
    }
    pair.apply({ action: "advance", ms: 1 });
    await pair.compare();
    for (const { atMs } of pair.granted) expect(used(pair.granted, atMs)).toBeLessThanOrEqual(limit);
    count += pair.granted.length;
  });
  await fc.assert(property, { seed, numRuns: 800 });
  console.log(`rate-limits.model: ${count} grants, seed ${seed}`);
}, 30_000);

test("SlidingLog keeps one entry a millisecond, and shrinks again", () => {
  const log = new SlidingLog(1000);
  for (let ms = 0; ms < 100; ms++) for (let grant = 0; grant < 3; grant++) log.add(ms, 1);
  expect([log.size, log.used, log.endsAtMs]).toEqual([100, 300, 1099]);
  expect([log.freedAtMs(1), log.freedAtMs(3), log.freedAtMs(4), log.freedAtMs(300), log.freedAtMs(999)]).toEqual([
    1000, 1000, 1001, 1099, 1099,
  ]);
  log.trim(1049);
  expect([log.size, log.used]).toEqual([50, 150]);
  log.add(1050, 7);
  expect(log.freedAtMs(151)).toBe(2050);
  log.trim(5000);
  expect([log.size, log.used, log.endsAtMs]).toEqual([0, 0, Number.NEGATIVE_INFINITY]);
});
