/**
 * Random programs of 12 workers that push, take and end jobs, die and come back, run against the memory engine and against
 * `NaiveQueues`: every answer, every count and every hold must agree after every step. In the end each job was acked exactly
 * once by a worker that was alive, or is dead and listed. EPHEMERAL_TEST_SEED runs a failure again, EPHEMERAL_TEST_STEPS
 * sets how many steps there are in all.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Awaitable, WaitHandle } from "../../src/engine/engine.ts";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { type NaiveJob, type NaiveOutcome, NaiveQueues } from "../support/naive-queues.ts";
import { isThorough } from "../support/thorough.ts";
import { answerOf, cancelled } from "./contract/actor.ts";
import type { JobAnswer } from "./contract/sharing-actor.ts";

const stepsPerProgram = 150;
const steps = Number(process.env.EPHEMERAL_TEST_STEPS ?? (isThorough ? 20_000 : 7000));
const seed = Number(process.env.EPHEMERAL_TEST_SEED ?? Date.now() % 2 ** 31);
const sessionIds = Array.from({ length: 12 }, (_, index) => `w${index}`);
const queueNames = ["q", "r"] as const;

const session = fc.constantFrom(...sessionIds);
const queue = fc.constantFrom("q", "q", "q", "r");
/** Of the newest takings, ended ones among them. */
const nth = fc.nat(6);
const job = fc.record({
  id: fc.option(fc.nat(60).map(String), { nil: undefined }),
  priority: fc.constantFrom(0, 0, 0, 1, -5),
});
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      action: fc.constant("push"),
      queue,
      jobs: fc.array(job, { maxLength: 4 }),
      closes: fc.constantFrom(...Array<boolean>(30).fill(false), true),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      action: fc.constant("take"),
      session,
      queue,
      count: fc.constantFrom(1, 1, 1, 3),
      ackMs: fc.constantFrom(undefined, undefined, 20, 100),
      waitMs: fc.constantFrom(0, -1, -1, 30),
    }),
  },
  { weight: 6, arbitrary: fc.record({ action: fc.constant("ack"), nth }) },
  {
    weight: 3,
    arbitrary: fc.record({ action: fc.constant("nack"), nth, delayMs: fc.constantFrom(0, 0, 15), pass: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("renew"), nth, ackMs: fc.constantFrom(10, 200) }) },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("cancel"), nth }) },
  { weight: 2, arbitrary: fc.record({ action: fc.constant("die"), session }) },
  {
    weight: 3,
    arbitrary: fc.record({ action: fc.constantFrom("advance", "skip"), ms: fc.constantFrom(1, 5, 30, 100) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

interface Taking {
  readonly job: NaiveJob;
  readonly fence: number;
}

/** The two, on one clock, and what the real one has answered. */
class Pair {
  readonly clock = new ManualClock();
  readonly engine = new MemoryEngine({ clock: this.clock, limits: defaultLimits });
  readonly naive = new NaiveQueues({ clock: this.clock, attemptsMax: defaultLimits.jobAttemptsMax });
  readonly outcomes = new Map<number, NaiveOutcome>();
  readonly #takings: Taking[] = [];
  readonly #cancels: { readonly command: number; readonly cancel: NonNullable<WaitHandle["cancel"]> }[] = [];
  #command = 0;

  apply(step: Step): void {
    const { naive } = this;
    const { sharing } = this.engine;
    if (step.action === "push") {
      const jobs = step.jobs.map((one) => ({ ...one, data: "1" }));
      this.#record(
        () => sharing.pushJobs({ ...step, jobs }),
        () => naive.push(step.queue, jobs, step.closes),
      );
    } else if (step.action === "take") this.#take(step);
    else if (step.action === "cancel") this.#cancel(step.nth);
    else if (step.action === "die") this.die(step.session);
    else if (step.action === "advance") this.advance(step.ms);
    else if (step.action === "skip") this.clock.skip(step.ms);
    else if (step.action === "ack" || step.action === "nack" || step.action === "renew") this.#endTaking(step);
    this.#noteTakings();
  }

  die(id: string): void {
    this.engine.endSession({ id, label: undefined });
    this.naive.endSession(id);
  }

  advance(ms: number): void {
    const untilMs = this.clock.nowMs() + ms;
    for (let atMs = this.naive.nextEndingAtMs(); atMs !== undefined && atMs <= untilMs; ) {
      this.clock.advance(Math.max(atMs - this.clock.nowMs(), 0));
      this.naive.sweep();
      atMs = this.naive.nextEndingAtMs();
    }
    this.clock.advance(untilMs - this.clock.nowMs());
  }

  async compare(): Promise<void> {
    const { engine, naive } = this;
    naive.sweep();
    for (const name of queueNames) expect(engine.sharing.readQueue(name)).toMatchObject(naive.counts(name));
    for (const id of sessionIds) {
      const held = engine.holdsOf(id).map((hold) => (hold.kind === "job" ? `${hold.job}/${hold.fence}` : hold.kind));
      const mine = naive.jobs.filter((one) => one.session === id).sort((a, b) => a.fence - b.fence);
      expect(held).toEqual(mine.map((one) => `${one.id}/${one.fence}`));
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(Object.fromEntries(this.outcomes)).toEqual(Object.fromEntries(naive.outcomes));
    this.outcomes.clear();
    naive.outcomes.clear();
  }

  /** One that never dies takes what is left and acks it, until nothing comes back. */
  drain(): void {
    for (const id of sessionIds) this.die(id);
    this.advance(1000);
    for (const name of queueNames) {
      this.engine.sharing.closeQueue(name);
      this.naive.closed.add(name);
      for (let left = this.naive.counts(name).depth; left > 0; left--) {
        this.apply({ action: "take", session: "w0", queue: name, count: 1, ackMs: undefined, waitMs: 0 });
        this.apply({ action: "ack", nth: 0 });
      }
    }
  }

  #take(step: Extract<Step, { action: "take" }>): void {
    const { session: id, waitMs, ...request } = step;
    const handle: WaitHandle = {};
    const command = this.#record(
      () =>
        this.engine.sharing.takeJobs(
          { ...request, outlivesSession: false },
          { caller: { id, label: undefined }, waitMs, handle },
        ),
      (command) => this.naive.take({ command, session: id, waitMs, ...request }),
    );
    if (handle.cancel) this.#cancels.push({ command, cancel: handle.cancel });
  }

  #endTaking(step: Extract<Step, { action: "ack" | "nack" | "renew" }>): void {
    const taking = this.#takings.at(-1 - step.nth);
    if (taking === undefined) return;
    const { job: one, fence } = taking;
    const name = { queue: one.queue, job: one.id, fence };
    const { naive } = this;
    const { sharing } = this.engine;
    if (step.action === "ack") {
      this.#record(
        () => sharing.ackJob(name),
        () => naive.ack(one, fence),
      );
    } else if (step.action === "nack") {
      const { delayMs, pass } = step;
      this.#record(
        () => sharing.nackJob({ ...name, delayMs, pass, reason: undefined }),
        () => naive.nack(one, { fence, delayMs, pass }),
      );
    } else {
      const { ackMs } = step;
      this.#record(
        () => sharing.renewJob({ ...name, ackMs }),
        () => naive.renew(one, fence, ackMs),
      );
    }
  }

  #cancel(nth: number): void {
    const chosen = this.#cancels.at(-1 - nth);
    if (chosen) expect(chosen.cancel(cancelled())).toBe(this.naive.cancel(chosen.command));
  }

  #noteTakings(): void {
    const known = new Set(this.#takings.map(({ fence }) => fence));
    const news = this.naive.jobs.filter((one) => one.state === "taken" && !known.has(one.fence));
    this.#takings.push(...news.sort((a, b) => a.fence - b.fence).map((one) => ({ job: one, fence: one.fence })));
  }

  #record(run: () => Awaitable<unknown>, runNaively: (command: number) => NaiveOutcome | undefined): number {
    const command = this.#command++;
    answerOf(run).then((answer) => this.outcomes.set(command, inShort(answer)));
    const expected = runNaively(command);
    if (expected !== undefined) this.naive.outcomes.set(command, expected);
    return command;
  }
}

function inShort({ error, jobs, isDone, count, expiresAtMs }: JobAnswer): NaiveOutcome {
  if (error !== undefined) return error;
  if (isDone) return "done";
  if (jobs !== undefined) return jobs.map(({ id, attempt, fence }) => `${id}/${attempt}/${fence}`).join(" ");
  if (count !== undefined) return `count ${count}`;
  return expiresAtMs === undefined ? "ok" : `until ${expiresAtMs}`;
}

test(
  "every program of 12 workers goes as the naive queues say, and each job is acked once or dead",
  async () => {
    let [acked, dead] = [0, 0];
    const program = fc.array(step, { minLength: 1, maxLength: stepsPerProgram, size: "max" });
    const property = fc.asyncProperty(program, async (steps) => {
      const pair = new Pair();
      for (const step of steps) {
        pair.apply(step);
        if (step.action !== "skip") await pair.compare();
      }
      pair.drain();
      await pair.compare();
      for (const { queue: name, id, state } of pair.naive.jobs) {
        const acks = pair.naive.acks.get(`${name} ${id}`) ?? 0;
        expect({ name, id, state, acks }).toEqual({ name, id, state, acks: state === "dead" ? 0 : 1 });
      }
      const listed = queueNames.flatMap((name) =>
        pair.engine.sharing.readQueue(name).deadJobs.map(({ id }) => `${name} ${id}`),
      );
      const dying = pair.naive.jobs.filter(({ state }) => state === "dead").map((one) => `${one.queue} ${one.id}`);
      expect(listed.sort()).toEqual(dying.sort());
      expect(pair.engine.stats()).toMatchObject({ waits: 0, sharing: { jobsInFlight: 0, jobs: dying.length } });
      acked += pair.naive.acks.size;
      dead += dying.length;
    });
    await fc.assert(property, { seed, numRuns: Math.ceil((2 * steps) / stepsPerProgram) });
    console.log(`queues.model: ${acked} jobs acked, ${dead} dead, seed ${seed}`);
  },
  20_000 + 3 * steps,
);
