/**
 * In which ways a line between clients and a broker is bad: what is done to each connection, by chance, and what else is so.
 * Knows neither channels nor who uses the line.
 */
import type { Overflow } from "../../src/protocol/pushes.ts";
import type { Direction, Fault } from "./fault-proxy.ts";
import type { Random } from "./random.ts";
import { isThorough } from "./thorough.ts";

/** What one run of channels over a bad line is like. */
export interface Rule {
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
export class Chance {
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

const lineRules: readonly Rule[] = [
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
/** So long that the kernel has no room any more; of TCP it has megabytes. */
const stalled = (chance: Chance): readonly Fault[] => [
  { kind: "stall", direction: "down", afterBytes: chance.place, forMs: isThorough ? 1000 : 300 },
];
const processRules: readonly Rule[] = [
  { name: "a broker that stands still at times", faults: () => [], stops: 20 },
  { name: "stalled, and closed as too slow", faults: stalled, overflow: "close", ...tight },
  { name: "stalled, and told of gaps", faults: stalled, overflow: "gap", ...tight },
  { name: "stalled, and given the latest", faults: stalled, overflow: "latest", ...tight },
];
export const pipeRules: readonly Rule[] = [...lineRules, ...processRules];

/** A WebSocket is no line of text: what is spoilt in it, or there twice, is not always seen. */
export const webRules = pipeRules.filter(({ name }) => !/spoilt|twice|anything/.test(name));
