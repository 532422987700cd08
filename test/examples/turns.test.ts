/**
 * The examples of turns, each run as its first comment says, with a broker of its own and worker processes: what they print
 * is computed from what happened, and fails here when it is not as promised.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/broker.ts";
import { linesOfExample } from "../support/examples.ts";

setDefaultTimeout(60_000);

const folder = temporaryDirectory();
afterAll(() => folder[Symbol.dispose]());
const linesOf = (name: string): Promise<readonly string[]> => linesOfExample(`turns/${name}`, folder.path);

describe("examples/turns", () => {
  test("account-pool.ts: each works with an account of its own, the broken one is taken out", async () => {
    const lines = await linesOf("account-pool");
    const [out, free, mended] = lines.slice(-3);
    const worked = lines.slice(0, -3).map((line) => /^worker (\d) worked as (bob|cyd)$/.exec(line)?.[1]);
    expect(worked.sort()).toEqual(["1", "2", "3", "4", "5", "6", "7", "8"]);
    expect(out).toMatch(/^account 0 was taken out by worker \d: the password has expired$/);
    expect([free, mended]).toEqual(["3 of 4 accounts may be used", "and 4 when it has been mended"]);
  });

  test("shared-readers.ts: readers together, a writer alone", async () => {
    expect(await linesOf("shared-readers")).toEqual([
      "4 readers were inside together",
      "others inside with a writer: 0",
    ]);
  });

  test("three-browsers.ts: three at a time, and no more", async () => {
    const lines = await linesOf("three-browsers");
    const seats = lines.slice(0, -1).map((line) => /^worker \d had a browser in seat ([012])$/.exec(line)?.[1]);
    expect(seats).toHaveLength(8);
    expect([...new Set(seats)].sort()).toEqual(["0", "1", "2"]);
    expect(lines.at(-1)).toMatch(/^most browsers at a time: [123]$/);
  });

  test("two-at-once.ts: no deadlock together, and told of one by one", async () => {
    const [together, apart, why, ...rest] = await linesOf("two-at-once");
    expect(together).toBe("together: 100 of 100 rounds, no deadlock");
    expect(apart).toBe("one after the other: deadlock");
    expect(why).toMatch(
      /owner "bob".* waits for "database" held by .*owner "ada".* waits for "printer" held by .*owner "bob"/,
    );
    expect(rest).toEqual([]);
  });

  test("leaves nothing behind, and every example of the folder is here", async () => {
    expect(readdirSync(folder.path)).toEqual([]);
    const text = await Bun.file(import.meta.path).text();
    const examples = readdirSync(join(import.meta.dir, "../../examples/turns"));
    expect(examples.filter((name) => !text.includes(`test("${name}:`))).toEqual([]);
  });
});
