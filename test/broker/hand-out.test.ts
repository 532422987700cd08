import { describe, expect, test } from "bun:test";
import { Audience } from "../../src/broker/channels/audience.ts";
import { crowdMin, HandOut } from "../../src/broker/channels/hand-out.ts";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** An audience of so many that notes when it hands on. */
class Noting extends Audience {
  readonly handedOnAtMs: number[] = [];
  readonly #size: number;
  readonly #clock: ManualClock;

  constructor(size: number, clock: ManualClock) {
    super({ channel: "c", heldMax: 1 });
    this.#size = size;
    this.#clock = clock;
  }

  override get size(): number {
    return this.#size;
  }

  override handOn(): void {
    this.handedOnAtMs.push(this.#clock.nowMs());
  }
}

function scene(size: number) {
  const clock = new ManualClock(0);
  const handOut = new HandOut(clock);
  const audience = new Noting(size, clock);
  /** Something is published twice in each of so many turns. */
  const publish = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) {
      handOut.stir(audience);
      handOut.stir(audience);
      await undefined;
    }
  };
  return { clock, handOut, audience, publish };
}

describe("HandOut", () => {
  test("hands on to a few at the end of each turn, once", async () => {
    const { audience, publish } = scene(crowdMin - 1);
    await publish(3);
    expect(audience.handedOnAtMs).toEqual([0, 0, 0]);
  });

  test("hands on to a crowd at the end of the first turn, and then no sooner than two milliseconds later, once", async () => {
    const { clock, audience, publish } = scene(crowdMin);
    await publish(3);
    expect(audience.handedOnAtMs).toEqual([0]);
    clock.advance(1);
    expect(audience.handedOnAtMs).toEqual([0]);
    clock.advance(10);
    expect(audience.handedOnAtMs).toEqual([0, 2]);
    await publish(2);
    expect(audience.handedOnAtMs).toEqual([0, 2, 11]);
    expect(clock.alarmsPending).toBe(1);
  });

  test("hands on at once when it is flushed, and rests again from then on", async () => {
    const { clock, handOut, audience, publish } = scene(crowdMin);
    await publish(2);
    clock.advance(1);
    handOut.flush();
    expect(audience.handedOnAtMs).toEqual([0, 1]);
    expect(clock.alarmsPending).toBe(0);
    await publish(1);
    clock.advance(5);
    expect(audience.handedOnAtMs).toEqual([0, 1, 3]);
  });
});

describe("a crowd over the pipe", () => {
  test("hears all that was published before the broker ended, in its order", async () => {
    await using broker = await testBroker();
    using writer = await lineClient(broker.pipe);
    const readers: LineClient[] = [];
    for (let reader = 0; reader < crowdMin; reader++) readers.push(await lineClient(broker.pipe));
    for (const reader of readers) await reader.ask({ action: "subscribe", channel: "c" });
    for (let data = 1; data <= 20; data++) await writer.ask({ action: "publish", channel: "c", data });
    const stopped = broker.stop();
    for (const reader of readers) {
      const heard: unknown[] = [];
      for (let push = await reader.next(); push.push === "message"; push = await reader.next()) heard.push(push.data);
      expect(heard).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
      reader[Symbol.dispose]();
    }
    await stopped;
  });
});
