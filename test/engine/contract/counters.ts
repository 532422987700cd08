/** The contract of incr. */
import { describe, expect, test } from "bun:test";
import { Actor, type EngineFactory, now } from "./actor.ts";

const exactMax = Number.MAX_SAFE_INTEGER;

export function countersContract(create: EngineFactory): void {
  describe("counters", () => {
    test("incr() makes a key that is absent, at what it adds, and adds to one that is there", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      expect(await alice.incr("k", 5)).toEqual({ value: 5, version: 1 });
      expect(await alice.incr("k", -7)).toEqual({ value: -2, version: 2 });
      expect(await alice.get("k")).toMatchObject({ value: "-2", version: 2, ttlMs: 60_000 });
    });

    test.each([
      ["0", 1, 1],
      ["-3", 3, 0],
      ["0.5", 0.25, 0.75],
      ["1e3", 1, 1001],
      ["0.1", 0.2, 0.1 + 0.2],
      ["0", -0, 0],
      [`${exactMax - 1}`, 1, exactMax],
      [`${1 - exactMax}`, -1, -exactMax],
      [`${exactMax}`, -0.5, exactMax - 0.5],
    ])("incr() adds to %s the number %d", async (stored, by, sum) => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", stored);
      expect(await alice.incr("k", by)).toEqual({ value: sum, version: 2 });
      expect(JSON.parse(String((await alice.get("k")).value))).toBe(sum);
    });

    test.each(['"5"', "null", "true", "[1]", '{"a":1}', '"-1"', '""'])("incr() refuses %s", async (stored) => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", stored);
      expect(await alice.incr("k")).toMatchObject({ error: "not_a_number" });
      expect(await alice.get("k")).toMatchObject({ value: stored, version: 1 });
    });

    test("incr() refuses bytes, and a compressed value though it look like a number", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await engine.set({ key: "bytes", value: new Uint8Array([0x31]), ttlMs: 500, compressed: false });
      await alice.set("packed", "1", { compressed: true });
      expect(await alice.incr("bytes")).toMatchObject({ error: "not_a_number" });
      expect(await alice.incr("packed")).toMatchObject({ error: "not_a_number" });
    });

    test.each([
      [`${exactMax}`, 1],
      [`${-exactMax}`, -1],
      ["1e300", 1],
      [`${exactMax}`, exactMax],
    ])("incr() refuses a sum that is not exact: %s and %d", async (stored, by) => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", stored);
      const refusal = await alice.incr("k", by);
      expect(refusal).toMatchObject({ error: "not_a_number", message: expect.stringContaining("exact") });
      expect(await alice.get("k")).toMatchObject({ value: stored, version: 1 });
    });

    test("incr() keeps the deadline unless it has a ttl", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("k", "1", { ttlMs: 1000 });
      await advance(600);
      await alice.incr("k");
      expect(await alice.get("k")).toMatchObject({ value: "2", ttlMs: 400 });
      await alice.incr("k", 1, { ttlMs: 500 });
      expect(await alice.get("k")).toMatchObject({ value: "3", ttlMs: 500 });
      await advance(500);
      expect(await alice.get("k")).toMatchObject({ error: "expired" });
    });

    test("incr() begins anew once the key has expired", async () => {
      const { engine, skip } = await create();
      const alice = new Actor(engine, "alice");
      await alice.incr("k", 5, { ttlMs: 100 });
      await skip(100);
      expect(await alice.incr("k", 1, { ttlMs: 100 })).toMatchObject({ value: 1 });
      expect(await alice.get("k")).toMatchObject({ ttlMs: 100 });
    });

    test("incr() of a new key wants a ttl where none is the rule; one that is there needs none", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      const refusal = await alice.incr("k", 1, { ttlMsIfNew: undefined });
      expect(refusal).toMatchObject({ error: "ttl_required" });
      expect(await alice.get("k")).toMatchObject({ error: "not_found" });
      await alice.incr("k", 1, { ttlMs: 100, ttlMsIfNew: undefined });
      expect(await alice.incr("k", 1, { ttlMsIfNew: undefined })).toMatchObject({ value: 2 });
    });

    test("incr() of a new key past itemsMax is max_items", async () => {
      const { engine } = await create({ itemsMax: 1 });
      const alice = new Actor(engine, "alice");
      await alice.incr("a");
      expect(await alice.incr("b")).toMatchObject({ error: "max_items" });
      expect(await alice.incr("a")).toMatchObject({ value: 2 });
    });

    test("incr() wakes whoever waits for the key, in get and in once", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.once("k");
      const waits = [bob.get("k", -1), bob.once("k", -1)];
      await alice.incr("k", 3);
      expect(await now(waits[0]!)).toMatchObject({ value: "3" });
      expect(await now(waits[1]!)).toMatchObject({ role: "follower", stored: { value: "3" } });
    });

    test("stats() counts the bytes of what incr() has written", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.incr("k", 1);
      const { storeBytes } = await engine.stats();
      await alice.incr("k", 999);
      expect((await engine.stats()).storeBytes).toBe(storeBytes + 3);
    });
  });
}
