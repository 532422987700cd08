/** The contract of waiting, told with `get`: order, deadlines, cancelling, bounds. */
import { describe, expect, test } from "bun:test";
import type { WaitHandle } from "../../../src/engine/engine.ts";
import { Actor, cancelled, type EngineFactory, now } from "./actor.ts";

export function waitsContract(create: EngineFactory): void {
  describe("waits", () => {
    test("all who wait for a key get the value that is set, and are waiting no more", async () => {
      const { engine } = await create();
      const sessions = ["a", "b", "c"].map((id) => new Actor(engine, id));
      const answers = sessions.map((session, index) => session.get("k", index === 0 ? -1 : 500));
      expect((await engine.stats()).waits).toBe(3);
      await new Actor(engine, "setter").set("k", "7");
      for (const answer of answers) expect(await answer).toMatchObject({ value: "7", version: 1, ttlMs: 60_000 });
      expect((await engine.stats()).waits).toBe(0);
    });

    test("a set of one key wakes nobody who waits for another", async () => {
      const { engine } = await create();
      const bob = new Actor(engine, "bob");
      const answer = bob.get("k", -1);
      await bob.set("other", "1");
      expect(await now(answer)).toBe("waits");
    });

    test("get() of an expired key waits when it may", async () => {
      const { engine, skip } = await create();
      const bob = new Actor(engine, "bob");
      await bob.set("k", "1", { ttlMs: 100 });
      await skip(100);
      const answer = bob.get("k", 500);
      expect(await bob.waits()).toEqual(["get k"]);
      await bob.set("k", "2");
      expect(await answer).toMatchObject({ value: "2" });
    });

    test("a wait ends at its deadline and not before, saying what it waited for and how long", async () => {
      const { engine, advance } = await create();
      const bob = new Actor(engine, "bob");
      const answer = bob.get("k", 500);
      await advance(499);
      expect(await now(answer)).toBe("waits");
      await advance(1);
      expect(await now(answer)).toMatchObject({
        error: "timeout",
        message: 'Timed out after 500 ms waiting for key "k": nobody has set it',
      });
    });

    test("a wait past its deadline is over before any sweep: a set comes too late, and so does a cancel", async () => {
      const { engine, skip } = await create();
      const bob = new Actor(engine, "bob");
      const handle: WaitHandle = {};
      const answers = [bob.get("k", 500), bob.get("other", 500, handle)];
      const { cancel } = handle;
      await skip(500);
      expect(cancel?.(cancelled())).toBe(false);
      await bob.set("k", "1");
      for (const answer of answers) expect(await answer).toMatchObject({ error: "timeout" });
    });

    test("a wait of −1 has no deadline", async () => {
      const { engine, advance } = await create();
      const answer = new Actor(engine, "bob").get("k", -1);
      await advance(30 * 24 * 3_600_000);
      expect(await now(answer)).toBe("waits");
    });

    test("cancel() takes exactly that wait away, once", async () => {
      const { engine } = await create();
      const [bob, carol] = [new Actor(engine, "bob"), new Actor(engine, "carol")];
      const handle: WaitHandle = {};
      const answers = [bob.get("k", -1), carol.get("k", 500, handle), carol.get("k", -1)];
      const { cancel } = handle;
      expect(cancel?.(cancelled())).toBe(true);
      expect(cancel?.(cancelled())).toBe(false);
      expect(handle.cancel?.(cancelled()) ?? false).toBe(false);
      expect(await answers[1]).toMatchObject({ error: "cancelled", message: "Cancelled by the test" });
      await bob.set("k", "1");
      expect(await Promise.all([answers[0], answers[2]])).toMatchObject([{ value: "1" }, { value: "1" }]);
    });

    test("cancel() says false once the answer was given, even before it is read", async () => {
      const { engine } = await create();
      const bob = new Actor(engine, "bob");
      const handle: WaitHandle = {};
      const answer = bob.get("k", -1, handle);
      const { cancel } = handle;
      await engine.set({ key: "k", value: "1", ttlMs: 100, compressed: false });
      expect(cancel?.(cancelled())).toBe(false);
      expect(await answer).toMatchObject({ value: "1" });
    });

    test("a command that is answered at once fills no handle", async () => {
      const { engine } = await create();
      const bob = new Actor(engine, "bob");
      const handle: WaitHandle = {};
      await bob.set("k", "1");
      await bob.get("k", 500, handle);
      await bob.get("none", 0, handle);
      expect(handle.cancel).toBeUndefined();
    });

    test("waitsPerSessionMax bounds a session, waitsMax the engine; a wait that ended makes room", async () => {
      const { engine } = await create({ waitsMax: 3, waitsPerSessionMax: 2 });
      const [bob, carol, dave] = ["bob", "carol", "dave"].map((id) => new Actor(engine, id)) as [Actor, Actor, Actor];
      const first = bob.get("a", -1);
      bob.get("b", -1);
      expect(await bob.get("c", -1)).toMatchObject({ error: "too_many_commands" });
      carol.get("a", -1);
      expect(await dave.get("a", -1)).toMatchObject({ error: "too_many_commands" });
      await dave.set("a", "1");
      expect(await first).toMatchObject({ value: "1" });
      const again = bob.get("c", -1);
      expect(await bob.waits()).toEqual(["get b", "get c"]);
      await dave.set("c", "1");
      expect(await again).toMatchObject({ value: "1" });
    });

    test("waitsOf() tells what a session waits for, oldest first, and since when", async () => {
      const { engine, advance, nowMs } = await create();
      const [bob, carol] = [new Actor(engine, "bob"), new Actor(engine, "carol")];
      await carol.lease("pool", "w-1", { size: 1 });
      await carol.once("token");
      bob.once("token", -1);
      await advance(5);
      bob.lease("pool", "w-2", { size: 1, waitMs: 100 });
      bob.get("k", -1);
      expect(await engine.waitsOf("bob")).toEqual([
        { action: "once", key: "token", sinceAtMs: nowMs() - 5 },
        { action: "lease", key: "pool", sinceAtMs: nowMs() },
        { action: "get", key: "k", sinceAtMs: nowMs() },
      ]);
      expect(await carol.waits()).toEqual([]);
    });
  });
}
