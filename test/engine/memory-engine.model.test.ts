/**
 * Random programs of many sessions, run against the memory engine and against `NaiveEngine`: every answer, every hold and
 * every wait must agree after every step. A failure prints its seed; EPHEMERAL_TEST_SEED runs it again and
 * EPHEMERAL_TEST_STEPS sets how many steps there are in all.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Awaitable, WaitHandle, Waiting } from "../../src/engine/engine.ts";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { NaiveEngine } from "../support/naive-engine.ts";
import type { Outcome } from "../support/naive-state.ts";
import { isThorough } from "../support/thorough.ts";
import { answerOf, cancelled } from "./contract/actor.ts";

const stepsPerProgram = 250;
const steps = Number(process.env.EPHEMERAL_TEST_STEPS ?? (isThorough ? 30_000 : 10_000));
const seed = Number(process.env.EPHEMERAL_TEST_SEED ?? Date.now() % 2 ** 31);
/** Small, so that programs run into them. */
const limits = {
  ...defaultLimits,
  itemsMax: 5,
  namesMax: 9,
  waitsMax: 25,
  waitsPerSessionMax: 3,
  expiredRememberedMax: 2,
  expiredRememberedMs: 300,
};
const sessionIds = Array.from({ length: 24 }, (_, index) => `s${index}`);

const session = fc.constantFrom(...sessionIds);
const itemKey = fc.constantFrom("a", "b", "c", "d", "e", "f", "g");
const onceKey = fc.constantFrom("a", "b", "c");
const leaseKey = fc.constantFrom("p", "q", "r");
const worker = fc.constantFrom("w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7");
const waitMs = fc.constantFrom(0, -1, -1, 20, 100, 300);
const ttlMs = fc.constantFrom(1, 10, 50, 200, 1000);
const scope = fc.constantFrom("ttl", "session", "session", undefined);
const size = fc.constantFrom(undefined, 1, 2, 2, 2, 3);

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      action: fc.constant("set"),
      key: itemKey,
      ttlMs,
      if: fc.constantFrom(undefined, undefined, "absent", "present"),
      owner: fc.option(session, { nil: undefined }),
      text: fc.constantFrom(undefined, '"text"', "9007199254740990"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ action: fc.constant("get"), session, key: itemKey, waitMs, refresh: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("touch"), key: itemKey, ttlMs }) },
  {
    weight: 3,
    arbitrary: fc.record({
      action: fc.constant("incr"),
      key: itemKey,
      by: fc.constantFrom(1, -3, 0.5),
      incrTtlMs: fc.option(ttlMs, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("del"), key: itemKey }) },
  {
    weight: 8,
    arbitrary: fc.record({ action: fc.constant("lease"), session, key: leaseKey, worker, ttlMs, size, scope, waitMs }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      action: fc.constant("release"),
      session,
      worker,
      key: fc.constantFrom(undefined, "*", "p", "q", "r"),
    }),
  },
  { weight: 5, arbitrary: fc.record({ action: fc.constant("once"), session, key: onceKey, waitMs }) },
  { weight: 2, arbitrary: fc.record({ action: fc.constant("resolve"), key: onceKey, ttlMs, isStale: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      action: fc.constant("reject"),
      key: onceKey,
      cacheMs: fc.constantFrom(0, 50),
      pass: fc.boolean(),
      isStale: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ action: fc.constant("cancel"), nth: fc.nat(24) }) },
  { weight: 2, arbitrary: fc.record({ action: fc.constant("end"), session }) },
  {
    weight: 4,
    arbitrary: fc.record({ action: fc.constantFrom("advance", "skip"), ms: fc.constantFrom(1, 9, 10, 50, 100) }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** The two engines, on one clock, and what the real one has answered. */
class Pair {
  readonly clock = new ManualClock();
  readonly engine = new MemoryEngine({ clock: this.clock, limits });
  readonly naive = new NaiveEngine(this.clock, limits);
  readonly outcomes = new Map<number, Outcome>();
  readonly events: string[] = [];
  /** The cancel function of every command that waited. */
  readonly #cancels: { readonly command: number; readonly cancel: NonNullable<WaitHandle["cancel"]> }[] = [];
  /** The number that was granted with each fence. */
  readonly #numbers = new Map<number, unknown>();
  #command = 0;

  constructor() {
    this.engine.observe(({ key, event, version }) => this.events.push(`${event} ${key} ${version}`));
  }

  apply(step: Step): void {
    const command = this.#command++;
    if ("session" in step && "waitMs" in step) this.#ask(step, command);
    else if (step.action === "set") this.#set(step, command);
    else if (step.action === "del") this.#del(step, command);
    else if (step.action === "touch") this.#touch(step, command);
    else if (step.action === "incr") this.#incr(step, command);
    else if (step.action === "release") this.#release(step, command);
    else if (step.action === "resolve" || step.action === "reject") this.#endTurn(step, command);
    else if (step.action === "cancel") this.#cancel(step.nth);
    else if (step.action === "end") this.end(step.session);
    else if (step.action === "advance") this.advance(step.ms);
    else this.clock.skip(step.ms);
  }

  /** The naive one first: it ends what it ends at each instant the clock stops at. */
  advance(ms: number): void {
    const untilMs = this.clock.nowMs() + ms;
    for (let atMs = this.naive.nextEndingAtMs(); atMs !== undefined && atMs <= untilMs; ) {
      this.clock.advance(Math.max(atMs - this.clock.nowMs(), 0));
      this.naive.sweep();
      atMs = this.naive.nextEndingAtMs();
    }
    this.clock.advance(untilMs - this.clock.nowMs());
  }

  end(sessionId: string): void {
    this.naive.endSession(sessionId);
    this.engine.endSession({ id: sessionId, label: undefined });
  }

  /** Everything either of them can be asked, side by side. */
  async compare(): Promise<void> {
    const { engine, naive } = this;
    const { items, leases, onces, waits, itemsExpired, leasesExpired } = engine.stats();
    naive.sweep();
    await new Promise((resolve) => setImmediate(resolve));
    expect(Object.fromEntries(this.outcomes)).toEqual(Object.fromEntries(naive.outcomes));
    expect(this.events).toEqual(naive.events);
    this.events.length = 0;
    naive.events.length = 0;
    this.outcomes.clear();
    naive.outcomes.clear();
    expect({ items, leases, onces, waits, itemsExpired, leasesExpired }).toEqual({
      items: naive.items.length,
      leases: naive.leases.length,
      onces: naive.turns.length,
      waits: naive.waits.length,
      itemsExpired: naive.itemsExpired,
      leasesExpired: naive.leasesExpired,
    });
    const { items: page } = engine.list({ prefix: "", cursor: undefined, limit: 100 });
    expect(Object.keys(page)).toEqual(naive.items.map(({ key }) => key));
    for (const id of sessionIds) this.#compareSession(id);
  }

  /** No number of a key and no turn has two holders, by the real engine's own account. */
  assertSingleHolders(): void {
    const held = sessionIds
      .flatMap((id) => this.engine.holdsOf(id))
      .map((hold) => {
        const name = hold.kind === "lease" ? `${hold.id}#${this.#numbers.get(hold.fence)}` : hold.id;
        return `${hold.kind} ${name}`;
      });
    expect(held.length).toBe(new Set(held).size);
  }

  #compareSession(id: string): void {
    const { engine, naive } = this;
    const leases = naive.leases.filter((lease) => lease.session === id && !lease.isOrphan);
    const turns = naive.turns.filter((turn) => turn.session === id);
    const holds = [
      ...leases.map((l) => ({
        kind: "lease" as const,
        id: l.key,
        workerId: l.worker,
        fence: l.fence,
        sinceAtMs: l.sinceAtMs,
      })),
      ...turns.map((t) => ({ kind: "once" as const, id: t.key, fence: t.fence, sinceAtMs: t.sinceAtMs })),
    ];
    holds.sort((a, b) => a.fence - b.fence);
    const keys = naive.ownedBy(id).map((item) => {
      return { kind: "key" as const, id: item.key, version: item.version, sinceAtMs: item.sinceAtMs };
    });
    const all = [...holds, ...keys].sort((a, b) => a.sinceAtMs - b.sinceAtMs);
    expect(engine.holdsOf(id)).toEqual(all);
    const waits = naive.waits.filter((wait) => wait.session === id);
    expect(engine.waitsOf(id)).toEqual(waits.map(({ action, key, sinceAtMs }) => ({ action, key, sinceAtMs })));
  }

  #ask(step: Extract<Step, { waitMs: number }>, command: number): void {
    const { naive, engine } = this;
    const { key, waitMs } = step;
    const asking = { command, session: step.session, waitMs };
    const waiting: Waiting = { caller: { id: step.session, label: undefined }, waitMs, handle: {} };
    if (step.action === "get") {
      const { refresh } = step;
      this.#record(command, naive.get({ key, refresh }, asking), () => engine.get({ key, refresh }, waiting));
    } else if (step.action === "once") {
      this.#record(command, naive.once(key, asking), () => engine.once(key, waiting));
    } else {
      const { worker, ttlMs, size, scope } = step;
      const request = { key, workerId: worker, ttlMs, size, scope };
      this.#record(command, naive.lease(step, asking), () => engine.lease(request, waiting));
    }
    const { cancel } = waiting.handle;
    if (cancel) this.#cancels.push({ command, cancel });
  }

  #set(step: Extract<Step, { action: "set" }>, command: number): void {
    const { key, ttlMs, owner } = step;
    const request = { key, value: step.text ?? `${command}`, ttlMs, if: step.if };
    const caller = owner === undefined ? undefined : { id: owner, label: undefined };
    const set = () => this.engine.set({ ...request, owner: caller, compressed: false });
    this.#record(command, this.naive.set({ ...request, owner }), set);
  }

  #touch({ key, ttlMs }: Extract<Step, { action: "touch" }>, command: number): void {
    this.#record(command, this.naive.touch(key, ttlMs), () => this.engine.touch({ key, ttlMs }));
  }

  #incr({ key, by, incrTtlMs }: Extract<Step, { action: "incr" }>, command: number): void {
    const request = { key, by, ttlMs: incrTtlMs };
    this.#record(command, this.naive.incr(request), () => this.engine.incr({ ...request, ttlMsIfNew: undefined }));
  }

  #del({ key }: Extract<Step, { action: "del" }>, command: number): void {
    this.#record(command, this.naive.del(key), () => this.engine.del(key, undefined));
  }

  #release({ session, worker, key }: Extract<Step, { action: "release" }>, command: number): void {
    const caller = { id: session, label: undefined };
    const expected = this.naive.release({ session, worker, key });
    this.#record(command, expected, () => this.engine.release({ workerId: worker, key }, caller));
  }

  #endTurn(step: Extract<Step, { action: "resolve" | "reject" }>, command: number): void {
    const { key } = step;
    const turn = this.naive.turns.find((other) => other.key === key);
    const fence = (turn?.fence ?? 0) - (step.isStale ? 1 : 0);
    if (step.action === "resolve") {
      const request = { key, fence, value: `${command}`, ttlMs: step.ttlMs };
      this.#record(command, this.naive.resolve(request), () => this.engine.onceResolve(request));
    } else {
      const request = { key, fence, cacheMs: step.cacheMs, pass: step.pass };
      const reject = () => this.engine.onceReject({ ...request, reason: "down" });
      this.#record(command, this.naive.reject(request), reject);
    }
  }

  /** Also of waits that are over: then it must say so. */
  #cancel(nth: number): void {
    const chosen = this.#cancels.at(-1 - nth);
    if (chosen) expect(chosen.cancel(cancelled())).toBe(this.naive.cancel(chosen.command));
  }

  /** Notes what the naive engine answered at once, and the real one's answer when it comes. */
  #record(command: number, expected: Outcome | undefined, run: () => Awaitable<unknown>): void {
    if (expected !== undefined) this.naive.outcomes.set(command, expected);
    answerOf(run).then((answer) => {
      this.outcomes.set(command, answer.error ?? answer);
      if (answer.fence !== undefined) this.#numbers.set(answer.fence, answer.value);
    });
  }
}

test(
  "every program of 24 sessions goes as the naive engine says, and leaves nothing behind",
  async () => {
    const program = fc.array(step, { minLength: 1, maxLength: stepsPerProgram, size: "max" });
    const property = fc.asyncProperty(program, async (steps) => {
      const pair = new Pair();
      for (const step of steps) {
        pair.apply(step);
        if (step.action === "skip") continue; // the next command must meet what this left unswept
        await pair.compare();
        pair.assertSingleHolders();
      }
      for (const id of sessionIds) pair.end(id);
      pair.advance(1000);
      await pair.compare();
      expect(pair.engine.stats()).toMatchObject({ items: 0, leases: 0, onces: 0, waits: 0, storeBytes: 0 });
      expect(pair.clock.alarmsPending).toBe(0);
    });
    await fc.assert(property, { seed, numRuns: Math.ceil((2 * steps) / stepsPerProgram) });
  },
  10_000 + steps,
);
