import { describe, expect, test } from "bun:test";
import { EventLines } from "../../src/cli/event-lines.ts";

/** Lines to a reader who takes a piece only when told to. */
function slowReader() {
  const pieces: string[] = [];
  const takes: PromiseWithResolvers<void>[] = [];
  const lines = new EventLines(
    (dropped) => `gap ${dropped}\n`,
    (text) => {
      pieces.push(text);
      const take = Promise.withResolvers<void>();
      takes.push(take);
      return take.promise;
    },
  );
  const take = async (): Promise<void> => {
    takes.shift()?.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { lines, pieces, take, takes };
}

describe("EventLines", () => {
  test("write at once, and together what came meanwhile", async () => {
    const { lines, pieces, take } = slowReader();
    for (const line of ["1\n", "2\n", "3\n"]) lines.add(line);
    await take();
    await take();
    await lines.written();
    lines.add("4\n");
    expect(pieces).toEqual(["1\n", "2\n3\n", "4\n"]);
  });

  test("drop what a reader leaves no room for, and count it where it is missing", async () => {
    const { lines, pieces, take } = slowReader();
    const long = `${"x".repeat(1024 * 1024 - 1)}\n`;
    lines.add("first\n");
    for (let index = 0; index < 6; index++) lines.add(long);
    await take();
    lines.add("after\n");
    await take();
    await take();
    await lines.written();
    expect(pieces.map((piece) => piece.replaceAll(long, "L"))).toEqual(["first\n", "LLLLgap 2\n", "after\n"]);
  });

  test("go on behind a gap when a shorter line fits", async () => {
    const { lines, pieces, take } = slowReader();
    lines.add("first\n");
    lines.add("x".repeat(4 * 1024 * 1024 - 100));
    lines.add("y".repeat(1000));
    lines.add("short\n");
    await take();
    await take();
    await lines.written();
    expect(pieces.at(-1)?.replaceAll("x", "")).toBe("gap 1\nshort\n");
  });

  test("reject when they cannot be written", async () => {
    const lines = new EventLines(
      () => "",
      () => Promise.reject(new Error("no room on the disk")),
    );
    lines.add("1\n");
    await expect(lines.failed).rejects.toThrow("no room on the disk");
    await lines.written();
  });
});
