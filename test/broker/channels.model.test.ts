/**
 * Random programs of publishing, stalling, cutting and coming back, with bounds so small that all of them are reached: no
 * reader sees a hole that nobody told it of, a message twice, or one out of order, and each comes to the end.
 * EPHEMERAL_TEST_SEED runs a failure again, EPHEMERAL_TEST_STEPS sets how many steps there are in all.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { brokerConfig } from "../../src/broker/config.ts";
import { assembleBroker } from "../../src/broker/core.ts";
import type { Overflow } from "../../src/protocol/pushes.ts";
import { ChannelReader } from "../support/channel-reader.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { isThorough } from "../support/thorough.ts";

const stepsPerProgram = 60;
const steps = Number(process.env.EPHEMERAL_TEST_STEPS ?? (isThorough ? 60_000 : 2000));
const seed = Number(process.env.EPHEMERAL_TEST_SEED ?? Date.now() % 2 ** 31);
const limits = {
  frameBytesMax: 2048,
  valueBytesMax: 1024,
  historyCountMax: 30,
  historyBytesMax: 8192,
  historyTtlMs: 1000,
  outboxBytesMax: 20_480,
  latestKeysMax: 3,
};
const overflows: readonly Overflow[] = ["close", "close", "gap", "gap", "latest", "latest"];

const reader = fc.nat(overflows.length - 1);
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      action: fc.constant("publish"),
      count: fc.constantFrom(1, 1, 3, 10, 40, 120),
      bytes: fc.constantFrom(1, 100, 900),
      keys: fc.constantFrom(0, 1, 2, 5),
    }),
  },
  { weight: 4, arbitrary: fc.record({ action: fc.constant("stall"), reader, bytes: fc.constantFrom(0, 300, 5000) }) },
  { weight: 4, arbitrary: fc.record({ action: fc.constant("read on"), reader }) },
  { weight: 3, arbitrary: fc.record({ action: fc.constantFrom("cut" as const, "come back" as const), reader }) },
  { weight: 4, arbitrary: fc.record({ action: fc.constant("turn") }) },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("wait"), ms: fc.constantFrom(10, 600, 20_000) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Scene {
  readonly #clock = new ManualClock();
  readonly #core = assembleBroker({
    config: brokerConfig({ runRoot: "", limits }),
    endpoint: "test",
    clock: this.#clock,
    collect: () => {},
    draining: () => {},
  });
  readonly readers = overflows.map((overflow) => new ChannelReader({ connections: this.#core.connections, overflow }));
  readonly #writer = this.#core.connections.open(
    { write: (data) => data.length, pause: () => {}, resume: () => {}, end: () => {} },
    { door: "pipe", pid: undefined },
  );
  #published = 0;

  apply(step: Step): void | Promise<void> {
    if (step.action === "publish") this.#publish(step);
    else if (step.action === "wait") this.#clock.advance(step.ms);
    else if (step.action === "turn") return turn();
    else {
      const one = this.readers[step.reader];
      if (step.action === "stall") one?.stall(step.bytes);
      else if (step.action === "read on") one?.readOn();
      else if (step.action === "cut") one?.cut();
      else one?.connect();
    }
  }

  /** Everybody reads, and comes back when it was cut, until nothing is on its way. */
  async settle(): Promise<void> {
    for (let round = 0; round < 8; round++) {
      for (const one of this.readers) {
        one.connect();
        one.readOn();
      }
      for (let turns = 0; turns < 4; turns++) await turn();
    }
  }

  end(): number {
    const { epoch, offset } = this.#core.engine.channels.history({ channel: "c", since: undefined, limit: 0 });
    const states = this.readers.map((one) => [one.complaints, one.isConnected, one.epoch, one.offset]);
    expect(states).toEqual(this.readers.map(() => [[], true, epoch, offset]));
    void this.#core.stop();
    return this.readers.reduce((sum, { told }) => sum + told, 0);
  }

  #publish({ count, bytes, keys }: Extract<Step, { action: "publish" }>): void {
    const commands = Array.from({ length: count }, () => {
      this.#published++;
      const key = keys === 0 ? undefined : `k${this.#published % keys}`;
      return {
        id: this.#published,
        action: "publish",
        channel: "c",
        data: `${this.#published}`.padEnd(bytes, "x"),
        key,
      };
    });
    this.#writer?.receive(Buffer.from(commands.map((command) => `${JSON.stringify(command)}\n`).join("")));
  }
}

test(`readers of a channel (EPHEMERAL_TEST_SEED=${seed}) see no hole untold, nothing twice, nothing out of order`, async () => {
  let told = 0;
  let lost = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: stepsPerProgram, size: "max" }), async (program) => {
      const scene = new Scene();
      for (const one of scene.readers) one.connect();
      for (const step of program) await scene.apply(step);
      await scene.settle();
      told += scene.end();
      lost += scene.readers.reduce((sum, one) => sum + one.lost, 0);
    }),
    { seed, numRuns: Math.ceil((2 * steps) / stepsPerProgram) },
  );
  // Both have happened: what is told, and what is told to be missing.
  expect(told).toBeGreaterThan(1000);
  expect(lost).toBeGreaterThan(100);
}, 120_000);
