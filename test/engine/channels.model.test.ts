/**
 * Random programs of publishing, reading, attaching, dying and waiting, run against the memory engine and against
 * `NaiveChannels`: every answer and every count must agree after every step. EPHEMERAL_TEST_SEED runs a failure again,
 * EPHEMERAL_TEST_STEPS sets how many steps there are in all.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { NaiveChannels } from "../support/naive-channels.ts";
import { isThorough } from "../support/thorough.ts";

const stepsPerProgram = 150;
const steps = Number(process.env.EPHEMERAL_TEST_STEPS ?? (isThorough ? 12_000 : 6000));
const seed = Number(process.env.EPHEMERAL_TEST_SEED ?? Date.now() % 2 ** 31);
/** Small, so that all of them are reached again and again. */
const limits = {
  ...defaultLimits,
  historyCountMax: 6,
  historyBytesMax: 1500,
  historyBytesTotalMax: 2500,
  historyTtlMs: 100,
  channelsRemembered: 3,
  serialsRemembered: 4,
};

const channel = fc.constantFrom("a", "a", "a", "b", "b", "c", "d", "e", "f");
const session = fc.constantFrom("s", "t");
const serial = fc.option(fc.integer({ min: 1, max: 12 }), { freq: 2, nil: undefined });
const bytes = fc.constantFrom(1, 50, 300, 900, 1401);
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ action: fc.constant("publish"), channel, session, serial, bytes }) },
  {
    weight: 6,
    arbitrary: fc.record({
      action: fc.constant("read"),
      channel,
      since: fc.option(fc.nat(15), { nil: undefined }),
      limit: fc.constantFrom(0, 1, 3, 100),
    }),
  },
  { weight: 2, arbitrary: fc.record({ action: fc.constantFrom("attach", "detach"), channel }) },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("die"), session }) },
  {
    weight: 4,
    arbitrary: fc.record({
      action: fc.constantFrom("advance", "skip"),
      ms: fc.constantFrom(1, 30, 99, 100, 450, 1000),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** The two, on one clock. */
class Pair {
  readonly #clock = new ManualClock();
  readonly #engine = new MemoryEngine({ clock: this.#clock, limits, epoch: "e" });
  readonly #naive = new NaiveChannels({ clock: this.#clock, limits });

  /** What each of them answers. */
  apply(step: Step): readonly [real: unknown, naive: unknown] {
    const { channels } = this.#engine;
    if (step.action === "publish") return [this.#publish(step), this.#naive.publish(step.channel, step)];
    if (step.action === "read") {
      const { messages, ...position } = channels.history(step);
      const real = { ...plain(position), offsets: messages.map(({ offset }) => offset) };
      return [real, this.#naive.read(step.channel, step.since, step.limit)];
    }
    if ("ms" in step) return [this.#clock[step.action](step.ms), undefined];
    if (step.action === "die") {
      return [this.#engine.endSession({ id: step.session, label: undefined }), this.#naive.endSession(step.session)];
    }
    return [channels[step.action](step.channel), this.#naive[step.action](step.channel)];
  }

  counts(): readonly [real: unknown, naive: unknown] {
    const { channels, messages, bytes } = this.#engine.stats().channels;
    return [{ channels, messages, bytes }, this.#naive.counts()];
  }

  #publish({ channel, session, serial, bytes }: Extract<Step, { action: "publish" }>): unknown {
    const request = { channel, data: "1".repeat(bytes), key: undefined, trace: undefined, exceptSelf: false };
    try {
      return plain(this.#engine.channels.publish({ ...request, serial }, { id: session, label: undefined }));
    } catch (error) {
      if (error instanceof EphemeralError) return error.code;
      throw error;
    }
  }
}

/** Epochs as the model counts them. */
function plain({ epoch, offset }: { readonly epoch: string; readonly offset: number }) {
  return { epoch: Number(epoch.slice("e.".length)), offset };
}

test(`channels agree with the model (EPHEMERAL_TEST_SEED=${seed})`, () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: stepsPerProgram, maxLength: stepsPerProgram }), (program) => {
      const pair = new Pair();
      for (const step of program) {
        const [real, naive] = pair.apply(step);
        expect(real).toEqual(naive);
        const [realCounts, naiveCounts] = pair.counts();
        expect(realCounts).toEqual(naiveCounts);
      }
    }),
    { seed, numRuns: Math.ceil(steps / stepsPerProgram) },
  );
}, 60_000);
