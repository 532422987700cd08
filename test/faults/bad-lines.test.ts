/**
 * Channels over bad lines: writers and readers each behind a proxy that does to their connections what a rule says, a broker
 * in a process of its own, and a history that checks what everybody saw. No hole that nobody was told of, nothing twice,
 * nothing in another order, every publication answered once.
 */
import { afterAll, expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import type { Overflow } from "../../src/protocol/pushes.ts";
import { KiB, MiB } from "../../src/protocol/sizes.ts";
import { brokerProcess } from "../support/broker-process.ts";
import { ChannelHistory, type ReaderHistory } from "../support/channel-history.ts";
import { type Direction, type Fault, type FaultProxy, faultProxy } from "../support/fault-proxy.ts";
import { quickClock } from "../support/quick-clock.ts";
import { announceSeed, Random } from "../support/random.ts";
import { isThorough } from "../support/thorough.ts";
import { until } from "../support/until.ts";

announceSeed("channels over bad lines");

const readersCount = 4;
const writersCount = 2;
/** Publications of each writer; a million deliveries in all in CI, ten where somebody asks for it. */
const scale = Number(process.env.EPHEMERAL_TEST_DELIVERIES ?? (isThorough ? 1_100_000 : 30_000));
/** Connections to which something is done; those after them are left in peace, so that every run ends. */
const badConnections = 12 * (readersCount + writersCount);

interface Rule {
  readonly name: string;
  /** What is done to a bad connection. */
  readonly faults: (chance: Chance) => readonly Fault[];
  /** Whether nobody may miss anything: true unless told. */
  readonly losesNothing?: boolean;
  /** Pieces and waits take their time: a part of the messages is enough. */
  readonly share?: number;
  readonly overflow?: Overflow;
  /** A broker that keeps little, and messages so large that readers are soon too slow for it. */
  readonly isTight?: boolean;
  /** How often the broker is stopped for a moment. */
  readonly stops?: number;
}

/** Where in the stream something is done: somewhere in what one writer says, or in the first bytes. */
class Chance {
  readonly random: Random;
  readonly #bytes: number;

  constructor(random: Random, publications: number) {
    this.random = random;
    this.#bytes = (publications * publicationBytes) / 3;
  }

  get place(): number {
    return greetingBytes + this.random.integer(this.#bytes);
  }

  get soon(): number {
    return this.random.integer(greetingBytes);
  }
}

/** What one publication takes on the wire, and a greeting, about. */
const publicationBytes = 80;
const greetingBytes = 400;

const rules: readonly Rule[] = [
  { name: "nothing at all", faults: () => [] },
  { name: "cut on the way down", faults: (chance) => [{ kind: "cut", direction: "down", afterBytes: chance.place }] },
  { name: "cut on the way up", faults: (chance) => [{ kind: "cut", direction: "up", afterBytes: chance.place }] },
  {
    name: "cut in the greeting, down",
    faults: (chance) => [{ kind: "cut", direction: "down", afterBytes: chance.soon }],
  },
  { name: "cut in the greeting, up", faults: (chance) => [{ kind: "cut", direction: "up", afterBytes: chance.soon }] },
  { name: "refused", faults: () => [{ kind: "refuse" }] },
  {
    name: "half open on the way down",
    faults: (chance) => [{ kind: "half-open", direction: "down", afterBytes: chance.place, forMs: 30 }],
  },
  {
    name: "half open on the way up",
    faults: (chance) => [{ kind: "half-open", direction: "up", afterBytes: chance.place, forMs: 30 }],
  },
  {
    name: "late on the way down",
    faults: () => [{ kind: "delay", direction: "down", delayMs: 2, jitterMs: 5 }],
    share: 0.5,
  },
  {
    name: "late on the way up",
    faults: () => [{ kind: "delay", direction: "up", delayMs: 2, jitterMs: 5 }],
    share: 0.5,
  },
  {
    name: "in pieces on the way down",
    faults: () => [{ kind: "split", direction: "down", bytesMax: 40 }],
    share: 0.1,
  },
  { name: "byte by byte on the way up", faults: () => [{ kind: "split", direction: "up", bytesMax: 1 }], share: 0.05 },
  {
    name: "stalled on the way down",
    faults: (chance) => [{ kind: "stall", direction: "down", afterBytes: chance.place, forMs: 60 }],
  },
  {
    name: "stalled on the way up",
    faults: (chance) => [{ kind: "stall", direction: "up", afterBytes: chance.place, forMs: 60 }],
  },
  {
    name: "a byte spoilt on the way down",
    faults: (chance) => [{ kind: "corrupt", direction: "down", afterBytes: chance.place }],
  },
  {
    name: "a byte spoilt on the way up",
    faults: (chance) => [{ kind: "corrupt", direction: "up", afterBytes: chance.place }],
  },
  {
    name: "a line twice on the way down",
    faults: (chance) => [{ kind: "duplicate", direction: "down", afterBytes: chance.place }],
  },
  {
    name: "a line twice on the way up",
    faults: (chance) => [{ kind: "duplicate", direction: "up", afterBytes: chance.place }],
  },
  {
    name: "stalled, then cut",
    faults: (chance) => {
      const afterBytes = chance.place;
      return [
        { kind: "stall", direction: "down", afterBytes, forMs: 40 },
        { kind: "cut", direction: "down", afterBytes: afterBytes + 1 },
      ];
    },
  },
  {
    name: "late and in pieces, then cut in one",
    faults: (chance) => [
      { kind: "delay", direction: "down", delayMs: 1, jitterMs: 3 },
      { kind: "split", direction: "down", bytesMax: 200 },
      { kind: "cut", direction: "down", afterBytes: chance.place },
    ],
    share: 0.2,
  },
  {
    name: "anything",
    faults: (chance) => {
      const afterBytes = chance.place;
      const direction = chance.random.pick<Direction>(["up", "down"]);
      return chance.random.pick<readonly Fault[]>([
        [{ kind: "cut", direction, afterBytes }],
        [{ kind: "half-open", direction, afterBytes, forMs: 20 }],
        [{ kind: "stall", direction, afterBytes, forMs: 40 }],
        [{ kind: "duplicate", direction, afterBytes }],
        [{ kind: "corrupt", direction: "down", afterBytes }],
        [{ kind: "refuse" }],
      ]);
    },
  },
];

const tight = { losesNothing: false, isTight: true };
const stalled = (chance: Chance): readonly Fault[] => [
  { kind: "stall", direction: "down", afterBytes: chance.place, forMs: 300 },
];
const processRules: readonly Rule[] = [
  { name: "a broker that stands still at times", faults: () => [], stops: 20 },
  { name: "stalled, and closed as too slow", faults: stalled, overflow: "close", ...tight },
  { name: "stalled, and told of gaps", faults: stalled, overflow: "gap", ...tight },
  { name: "stalled, and given the latest", faults: stalled, overflow: "latest", ...tight },
];
const allRules = [...rules, ...processRules];

const channel = "room";
const onTheWayMax = 64;
const lingerMs = 10_000;

/** Nobody comes back so late that what he missed is forgotten. */
const roomy = { historyCountMax: 100_000, historyBytesMax: 64 * MiB, outboxBytesMax: 160 * MiB };
const narrow = { frameBytesMax: 8 * KiB, valueBytesMax: 4 * KiB, historyBytesMax: 64 * KiB, outboxBytesMax: 160 * KiB };
/** Large publications of each writer. */
const largeCount = 500;
const padding = " ".repeat(3 * KiB);

let deliveries = 0;
afterAll(() => console.log(`channels over bad lines: ${deliveries} deliveries`));

test.each(allRules)(
  "$name",
  async ({ faults, losesNothing = true, share = 1, isTight = false, stops = 0, overflow }) => {
    const random = new Random();
    await using broker = await brokerProcess({ limits: isTight ? narrow : roomy });
    const count = isTight ? largeCount : Math.ceil((scale * share) / allRules.length / readersCount / writersCount);
    const chance = new Chance(random, count);
    const script = (connection: number): readonly Fault[] => (connection < badConnections ? faults(chance) : []);
    await using line = await faultProxy({ target: { path: broker.pipe }, door: "pipe", random, script });
    const history = new ChannelHistory();
    const readers = await Promise.all(
      Array.from({ length: readersCount }, (_, index) => reader(line, { history, name: `reader ${index}`, overflow })),
    );
    const standing = standStill(broker.pid, stops);
    await Promise.all(
      Array.from({ length: writersCount }, (_, index) =>
        write(line, { history, name: `w${index}`, count, padding: isTight ? padding : "" }),
      ),
    );
    await standing;
    using last = client(broker.pipe);
    // Who was too slow for the first may have lost it, and was told.
    await until(async () => {
      await last.publish(channel, "end");
      return readers.every(({ hasEnded }) => hasEnded());
    }, 20_000);
    for (const { close } of readers) close();
    history.close();
    deliveries += history.deliveries;
    expect(history.problems).toEqual([]);
    expect(history.acknowledged + history.unknown).toBe(count * writersCount);
    const signals = readers.reduce((sum, { seen }) => sum + seen.losses + seen.gaps, 0);
    if (losesNothing) {
      expect(signals).toBe(0);
      for (const { seen } of readers) expect(seen.received).toBeGreaterThanOrEqual(history.acknowledged);
    } else expect(signals).toBeGreaterThan(0);
    if (faults(chance).length > 0)
      expect([...line.done.values()].reduce((sum, times) => sum + times, 0)).toBeGreaterThan(0);
  },
);

const client = (pipe: string): Client => new Client(pipe, { lingerMs, timeoutMs: 5_000, clock: quickClock });

interface Party {
  readonly history: ChannelHistory;
  readonly name: string;
}

/** Stops a process for a moment, so many times. */
async function standStill(pid: number, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    process.kill(pid, "SIGSTOP");
    await Bun.sleep(10);
    process.kill(pid, "SIGCONT");
    await Bun.sleep(5);
  }
}

async function reader(
  { pipe }: FaultProxy,
  { history, name, overflow }: Party & { readonly overflow: Overflow | undefined },
): Promise<{ readonly seen: ReaderHistory; readonly hasEnded: () => boolean; readonly close: () => void }> {
  const reading = client(pipe);
  const seen = history.reader(name);
  let hasEnded = false;
  let epoch = "";
  const subscription = await reading.subscribe<string>(
    channel,
    ({ data, offset }) => {
      if (data === "end") hasEnded = true;
      else seen.message(data.trim(), { epoch, offset });
    },
    {
      overflow,
      onEvent: (event) => {
        if (event.event === "lost") seen.lost();
        else if (event.event === "gap") seen.gap(event.to);
        else if (event.event === "unsubscribed") history.problem(`${name}: ${event.error.message}`);
      },
    },
  );
  epoch = subscription.position.epoch;
  return { seen, hasEnded: () => hasEnded, close: () => reading.close() };
}

interface Writing extends Party {
  readonly count: number;
  /** Behind each publication, to make it large. */
  readonly padding: string;
}

/** Publishes one message after another, so many on their way at a time. */
async function write({ pipe }: FaultProxy, { history, name, count, padding }: Writing): Promise<void> {
  using writing = client(pipe);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const publication = `${name}-${next++}`;
      history.sent(publication);
      try {
        const { epoch, offset } = await writing.publish(channel, publication + padding);
        history.answered(publication, { epoch, offset });
      } catch {
        history.failed(publication);
      }
    }
  };
  await Promise.all(Array.from({ length: onTheWayMax }, lane));
}
