/** The contract of touch, of refreshing reads, and of keys that end with a session. */
import { describe, expect, test } from "bun:test";
import { Actor, type EngineFactory } from "./actor.ts";

export function lifetimesContract(create: EngineFactory): void {
  describe("lifetimes", () => {
    test("touch() gives a key a new deadline, sooner or later, and keeps value and version", async () => {
      const { engine, advance, nowMs } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: 100, compressed: true });
      await advance(50);
      expect(await alice.touch("k", 1000)).toEqual({ expiresAtMs: nowMs() + 1000 });
      await advance(999);
      expect(await alice.get("k")).toEqual({ value: "1", version: 1, compressed: true, ttlMs: 1 });
      await alice.touch("k", 10);
      await advance(10);
      expect(await alice.get("k")).toMatchObject({ error: "expired" });
    });

    test("touch() gives a deadline to a key without one", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: undefined });
      await alice.touch("k", 100);
      await advance(100);
      expect(await alice.get("k")).toMatchObject({ error: "expired" });
    });

    test("touch() is not_found for a key that is absent, and expired for 30 s after its deadline", async () => {
      const { engine, skip } = await create();
      const alice = new Actor(engine, "alice");
      expect(await alice.touch("k", 100)).toMatchObject({ error: "not_found" });
      await alice.set("k", "1", { ttlMs: 100 });
      await skip(100);
      expect(await alice.touch("k", 100)).toMatchObject({ error: "expired" });
      await skip(30_000);
      expect(await alice.touch("k", 100)).toMatchObject({ error: "not_found" });
    });

    test("the 30 s of expired count from the last end: set anew and expired anew, they begin anew", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: 100 });
      await advance(20_100);
      await alice.set("k", "2", { ttlMs: 100 });
      await advance(15_000);
      expect(await alice.get("k")).toMatchObject({ error: "expired" });
      await advance(15_099);
      expect(await alice.get("k")).toMatchObject({ error: "expired" });
      await advance(1);
      expect(await alice.get("k")).toMatchObject({ error: "not_found" });
    });

    test("get() with refresh gives the key its whole time again, without it none", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("other", "0", { ttlMs: 7 });
      await alice.set("k", "1", { ttlMs: 100 });
      await advance(60);
      expect(await alice.refresh("k")).toMatchObject({ value: "1", version: 2, ttlMs: 100 });
      await advance(60);
      expect(await alice.get("k")).toMatchObject({ ttlMs: 40 });
      await advance(40);
      expect(await alice.refresh("k")).toMatchObject({ error: "expired" });
    });

    test("get() with refresh gives the time that was last given: by set, touch or incr", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: 100 });
      await alice.set("k", "1", { ttlMs: 200 });
      await advance(1);
      expect(await alice.refresh("k")).toMatchObject({ ttlMs: 200 });
      await alice.touch("k", 300);
      await advance(1);
      expect(await alice.refresh("k")).toMatchObject({ ttlMs: 300 });
      await alice.incr("k", 1, { ttlMs: 400 });
      await advance(1);
      await alice.incr("k");
      expect(await alice.refresh("k")).toMatchObject({ ttlMs: 400 });
    });

    test("get() with refresh leaves a key without a deadline alone", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: undefined });
      await alice.refresh("k");
      await advance(365 * 24 * 3_600_000);
      expect(await alice.get("k")).toMatchObject({ value: "1", ttlMs: undefined });
    });

    test("a session's keys are gone when it ends, not expired, and nobody else's", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.own("a", "1");
      await alice.own("b", "1", { ttlMs: 60_000 });
      await bob.own("c", "1");
      await alice.set("d", "1");
      await alice.end();
      for (const key of ["a", "b"]) expect(await bob.get(key)).toMatchObject({ error: "not_found" });
      expect(Object.keys(Object((await bob.list()).items))).toEqual(["c", "d"]);
      await bob.end();
      expect(await engine.stats()).toMatchObject({ items: 1 });
    });

    test("the last set decides whose a key is, or that it is nobody's", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.own("taken", "1");
      await bob.own("taken", "2");
      await alice.own("freed", "1");
      await bob.set("freed", "2");
      await bob.set("gained", "1");
      await alice.own("gained", "2");
      await alice.end();
      expect(Object.keys(Object((await bob.list()).items))).toEqual(["taken", "freed"]);
      expect(await bob.holds()).toEqual(["key taken"]);
    });

    test("a set that is refused leaves the owner as it was", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.own("k", "1");
      await bob.own("k", "2", { if: "absent" });
      expect([await alice.holds(), await bob.holds()]).toEqual([["key k"], []]);
    });

    test("touch() and incr() keep the owner", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.own("k", "1");
      await bob.touch("k", 60_000);
      await bob.incr("k");
      expect(await alice.holds()).toEqual(["key k"]);
      await alice.end();
      expect(await bob.get("k")).toMatchObject({ error: "not_found" });
    });

    test("a session's key may have a deadline too; deleted or expired, it is nobody's when it is set anew", async () => {
      const { engine, advance } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.own("a", "1", { ttlMs: 100 });
      await alice.own("b", "1");
      await bob.del("b");
      await advance(100);
      expect(await alice.holds()).toEqual([]);
      for (const key of ["a", "b"]) await bob.set(key, "2");
      await alice.end();
      expect(Object.keys(Object((await bob.list()).items))).toEqual(["a", "b"]);
    });

    test("holdsOf() tells a session's keys with their version, since they are its, oldest first", async () => {
      const { engine, advance, nowMs } = await create();
      const alice = new Actor(engine, "alice");
      const startMs = nowMs();
      await alice.own("a", "1");
      await advance(5);
      await alice.lease("pool", "w", { scope: "session" });
      await alice.own("b", "1");
      await alice.own("a", "2");
      expect(await engine.holdsOf("alice")).toEqual([
        { kind: "key", id: "a", version: 3, sinceAtMs: startMs },
        { kind: "lease", id: "pool", workerId: "w", fence: startMs * 1000 + 1, sinceAtMs: startMs + 5 },
        { kind: "key", id: "b", version: 2, sinceAtMs: startMs + 5 },
      ]);
    });
  });
}
