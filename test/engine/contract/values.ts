/** The contract of set, get, del and list. */
import { describe, expect, test } from "bun:test";
import { Actor, type EngineFactory } from "./actor.ts";

export function valuesContract(create: EngineFactory): void {
  describe("values", () => {
    test("get() gives back what set() stored, with its version and the time left", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      const { version } = await alice.set("k", '"é"', { ttlMs: 500, compressed: true });
      await advance(100);
      expect(await alice.get("k")).toEqual({ value: '"é"', version, compressed: true, ttlMs: 400 });
    });

    test("get() gives bytes back as bytes", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      engine.set({ key: "k", value: new Uint8Array([0, 255, 10]), ttlMs: 500, compressed: false });
      expect((await alice.get("k")).value).toEqual(new Uint8Array([0, 255, 10]));
    });

    test("set() without a ttl keeps the key for as long as the engine lives", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: undefined });
      await advance(365 * 24 * 3_600_000);
      expect(await alice.get("k")).toMatchObject({ value: "1", ttlMs: undefined });
    });

    test("set() replaces value, ttl and version of a key that exists", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      const before = await alice.set("k", "1", { ttlMs: 100, compressed: true });
      const after = await alice.set("k", "2", { ttlMs: 1000 });
      expect(after.version).toBeGreaterThan(before.version ?? Number.NaN);
      await advance(999);
      expect(await alice.get("k")).toEqual({ value: "2", version: after.version, compressed: false, ttlMs: 1 });
    });

    test("set() gives versions that increase over all keys, also after a delete", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      const versions: unknown[] = [];
      for (const key of ["a", "b", "a", "c"]) {
        versions.push((await alice.set(key, "1")).version);
        if (key === "b") await alice.del("a");
      }
      expect(versions).toEqual([...new Set(versions)].sort((a, b) => Number(a) - Number(b)));
    });

    for (const passes of ["advance", "skip"] as const) {
      test(`a key is gone at its deadline, not a millisecond before (${passes})`, async () => {
        const { engine, ...time } = await create();
        const alice = new Actor(engine, "alice");
        await alice.set("k", "1", { ttlMs: 100 });
        await time[passes](99);
        expect(await alice.get("k")).toMatchObject({ value: "1", ttlMs: 1 });
        await time[passes](1);
        expect(await alice.get("k")).toMatchObject({ error: "expired" });
        expect(await alice.list()).toEqual({ items: {}, cursor: undefined });
        expect(await alice.del("k")).toEqual({ deleted: false });
        expect(await alice.set("k", "2", { if: "absent" })).toMatchObject({ version: 2 });
      });
    }

    test("an expired key answers expired for 30 s after its deadline, then not_found", async () => {
      const { engine, advance, skip } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: 100 });
      await skip(20_000);
      expect(await alice.get("k")).toMatchObject({ error: "expired" });
      await advance(10_099);
      expect(await alice.get("k")).toMatchObject({ error: "expired" });
      await advance(1);
      expect(await alice.get("k")).toMatchObject({ error: "not_found" });
    });

    test("only the last expiredRememberedMax keys are remembered as expired", async () => {
      const { engine, advance } = await create({ expiredRememberedMax: 2 });
      const alice = new Actor(engine, "alice");
      for (const key of ["a", "b", "c"]) await alice.set(key, "1", { ttlMs: 100 });
      await advance(100);
      const codes = [await alice.get("a"), await alice.get("b"), await alice.get("c")].map(({ error }) => error);
      expect(codes).toEqual(["not_found", "expired", "expired"]);
    });

    test("a set clears the memory of the key's expiry: deleted again, it is not_found", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: 100 });
      await advance(100);
      await alice.set("k", "2");
      await alice.del("k");
      expect(await alice.get("k")).toMatchObject({ error: "not_found" });
    });

    test.each([
      ["exists", "k", { if: "absent" }],
      ["not_found", "new", { if: "present" }],
      ["not_found", "new", { version: 1 }],
      ["version_mismatch", "k", { version: 99 }],
    ] as const)("set() refuses with %s for %s on %o, and changes nothing", async (code, key, condition) => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1");
      expect(await alice.set(key, "2", condition)).toMatchObject({ error: code });
      expect(await alice.get("k")).toMatchObject({ value: "1", version: 1 });
      expect(await alice.get("new")).toMatchObject({ error: "not_found" });
    });

    test("set() stores when if and version are met", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      const { version } = await alice.set("k", "1", { if: "absent" });
      expect(await alice.set("k", "2", { if: "present" })).toMatchObject({ version: 2 });
      expect(await alice.set("k", "3", { version: 2 })).toMatchObject({ version: 3 });
      expect([version, (await alice.get("k")).value]).toEqual([1, "3"]);
    });

    test("set() of a new key past itemsMax is max_items; replacing is not, and an expired key makes room at once", async () => {
      const { engine, skip } = await create({ itemsMax: 2 });
      const alice = new Actor(engine, "alice");
      await alice.set("a", "1", { ttlMs: 100 });
      await alice.set("b", "1");
      expect(await alice.set("c", "1")).toMatchObject({ error: "max_items" });
      expect(await alice.set("b", "2")).toMatchObject({ version: 3 });
      await skip(100);
      expect(await alice.set("c", "1")).toMatchObject({ version: 4 });
      expect((await engine.stats()).items).toBe(2);
    });

    test("del() deletes a live key once, and only at the version asked for", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1");
      expect(await alice.del("k", 99)).toMatchObject({ error: "version_mismatch", details: { version: 1 } });
      expect(await alice.del("k", 1)).toEqual({ deleted: true });
      expect(await alice.del("k", 1)).toEqual({ deleted: false });
      expect(await alice.get("k")).toMatchObject({ error: "not_found" });
    });

    test("a deleted key takes its deadline along: set anew, it lives on", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: 100, compressed: true });
      await alice.del("k");
      await alice.set("k", "2", { ttlMs: undefined });
      await advance(100);
      expect(await alice.get("k")).toMatchObject({ value: "2", compressed: false });
      expect((await engine.stats()).itemsExpired).toBe(0);
    });

    test("list() gives the keys of a prefix in the order they were first set, a page at a time", async () => {
      const { engine, nowMs } = await create();
      const alice = new Actor(engine, "alice");
      for (const key of ["p:c", "q:x", "p:a", "p:b", "p:c"]) await alice.set(key, "1");
      const first = await alice.list({ prefix: "p:", limit: 2 });
      expect(Object.entries(Object(first.items))).toEqual([
        ["p:c", { expires: nowMs() + 60_000, hasValue: true, version: 5 }],
        ["p:a", { expires: nowMs() + 60_000, hasValue: true, version: 3 }],
      ]);
      const rest = await alice.list({ prefix: "p:", limit: 2, cursor: String(first.cursor) });
      expect([Object.keys(Object(rest.items)), rest.cursor]).toEqual([["p:b"], undefined]);
    });

    test("list() goes on from a cursor whose key is gone, and a key set anew comes last", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      for (const key of ["a", "b", "c"]) await alice.set(key, "1");
      const first = await alice.list({ limit: 2 });
      await alice.del("b");
      await alice.set("b", "2");
      const rest = await alice.list({ cursor: String(first.cursor) });
      expect(Object.keys(Object(rest.items))).toEqual(["c", "b"]);
    });

    test("list() gives every key that stays exactly once, whatever is set and deleted between its pages", async () => {
      const { engine, skip } = await create();
      const alice = new Actor(engine, "alice");
      for (let index = 0; index < 30; index++) await alice.set(`stays-${index}`, "1");
      for (let index = 0; index < 10; index++) await alice.set(`ends-${index}`, "1", { ttlMs: 100 });
      const seen: string[] = [];
      let cursor: string | undefined;
      for (let page = 0; page === 0 || cursor !== undefined; page++) {
        const answer = await alice.list({ limit: 7, cursor });
        seen.push(...Object.keys(Object(answer.items)));
        cursor = answer.cursor === undefined ? undefined : String(answer.cursor);
        await alice.set(`stays-${page}`, "2");
        await alice.set(`new-${page}`, "1");
        await alice.del(`ends-${page}`);
        await alice.del(seen.findLast((key) => key.startsWith("new")) ?? "none");
        if (page === 2) await skip(100);
        expect(page).toBeLessThan(30);
      }
      const stays = seen.filter((key) => key.startsWith("stays"));
      expect(stays).toEqual(Array.from({ length: 30 }, (_, index) => `stays-${index}`));
      expect(seen.filter((key) => key.startsWith("ends"))).toEqual([]);
    });

    test("list() has no deadline for a key without one, and takes __proto__ for a key", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("__proto__", "1", { ttlMs: undefined });
      const { items } = await alice.list();
      expect(Object.entries(Object(items))).toEqual([["__proto__", { hasValue: true, version: 1 }]]);
    });

    test("list() refuses a cursor no list has given", async () => {
      const { engine } = await create();
      expect(await new Actor(engine, "alice").list({ cursor: "x" })).toMatchObject({ error: "bad_command" });
    });
  });
}
