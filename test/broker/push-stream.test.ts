import { describe, expect, test } from "bun:test";
import { type Frame, type Lost, PushStream, type PushWay } from "../../src/broker/connections/push-stream.ts";
import type { Overflow } from "../../src/protocol/pushes.ts";

/** A stream into an outbox with room for `room` frames, and all that was done with it. */
function streamWith(overflow: Overflow, latestMax = 10) {
  const said: Frame[] = [];
  const outbox = { offset: 0, room: 2, closes: 0, behinds: 0, said };
  const way: PushWay = {
    latestMax,
    encode: (push) => ("dropped" in push ? `gap ${push.dropped} ${push.prefix}` : ""),
    offer: (frame) => {
      if (outbox.room === 0) return false;
      outbox.room--;
      said.push(frame);
      return true;
    },
    close: () => outbox.closes++,
    behind: () => outbox.behinds++,
  };
  const gap = ({ dropped, from, to }: Lost) => ({ push: "gap", prefix: `${from}-${to}`, dropped }) as const;
  const stream = new PushStream(way, { overflow, gap });
  const push = (...frames: string[]): void => {
    for (const frame of frames) {
      const offset = ++outbox.offset;
      stream.push({ frame, key: frame[0] ?? "", from: offset, to: offset });
    }
  };
  return { stream, outbox, push };
}

describe("PushStream.push()", () => {
  test.each(["close", "gap", "latest"] as const)("says what there is room for, in order (%s)", (overflow) => {
    const { outbox, push } = streamWith(overflow);
    push("a1", "b1");
    expect(outbox).toMatchObject({ said: ["a1", "b1"], closes: 0, behinds: 0 });
  });

  test("close closes once, and says nothing behind the hole", () => {
    const { outbox, push } = streamWith("close");
    push("a1", "b1", "c1");
    outbox.room = 5;
    push("d1", "e1");
    expect(outbox).toMatchObject({ said: ["a1", "b1"], closes: 1, behinds: 0 });
  });

  test("gap drops, and tells how many before the next", () => {
    const { stream, outbox, push } = streamWith("gap");
    push("a1", "b1", "c1", "d1");
    expect(outbox.behinds).toBeGreaterThan(0);
    outbox.room = 9;
    expect(stream.drained()).toBe(true);
    push("e1");
    expect(outbox).toMatchObject({ said: ["a1", "b1", "gap 2 3-4", "e1"], closes: 0 });
  });

  test("gap goes on counting when there is no room for the gap itself", () => {
    const { stream, outbox, push } = streamWith("gap");
    push("a1", "b1", "c1");
    expect(stream.drained()).toBe(false);
    push("d1");
    outbox.room = 1;
    push("e1");
    outbox.room = 1;
    expect(stream.drained()).toBe(true);
    expect(outbox.said).toEqual(["a1", "b1", "gap 2 3-4", "gap 1 5-5"]);
  });

  test("latest keeps the newest of each key, in the order of their last change, behind the gap it makes", () => {
    const { stream, outbox, push } = streamWith("latest");
    push("a1", "b1", "c1", "d1", "c2");
    outbox.room = 9;
    expect(stream.drained()).toBe(true);
    expect(outbox.said).toEqual(["a1", "b1", "gap 1 3-3", "d1", "c2"]);
  });

  test("latest tells a gap from what it keeps first, so that a reader that goes by offsets sees no other", () => {
    const { stream, outbox, push } = streamWith("latest");
    push("a1", "b1", "c1", "d1", "d2", "d3");
    outbox.room = 2;
    expect(stream.drained()).toBe(false);
    push("d4");
    outbox.room = 9;
    push("e1");
    expect(outbox.said).toEqual(["a1", "b1", "gap 2 3-5", "c1", "gap 1 6-6", "d4", "e1"]);
  });

  test("latest drops the oldest key past its bound", () => {
    const { stream, outbox, push } = streamWith("latest", 2);
    push("a1", "b1", "c1", "d1", "e1");
    outbox.room = 9;
    stream.drained();
    expect(outbox.said).toEqual(["a1", "b1", "gap 1 3-3", "d1", "e1"]);
  });

  test("latest without a loss tells of no gap, and keeps what did not fit yet", () => {
    const { stream, outbox, push } = streamWith("latest");
    push("a1", "b1", "c1", "d1");
    outbox.room = 1;
    expect(stream.drained()).toBe(false);
    outbox.room = 1;
    expect(stream.drained()).toBe(true);
    expect(outbox.said).toEqual(["a1", "b1", "c1", "d1"]);
  });
});

describe("PushStream.pushAll()", () => {
  const parts = ["a1", "b1", "c1"].map((frame, index) => ({ frame, key: "k", from: index + 1, to: index + 1 }));

  test("says all in one where there is room, and each by itself where there is not", () => {
    const one = streamWith("gap");
    one.stream.pushAll({ whole: "a1b1c1", parts });
    expect(one.outbox.said).toEqual(["a1b1c1"]);
    one.outbox.room = 0;
    one.stream.pushAll({ whole: "a1b1c1", parts });
    one.outbox.room = 9;
    one.stream.drained();
    expect(one.outbox.said).toEqual(["a1b1c1", "gap 3 1-3"]);
  });

  test("says what there is room for, and nothing behind the hole", () => {
    const { stream, outbox } = streamWith("close");
    const roomForShort = outbox.room;
    outbox.room = 0;
    stream.pushAll({ whole: "a1b1c1", parts });
    outbox.room = roomForShort;
    stream.pushAll({ whole: "a1b1c1", parts });
    expect(outbox).toMatchObject({ said: [], closes: 1 });
  });
});

describe("PushStream.offer()", () => {
  test("changes nothing where there is no room", () => {
    const { stream, outbox } = streamWith("gap");
    outbox.room = 0;
    expect(stream.offer("a1")).toBe(false);
    outbox.room = 1;
    expect(stream.drained()).toBe(true);
    expect(stream.offer("b1")).toBe(true);
    expect(outbox.said).toEqual(["b1"]);
  });
});

describe("PushStream.overflow", () => {
  test("changes for what comes; what was kept is told first", () => {
    const { stream, outbox, push } = streamWith("latest");
    push("a1", "b1", "c1", "c2");
    stream.overflow = "gap";
    push("d1");
    outbox.room = 9;
    push("e1");
    expect(outbox.said).toEqual(["a1", "b1", "gap 2 3-5", "c2", "e1"]);
  });

  test("changes to close: the next that does not fit closes", () => {
    const { stream, outbox, push } = streamWith("gap");
    push("a1", "b1", "c1");
    stream.overflow = "close";
    push("d1");
    expect(outbox.closes).toBe(1);
  });
});

describe("PushStream.end()", () => {
  test("counts what was not told, and says nothing any more", () => {
    const { stream, outbox, push } = streamWith("latest");
    push("a1", "b1", "c1", "d1", "c2");
    expect(stream.end()).toBe(3);
    outbox.room = 9;
    expect(stream.drained()).toBe(true);
    push("e1");
    expect(outbox.said).toEqual(["a1", "b1"]);
    expect(stream.end()).toBe(0);
  });
});
