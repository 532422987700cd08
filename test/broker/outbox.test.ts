import { describe, expect, test } from "bun:test";
import { Outbox } from "../../src/broker/connections/outbox.ts";
import { announceSeed, Random } from "../support/random.ts";

/** A kernel that takes as much as it is told to and remembers each write. */
class Kernel {
  room = Number.POSITIVE_INFINITY;
  readonly writes: string[] = [];
  calls = 0;
  /** What is answered instead of 0 when nothing fits. */
  refusesWith = 0;

  write(data: string | Uint8Array): number {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    this.calls++;
    const taken = Math.min(bytes.length, this.room);
    if (taken === 0) return this.refusesWith;
    this.room -= taken;
    this.writes.push(Buffer.from(bytes.subarray(0, taken)).toString("latin1"));
    return taken;
  }
}

const endOfTurn = (): Promise<void> => Promise.resolve();

describe("Outbox.enqueue()", () => {
  test("lets all that is said in one turn leave in one write, at the turn's end", async () => {
    const kernel = new Kernel();
    const outbox = new Outbox(kernel);
    outbox.enqueue("a");
    outbox.enqueue("é");
    outbox.enqueue("c");
    expect(kernel.calls).toBe(0);
    expect(outbox.isEmpty).toBe(false);
    await endOfTurn();
    expect(kernel.writes).toEqual([Buffer.from("aéc").toString("latin1")]);
    expect(outbox.isEmpty).toBe(true);
    expect(outbox.bytesAtMost).toBe(0);
  });

  test("keeps the order of text and bytes", async () => {
    const kernel = new Kernel();
    const outbox = new Outbox(kernel);
    outbox.enqueue("a");
    outbox.enqueue(Buffer.from("b"));
    outbox.enqueue("c");
    await endOfTurn();
    expect(kernel.writes.join("")).toBe("abc");
  });

  test("writes again in the next turn", async () => {
    const kernel = new Kernel();
    const outbox = new Outbox(kernel);
    for (const text of ["a", "b"]) {
      outbox.enqueue(text);
      await endOfTurn();
    }
    expect(kernel.writes).toEqual(["a", "b"]);
  });

  test("does not ask a full kernel again before it has room", async () => {
    const kernel = new Kernel();
    kernel.room = 1;
    const outbox = new Outbox(kernel);
    outbox.enqueue("abc");
    await endOfTurn();
    outbox.enqueue("def");
    await endOfTurn();
    expect(kernel.calls).toBe(1);
    expect(outbox.bytesAtMost).toBe(5);
    kernel.room = 100;
    expect(outbox.flush()).toBe(0);
    expect(kernel.writes.join("")).toBe("abcdef");
    outbox.enqueue("g");
    await endOfTurn();
    expect(kernel.writes.at(-1)).toBe("g");
  });
});

describe("Outbox.flush()", () => {
  test.each([0, -1])("keeps everything when the kernel answers %d", async (answer) => {
    const kernel = new Kernel();
    kernel.room = 0;
    kernel.refusesWith = answer;
    const outbox = new Outbox(kernel);
    outbox.enqueue("abc");
    expect(outbox.flush()).toBe(3);
    kernel.room = 100;
    expect(outbox.flush()).toBe(0);
    expect(kernel.writes).toEqual(["abc"]);
  });

  test("continues inside a character", () => {
    const kernel = new Kernel();
    const outbox = new Outbox(kernel);
    outbox.enqueue("€😀");
    for (let left = 7; left > 0; left--) {
      kernel.room = 1;
      expect(outbox.flush()).toBe(left - 1);
    }
    expect(Buffer.from(kernel.writes.join(""), "latin1").toString()).toBe("€😀");
  });

  test("counts text not yet encoded at its worst and bytes as they are", () => {
    const kernel = new Kernel();
    kernel.room = 0;
    const outbox = new Outbox(kernel);
    outbox.enqueue("aé");
    expect(outbox.bytesAtMost).toBe(6);
    outbox.flush();
    expect(outbox.bytesAtMost).toBe(3);
  });

  test("gives any short-writing kernel the same bytes in the same order", async () => {
    announceSeed("Outbox.flush()");
    const random = new Random();
    for (let round = 0; round < 200; round++) {
      const kernel = new Kernel();
      const outbox = new Outbox(kernel);
      let said = "";
      for (let step = 0; step < 40; step++) {
        kernel.room = random.integer(12);
        const text = String.fromCharCode(97 + random.integer(26)).repeat(random.integer(9));
        said += text;
        outbox.enqueue(random.integer(2) === 0 ? text : Buffer.from(text));
        if (random.integer(3) === 0) await endOfTurn();
        if (random.integer(3) === 0) outbox.flush();
      }
      kernel.room = Number.POSITIVE_INFINITY;
      expect(outbox.flush()).toBe(0);
      expect(kernel.writes.join("")).toBe(said);
    }
  });
});

describe("Outbox.clear()", () => {
  test("forgets text and bytes, and a turn that ends after it writes nothing", async () => {
    const kernel = new Kernel();
    const outbox = new Outbox(kernel);
    outbox.enqueue(Buffer.from("a"));
    outbox.enqueue("b");
    outbox.clear();
    expect(outbox.isEmpty).toBe(true);
    await endOfTurn();
    expect(kernel.calls).toBe(0);
  });
});
