import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Continuity, type Told, type Wish } from "../../src/client/channels/continuity.ts";
import type { Message } from "../../src/protocol/channels.ts";
import { isThorough } from "../support/thorough.ts";

const epoch = "e";
const messageAt = (offset: number): Message => ({ offset, data: `d${offset}`, atMs: 0 });
const messagesOf = (from: number, to: number): readonly Message[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => messageAt(from + index));

/** What was told, in few letters. */
function lineOf(told: Told): string {
  if (told.event === "message") return `${told.message.offset}`;
  if (told.event === "recovered") return `recovered ${told.count}`;
  return `${told.event} ${told.from ?? "?"}-${told.to ?? "?"}`;
}

/** A reader and all it was told. */
function reader(start: { readonly position?: { epoch: string; offset: number }; readonly isGroup?: boolean } = {}) {
  const heard: string[] = [];
  return { heard, continuity: new Continuity((told) => heard.push(lineOf(told)), start) };
}

/** A reader that has subscribed at `offset` and is told everything. */
function live(offset: number) {
  const made = reader();
  expect(made.continuity.opened({ epoch, offset, messages: [] })).toBeUndefined();
  return made;
}

describe("Continuity", () => {
  test("begins with the history that was asked for, then tells each message once, in order", () => {
    const { heard, continuity } = reader();
    expect(continuity.message(messageAt(7))).toBeUndefined();
    expect(continuity.opened({ epoch, offset: 7, messages: messagesOf(6, 7) })).toBeUndefined();
    for (const offset of [7, 8, 8, 6, 9]) expect(continuity.message(messageAt(offset))).toBeUndefined();
    expect([heard, continuity.position]).toEqual([["6", "7", "8", "9"], { epoch, offset: 9 }]);
  });

  test("passes over what is not for us", () => {
    const { heard, continuity } = live(0);
    continuity.skip(1);
    continuity.message(messageAt(2));
    expect(heard).toEqual(["2"]);
  });

  test("asks again at a hole, tells nothing until the answer, then all of it", () => {
    const { heard, continuity } = live(4);
    expect(continuity.message(messageAt(7))).toBe("subscribe");
    expect(continuity.recover).toEqual({ epoch, offset: 4 });
    continuity.message(messageAt(8));
    expect(heard).toEqual([]);
    expect(continuity.opened({ epoch, offset: 8, recovered: true, messages: messagesOf(5, 8) })).toBeUndefined();
    continuity.message(messageAt(9));
    expect(heard).toEqual(["5", "6", "7", "8", "recovered 4", "9"]);
  });

  test("tells what is lost when nothing can be recovered, by offset within one epoch", () => {
    const { heard, continuity } = live(4);
    continuity.cut();
    continuity.opened({ epoch, offset: 9, recovered: false, messages: [] });
    continuity.cut();
    continuity.opened({ epoch: "other", offset: 2, recovered: false, messages: [] });
    continuity.message(messageAt(3));
    expect([heard, continuity.position]).toEqual([["lost 5-9", "lost ?-?", "3"], { epoch: "other", offset: 3 }]);
  });

  test("reads page by page, and holds back what is pushed meanwhile", () => {
    const { heard, continuity } = live(0);
    continuity.cut();
    expect(continuity.opened({ epoch, offset: 6, recovered: true, messages: messagesOf(1, 2), more: true })).toBe(
      "page",
    );
    continuity.message(messageAt(7));
    expect(continuity.page({ epoch, offset: 7, messages: messagesOf(3, 4), more: true })).toBe("page");
    continuity.message(messageAt(8));
    expect(heard).toEqual(["1", "2", "3", "4"]);
    expect(continuity.page({ epoch, offset: 7, messages: messagesOf(5, 7) })).toBeUndefined();
    continuity.message(messageAt(9));
    expect(heard.slice(4)).toEqual(["5", "6", "7", "8", "recovered 8", "9"]);
  });

  test("tells what left the history while it was read", () => {
    const { heard, continuity } = live(0);
    continuity.cut();
    continuity.opened({ epoch, offset: 6, recovered: true, messages: messagesOf(1, 1), more: true });
    continuity.page({ epoch, offset: 6, messages: messagesOf(4, 5), more: true });
    continuity.page({ epoch, offset: 6, messages: [] });
    expect(heard).toEqual(["1", "lost 2-3", "4", "5", "lost 6-6", "recovered 3"]);
  });

  test("tells nothing of a page behind what its reader stopped at, and goes on from there", () => {
    const heard: string[] = [];
    const continuity: Continuity = new Continuity((told) => {
      heard.push(lineOf(told));
      // Told on, the rest would have been lost to whoever recovers from the position.
      if (heard.length === 2) continuity.cut();
    }, {});
    expect(continuity.opened({ epoch, offset: 4, messages: messagesOf(1, 4) })).toBeUndefined();
    expect([heard, continuity.recover]).toEqual([["1", "2"], { epoch, offset: 2 }]);
    continuity.opened({ epoch, offset: 4, recovered: true, messages: messagesOf(3, 4) });
    expect(heard).toEqual(["1", "2", "3", "4", "recovered 2"]);
  });

  test("holds back a bounded number, and reads the others", () => {
    const { heard, continuity } = live(0);
    continuity.cut();
    continuity.opened({ epoch, offset: 2, recovered: true, messages: messagesOf(1, 1), more: true });
    for (const message of messagesOf(3, 600)) continuity.message(message);
    expect(continuity.page({ epoch, offset: 2, messages: messagesOf(2, 2) })).toBe("page");
    expect(continuity.position?.offset).toBe(2 + 256);
    expect(continuity.page({ epoch, offset: 600, messages: messagesOf(259, 600) })).toBeUndefined();
    expect(heard).toEqual([...messagesOf(1, 600).map(({ offset }) => `${offset}`), "recovered 600"]);
  });

  test("tells a gap once, and takes what was kept of it", () => {
    const { heard, continuity } = live(0);
    expect(continuity.gap({ from: 1, to: 5 })).toBeUndefined();
    for (const offset of [3, 5, 6]) expect(continuity.message(messageAt(offset))).toBeUndefined();
    continuity.gap({ from: 7, to: 9 });
    continuity.message(messageAt(10));
    // A join that was dropped is between 10 and 11.
    continuity.gap({ from: 11, to: 10 });
    continuity.message(messageAt(11));
    expect(heard).toEqual(["gap 1-5", "3", "5", "6", "gap 7-9", "10", "gap 11-10", "11"]);
  });

  test("does not recover what it told as a gap", () => {
    const { continuity } = live(0);
    continuity.gap({ from: 1, to: 5 });
    continuity.cut();
    expect(continuity.recover).toEqual({ epoch, offset: 5 });
  });

  test("recovers from a position it was given", () => {
    const { heard, continuity } = reader({ position: { epoch, offset: 3 } });
    expect(continuity.recover).toEqual({ epoch, offset: 3 });
    continuity.opened({ epoch, offset: 4, recovered: true, messages: messagesOf(4, 4) });
    expect(heard).toEqual(["4", "recovered 1"]);
  });

  test("of a group tells whatever comes, and that nobody knows what was missed", () => {
    const { heard, continuity } = reader({ isGroup: true });
    continuity.opened({ epoch, offset: 3, messages: [] });
    for (const offset of [5, 9]) expect(continuity.message(messageAt(offset))).toBeUndefined();
    continuity.cut();
    expect(continuity.recover).toBeUndefined();
    continuity.opened({ epoch, offset: 12, messages: [] });
    continuity.message(messageAt(14));
    expect(heard).toEqual(["5", "9", "lost ?-?", "14"]);
  });
});

/** A channel, a connection that keeps the order of what is said on it, and a reader at its end. Everything that happens to them is
 *  a step of the test's. */
class World {
  readonly told: Told[] = [];
  readonly continuity = new Continuity((told) => this.told.push(told), {});
  readonly #skipped = new Set<string>();
  #epoch = 1;
  #offset = 0;
  /** The first offset that can still be read. */
  #first = 1;
  /** Whether the broker tells the connection. */
  #isSubscribed = false;
  /** What is under way to the reader. */
  #underWay: (() => Wish)[] = [];
  /** What is under way to the broker. */
  #asked: Exclude<Wish, undefined>[] = ["subscribe"];

  publish(how: "told" | "dropped" | "gap" | "skip"): void {
    const offset = ++this.#offset;
    if (how === "skip") this.#skipped.add(`${this.#epoch} ${offset}`);
    if (!this.#isSubscribed || how === "dropped") return;
    const message = this.#messages(offset, offset)[0] as Message;
    this.#underWay.push(() => {
      if (how === "gap") return this.continuity.gap({ from: offset, to: offset });
      return how === "skip" ? this.continuity.skip(offset) : this.continuity.message(message);
    });
  }

  /** The broker answers what it was asked first. */
  answer(pageSize: number): void {
    const asked = this.#asked.shift();
    if (asked === undefined) return;
    const { recover } = this.continuity;
    const place = { epoch: `${this.#epoch}`, offset: this.#offset };
    if (asked === "page") {
      const read = this.#read((this.continuity.position?.offset ?? 0) + 1, pageSize);
      this.#underWay.push(() => this.continuity.page({ ...place, ...read }));
      return;
    }
    this.#isSubscribed = true;
    const isThere = recover?.epoch === place.epoch && recover.offset + 1 >= this.#first;
    const read = isThere ? this.#read(recover.offset + 1, pageSize) : { messages: [] };
    const recovered = recover === undefined ? undefined : isThere;
    this.#underWay.push(() => this.continuity.opened({ ...place, recovered, ...read }));
  }

  /** The reader gets the first thing that is under way. */
  deliver(): void {
    const wish = this.#underWay.shift()?.();
    if (wish !== undefined) this.#asked.push(wish);
  }

  cut(): void {
    this.#isSubscribed = false;
    this.#underWay = [];
    this.continuity.cut();
    this.#asked = ["subscribe"];
  }

  forget(count: number): void {
    this.#first = Math.min(this.#first + count, this.#offset + 1);
  }

  restart(): void {
    this.#epoch++;
    this.#offset = 0;
    this.#first = 1;
    this.cut();
  }

  /** Everything arrives; then one more message, which shows any hole. */
  settle(): void {
    for (const isLast of [false, true]) {
      if (isLast) this.publish("told");
      while (this.#asked.length + this.#underWay.length > 0) {
        this.deliver();
        if (this.#underWay.length === 0) this.answer(3);
      }
    }
  }

  /** Every offset since the first reply was told, or told to be missing; none twice, none out of order. */
  check(): void {
    let next: number | undefined;
    let epoch: string | undefined;
    for (const told of this.told) {
      if (told.event === "recovered") continue;
      if (told.event === "message") epoch = told.message.trace;
      const [from, to] = told.event === "message" ? [told.message.offset, told.message.offset] : [told.from, told.to];
      while (next !== undefined && this.#skipped.has(`${epoch} ${next}`) && next !== from) next++;
      if (next !== undefined && from !== undefined) expect(from).toBe(next);
      next = to === undefined ? undefined : to + 1;
    }
    expect(this.continuity.position).toEqual({ epoch: `${this.#epoch}`, offset: this.#offset });
    expect(next ?? this.#offset + 1).toBe(this.#offset + 1);
  }

  /** Each says which epoch it is of. */
  #messages(from: number, to: number): readonly Message[] {
    return messagesOf(from, to).map((message) => ({ ...message, trace: `${this.#epoch}` }));
  }

  #read(from: number, limit: number): { messages: readonly Message[]; more?: true } {
    const start = Math.max(from, this.#first);
    const end = Math.min(this.#offset, start + limit - 1);
    return { messages: this.#messages(start, end), ...(end < this.#offset ? { more: true } : {}) };
  }
}

const steps = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom("told", "told", "told", "dropped", "skip")
      .map((how) => (world: World) => world.publish(how as "told")),
  },
  { weight: 8, arbitrary: fc.constant((world: World) => world.deliver()) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 4 }).map((size) => (world: World) => world.answer(size)) },
  { weight: 1, arbitrary: fc.constant((world: World) => world.cut()) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }).map((count) => (world: World) => world.forget(count)) },
  { weight: 1, arbitrary: fc.constant((world: World) => world.restart()) },
);

describe("Continuity, whatever comes in whatever order", () => {
  test("leaves no hole untold, tells nothing twice and nothing out of order", () => {
    const world = (actions: readonly ((world: World) => void)[]): void => {
      const made = new World();
      for (const act of actions) act(made);
      made.settle();
      made.check();
    };
    fc.assert(fc.property(fc.array(steps, { maxLength: 80 }), world), { numRuns: isThorough ? 20_000 : 1000 });
  });
});
