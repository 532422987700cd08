/** The contract of observe: what becomes of keys, told in its order. */
import { describe, expect, test } from "bun:test";
import { Actor, type EngineFactory } from "./actor.ts";

/** Makes an engine and writes down what it tells, as `set k 1`. */
async function observed(create: EngineFactory) {
  const parts = await create();
  const told: string[] = [];
  parts.engine.observe(({ key, event, version }) => told.push(`${event} ${key} ${version}`));
  return { ...parts, told, alice: new Actor(parts.engine, "alice"), bob: new Actor(parts.engine, "bob") };
}

export function keyEventsContract(create: EngineFactory): void {
  describe("key events", () => {
    test("observe() is told what set, incr, once.resolve and del do, with versions, in order", async () => {
      const { told, alice } = await observed(create);
      await alice.set("a", "1");
      await alice.set("a", "2");
      await alice.incr("n");
      await alice.incr("n");
      const { fence } = await alice.once("o");
      await alice.resolve("o", fence, "1");
      await alice.del("a");
      expect(told).toEqual(["set a 1", "set a 2", "set n 3", "set n 4", "set o 5", "del a 2"]);
    });

    test("observe() is not told of reads, of new deadlines, or of what was refused", async () => {
      const { told, alice } = await observed(create);
      await alice.set("a", "1");
      told.length = 0;
      await alice.get("a");
      await alice.refresh("a");
      await alice.touch("a", 500);
      await alice.set("a", "2", { if: "absent" });
      await alice.set("b", "2", { if: "present" });
      await alice.del("a", 99);
      await alice.del("b");
      await alice.set("text", '""', { version: 7 });
      expect(told).toEqual([]);
    });

    for (const passes of ["advance", "skip"] as const) {
      test(`observe() is told of an expiry before what comes after it (${passes})`, async () => {
        const { told, alice, ...time } = await observed(create);
        await alice.set("b", "1", { ttlMs: 200 });
        await alice.set("a", "1", { ttlMs: 100 });
        await time[passes](200);
        await alice.set("a", "2");
        expect(told.slice(2)).toEqual(["expired a 2", "expired b 1", "set a 3"]);
      });
    }

    test("observe() is told that a session's keys are deleted as it ends", async () => {
      const { told, alice, bob } = await observed(create);
      await alice.own("a", "1");
      await bob.own("b", "1");
      await alice.own("c", "1");
      await alice.end();
      expect(told.slice(3)).toEqual(["del a 1", "del c 3"]);
    });

    test("observe() has told before the command is answered", async () => {
      const { engine, told } = await observed(create);
      const answer = await engine.set({ key: "a", value: "1", ttlMs: 100, compressed: false });
      expect([told, answer.version]).toEqual([["set a 1"], 1]);
    });

    test("observe() knows one listener, and none after undefined", async () => {
      const { engine, told, alice } = await observed(create);
      let heard = 0;
      engine.observe(() => heard++);
      await alice.set("a", "1");
      engine.observe(undefined);
      await alice.set("a", "2");
      expect([told, heard]).toEqual([[], 1]);
    });
  });
}
