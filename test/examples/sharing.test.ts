/**
 * The examples of shared work, each run as its first comment says, with a broker of its own and worker processes: what they
 * print is computed from what happened, and fails here when it is not as promised.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/broker.ts";
import { linesOfExample } from "../support/examples.ts";

setDefaultTimeout(60_000);

const folder = temporaryDirectory();
afterAll(() => folder[Symbol.dispose]());
const linesOf = (name: string): Promise<readonly string[]> => linesOfExample(`sharing/${name}`, folder.path);

describe("examples/sharing", () => {
  test("dynamic-sharding.ts: at most 1.15 x the ideal, where dealing out takes much longer", async () => {
    const [first, dealt, shared] = await linesOf("dynamic-sharding");
    expect(first).toMatch(/^40 spec files on 4 shards, ideal: \d+ ms$/);
    const ratioOf = (line?: string): number => Number(/ ms, ([\d.]+) x the ideal$/.exec(line ?? "")?.[1]);
    console.log(shared);
    expect(ratioOf(shared)).toBeWithin(1, 1.15);
    expect(ratioOf(dealt)).toBeGreaterThan(1.5);
  });

  test("killed-shard.ts: each job is done, the one that was cut off by another shard", async () => {
    const lines = await linesOf("killed-shard");
    const [, victim] = /^shard (\d) was killed: 4 jobs done, 0 dead, 0 lost$/.exec(lines.at(-1) ?? "") ?? [];
    const done = lines.slice(0, -1).map((line) => /^shard (\d) did (\w+)\.spec\.ts, attempt (\d)$/.exec(line) ?? []);
    expect(done.map(([, , spec, attempt]) => `${spec}/${attempt}`).sort()).toEqual([
      "cart/1",
      "cursed/2",
      "login/1",
      "search/1",
    ]);
    const second = done.find(([, , spec]) => spec === "cursed");
    expect(["1", "2", "3"].filter((shard) => shard !== victim)).toContain(`${second?.[1]}`);
  });

  test("ten-per-second.ts: eight processes, and never told 429", async () => {
    const [calls, refused] = await linesOf("ten-per-second");
    const [, seconds] = /^16 calls by 8 processes in ([\d.]+) s$/.exec(calls ?? "") ?? [];
    // Ten at once, and six a second later.
    expect(Number(seconds)).toBeWithin(0.8, 3);
    expect(refused).toBe("told 429: 0");
  });

  test("start-together.ts: nobody before the last is ready, and who dies is named", async () => {
    expect(await linesOf("start-together")).toEqual([
      "4 processes began, 0 before the last was ready",
      "barrier_broken: worker 5",
    ]);
  });

  test("leaves nothing behind, and every example of the folder is here", async () => {
    expect(readdirSync(folder.path)).toEqual([]);
    const text = await Bun.file(import.meta.path).text();
    const examples = readdirSync(join(import.meta.dir, "../../examples/sharing"));
    expect(examples.filter((name) => !text.includes(`test("${name}:`))).toEqual([]);
  });
});
