/** The contract of pools: items and tags, who gets which and in which order, endings. */
import { describe, expect, test } from "bun:test";
import type { WaitHandle } from "../../../src/engine/engine.ts";
import { cancelled, type EngineFactory, now } from "./actor.ts";
import { type GrantAnswer, got, PoolActor } from "./pool-actor.ts";

type Actors = readonly [PoolActor, PoolActor, PoolActor, PoolActor];

const namesOf = ["alice", "bob", "carol", "dave"];

/** Four sessions on a fresh engine. */
async function four(create: EngineFactory, limits?: Parameters<EngineFactory>[0]) {
  const under = await create(limits);
  const actors = namesOf.map((id) => new PoolActor(under.engine, id)) as unknown as Actors;
  return { ...under, actors };
}

/** What each has now, short. */
async function state(...answers: readonly Promise<GrantAnswer>[]): Promise<readonly string[]> {
  return Promise.all(answers.map(async (answer) => got((await now(answer)) as GrantAnswer | "waits")));
}

export function poolsContract(create: EngineFactory): void {
  describe("pools", () => {
    test("acquire() grants the lowest free slot with its value, an id and a fence that grows", async () => {
      const { actors, nowMs } = await four(create);
      const [alice, bob] = actors;
      expect(await alice.define("accounts", "ann", "ben", "cat")).toEqual({ size: 3 });
      const first = await alice.acquire("accounts");
      expect(first).toEqual({
        id: `g${nowMs() * 1000 + 1}`,
        fence: nowMs() * 1000 + 1,
        items: [{ pool: "accounts", slot: 0, value: '"ann"' }],
        expiresAtMs: undefined,
      });
      const second = await bob.acquire("accounts");
      expect(second.items).toEqual([{ pool: "accounts", slot: 1, value: '"ben"' }]);
      expect(Number(second.fence)).toBeGreaterThan(Number(first.fence));
      await alice.give(first);
      expect(got(await bob.acquire("accounts"))).toBe("accounts/0");
    });

    test("size makes a pool on first use, of numbers, and its name is free when nobody uses it any more", async () => {
      const { actors, engine } = await four(create, { namesMax: 3 });
      const [alice, bob] = actors;
      const seats = { pool: "browsers", size: 2 };
      const held = [await alice.acquire(seats), await alice.acquire(seats)];
      expect(held.map(({ items }) => items?.[0]?.value)).toEqual(["0", "1"]);
      expect(await bob.acquire(seats)).toMatchObject({ error: "pool_exhausted" });
      expect(await bob.acquire({ pool: "browsers", size: 3 })).toMatchObject({ error: "size_mismatch" });
      expect(got(await bob.lock("other"))).toBe("other/0");
      for (const grant of held) expect(await alice.give(grant)).toEqual({ released: true });
      expect(got(await bob.acquire({ pool: "browsers", size: 3 }))).toBe("browsers/0");
      await bob.end();
      for (const name of ["a", "b", "c"]) expect(got(await alice.lock(name))).toBe(`${name}/0`);
      expect(await alice.lock("d")).toMatchObject({ error: "too_many_names" });
      expect(await engine.stats()).toMatchObject({ grants: 3 });
    });

    test("a refused acquire leaves no name behind", async () => {
      const { actors } = await four(create, { namesMax: 1 });
      const [alice] = actors;
      expect(await alice.acquire({ pool: "a", size: 1, count: 2 })).toMatchObject({ error: "size_mismatch" });
      expect(await alice.acquire({ pool: "b", size: 1, match: ["x"] })).toMatchObject({ error: "size_mismatch" });
      expect(await alice.acquire("c")).toMatchObject({ error: "unknown_pool" });
      expect(await alice.acquire([{ pool: "d", size: 1 }, "e"])).toMatchObject({ error: "too_many_names" });
      const handle: WaitHandle = {};
      const waits = alice.acquire("f", { waitMs: -1, handle });
      handle.cancel?.(cancelled());
      expect(await waits).toMatchObject({ error: "cancelled" });
      expect(got(await alice.lock("g"))).toBe("g/0");
    });

    test("match takes only items that have all the tags", async () => {
      const { actors } = await four(create);
      const [alice] = actors;
      await alice.define("accounts", "ann guest", "ben admin", "cat admin fr", "dan fr");
      const answers = [["fr", "admin"].sort(), ["admin"], ["admin"], ["guest"], []].map((match) =>
        alice.acquire({ pool: "accounts", match }),
      );
      expect(await state(...answers)).toEqual([
        "accounts/2",
        "accounts/1",
        "pool_exhausted",
        "accounts/0",
        "accounts/3",
      ]);
      expect(await alice.acquire({ pool: "accounts", match: ["de"] })).toMatchObject({
        error: "size_mismatch",
        message: 'Cannot acquire 1 of "accounts": it has 0 items with tag "de"',
      });
    });

    test("all wants or none: what is free is not taken while something else is missing", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol] = actors;
      await alice.define("accounts", "ann", "ben");
      const lock = await alice.lock("database");
      const both = [
        { pool: "accounts", count: 2 },
        { pool: "database", size: 1 },
      ];
      expect(await bob.acquire(both)).toMatchObject({ error: "pool_exhausted" });
      expect(await bob.holds()).toEqual([]);
      expect(got(await carol.acquire({ pool: "accounts", count: 2 }))).toBe("accounts/0 accounts/1");
      await carol.end();
      const waits = bob.wait(both);
      await alice.give(lock);
      expect(await state(waits)).toEqual(["accounts/0 accounts/1 database/0"]);
    });

    test("several wants of one pool get different items, also when only one choice serves them all", async () => {
      const { actors } = await four(create);
      const [alice, bob] = actors;
      await alice.define("accounts", "ann buyer seller", "ben buyer", "cat admin");
      const seller = { pool: "accounts", match: ["seller"] };
      const buyer = { pool: "accounts", match: ["buyer"] };
      expect(got(await alice.acquire([buyer, seller]))).toBe("accounts/1 accounts/0");
      await alice.end();
      expect(got(await alice.acquire(["accounts", buyer, seller]))).toBe("accounts/2 accounts/1 accounts/0");
      expect(await bob.acquire([{ pool: "accounts", match: ["buyer"], count: 2 }, seller])).toMatchObject({
        error: "size_mismatch",
      });
    });

    test("freed items go to those who wait in the order they came, before the release is answered", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol, dave] = actors;
      await alice.define("accounts", "ann", "ben");
      const held = [await alice.acquire("accounts"), await alice.acquire("accounts")];
      const waits = [bob.wait("accounts"), carol.wait("accounts"), bob.wait("accounts")];
      const released = alice.give(held[1]);
      const newcomer = dave.acquire("accounts");
      await released;
      expect(await state(...waits, newcomer)).toEqual(["accounts/1", "waits", "waits", "pool_exhausted"]);
      await alice.give(held[0]);
      expect(await state(...waits)).toEqual(["accounts/1", "accounts/0", "waits"]);
    });

    test("no session has an item twice: it waits for itself like for anybody", async () => {
      const { actors } = await four(create);
      const [alice] = actors;
      const first = await alice.lock("database");
      const second = alice.lock("database", { waitMs: -1 });
      expect(await state(second)).toEqual(["waits"]);
      await alice.give(first);
      expect(await state(second)).toEqual(["database/0"]);
    });

    test("who waits for items with one tag holds nobody up who wants others, and loses none of its own", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol, dave] = actors;
      await alice.define("accounts", "ann admin", "ben guest", "cat guest");
      const admin = await alice.acquire({ pool: "accounts", match: ["admin"] });
      const waits = bob.wait({ pool: "accounts", match: ["admin"] });
      expect(got(await carol.acquire({ pool: "accounts", match: ["guest"] }))).toBe("accounts/1");
      const any = dave.wait("accounts");
      expect(await state(any)).toEqual(["accounts/2"]);
      const later = dave.wait("accounts");
      await alice.give(admin);
      expect(await state(waits, later)).toEqual(["accounts/0", "waits"]);
    });

    test("a waiter for items with two tags keeps nobody off those that have one of them", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol] = actors;
      await alice.define("accounts", "ann a b", "ben a", "cat b", "dan b", "eve a");
      await alice.acquire({ pool: "accounts", match: ["a", "b"] });
      const both = bob.wait({ pool: "accounts", match: ["a", "b"] });
      const answers = [["a"], ["b"], []].map((match) => carol.acquire({ pool: "accounts", match }));
      expect(await state(both, ...answers)).toEqual(["waits", "accounts/1", "accounts/2", "accounts/3"]);
    });

    test("who wants any item comes before a later one with a tag: it takes what comes first", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol] = actors;
      await alice.define("accounts", "ann admin", "ben guest");
      const held = [await alice.acquire("accounts"), await alice.acquire("accounts")];
      const any = bob.wait("accounts");
      const admin = carol.wait({ pool: "accounts", match: ["admin"] });
      await alice.give(held[0]);
      expect(await state(any, admin)).toEqual(["accounts/0", "waits"]);
      await alice.give(held[1]);
      expect(await state(admin)).toEqual(["waits"]);
    });

    test("who waits for two pools keeps later ones off both, and nobody off a third", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol, dave] = actors;
      const a = await alice.lock("a");
      const both = bob.wait([
        { pool: "a", size: 1 },
        { pool: "b", size: 1 },
      ]);
      const behind = carol.lock("b", { waitMs: -1 });
      expect(await dave.lock("b")).toMatchObject({ error: "pool_exhausted" });
      expect(got(await dave.lock("c"))).toBe("c/0");
      expect(await state(both, behind)).toEqual(["waits", "waits"]);
      await alice.give(a);
      expect(await state(both, behind)).toEqual(["a/0 b/0", "waits"]);
      await bob.end();
      expect(await state(behind)).toEqual(["b/0"]);
    });

    for (const way of ["cancel", "timeout", "end"] as const) {
      test(`what was kept for a waiter goes on when it leaves (${way})`, async () => {
        const { actors, advance } = await four(create);
        const [alice, bob, carol, dave] = actors;
        await alice.lock("a");
        const handle: WaitHandle = {};
        const both = bob.acquire(
          [
            { pool: "a", size: 1 },
            { pool: "b", size: 2, count: 2 },
          ],
          { waitMs: 100, handle },
        );
        const behind = [carol.wait({ pool: "b", size: 2 }), dave.wait({ pool: "b", size: 2 })];
        expect(await state(...behind)).toEqual(["waits", "waits"]);
        if (way === "cancel") handle.cancel?.(cancelled());
        else if (way === "end") await bob.end();
        else await advance(100);
        expect(await state(both, ...behind)).toEqual([way === "timeout" ? "timeout" : "cancelled", "b/0", "b/1"]);
      });
    }

    test("a want of several items is not overtaken by smaller ones", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol] = actors;
      await alice.define("accounts", "ann", "ben");
      const held = [await alice.acquire("accounts"), await alice.acquire("accounts")];
      const two = bob.wait({ pool: "accounts", count: 2 });
      const one = carol.wait("accounts");
      await alice.give(held[0]);
      expect(await state(two, one)).toEqual(["waits", "waits"]);
      await alice.give(held[1]);
      expect(await state(two, one)).toEqual(["accounts/0 accounts/1", "waits"]);
    });

    test("any number share, one alone waits for all of them, and who comes behind it waits too", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol, dave] = actors;
      const readers = [await alice.lock("db", { mode: "shared" }), await bob.lock("db", { mode: "shared" })];
      expect(readers.map(got)).toEqual(["db/0", "db/0"]);
      const writer = carol.lock("db", { waitMs: -1 });
      const late = [dave.lock("db", { mode: "shared", waitMs: -1 }), alice.lock("db", { mode: "shared", waitMs: -1 })];
      expect(await dave.lock("db", { mode: "shared" })).toMatchObject({ error: "pool_exhausted" });
      await alice.give(readers[0]);
      expect(await state(writer, ...late)).toEqual(["waits", "waits", "waits"]);
      await bob.give(readers[1]);
      expect(await state(writer, ...late)).toEqual(["db/0", "waits", "waits"]);
      await carol.end();
      expect(await state(...late)).toEqual(["db/0", "db/0"]);
      expect(await dave.acquire({ pool: "db", size: 1 })).toMatchObject({ error: "pool_exhausted" });
    });

    test("sharers behind a writer that leaves are served together, up to the next writer", async () => {
      const { actors } = await four(create);
      const [alice, bob, carol, dave] = actors;
      await alice.lock("db", { mode: "shared" });
      const handle: WaitHandle = {};
      const writer = bob.lock("db", { waitMs: -1, handle });
      const late = [
        carol.lock("db", { mode: "shared", waitMs: -1 }),
        dave.lock("db", { mode: "shared", waitMs: -1 }),
        carol.lock("db", { waitMs: -1 }),
        dave.lock("db", { mode: "shared", waitMs: -1 }),
      ];
      expect(await state(writer, ...late)).toEqual(["waits", "waits", "waits", "waits", "waits"]);
      handle.cancel?.(cancelled());
      expect(await state(writer, ...late)).toEqual(["cancelled", "db/0", "db/0", "waits", "waits"]);
    });

    test("prefer last gives a session its item again while that is free, else the lowest", async () => {
      const { actors } = await four(create);
      const [alice, bob] = actors;
      await alice.define("accounts", "ann", "ben", "cat");
      const zero = await bob.acquire("accounts");
      const first = await alice.acquire("accounts", { prefersLast: true });
      expect(got(first)).toBe("accounts/1");
      await alice.give(first);
      await bob.give(zero);
      expect(got(await bob.acquire("accounts", { prefersLast: true }))).toBe("accounts/0");
      const again = await alice.acquire("accounts", { prefersLast: true });
      expect(got(again)).toBe("accounts/1");
      await alice.give(again);
      await bob.acquire({ pool: "accounts", count: 1 });
      expect(got(await alice.acquire("accounts", { prefersLast: true }))).toBe("accounts/2");
    });

    test("what a session had last is forgotten with it", async () => {
      const { actors } = await four(create);
      const [alice, bob] = actors;
      await alice.define("accounts", "ann", "ben");
      await bob.acquire("accounts");
      expect(got(await alice.acquire("accounts", { prefersLast: true }))).toBe("accounts/1");
      await alice.end();
      await bob.end();
      expect(got(await alice.acquire("accounts", { prefersLast: true }))).toBe("accounts/0");
    });

    test("a ttl ends a grant at its deadline, counted from when it was granted; a renewal moves it", async () => {
      const { actors, advance, nowMs, engine } = await four(create);
      const [alice, bob] = actors;
      const grant = await alice.lock("db", { ttlMs: 100 });
      expect(grant.expiresAtMs).toBe(nowMs() + 100);
      const waits = bob.lock("db", { waitMs: -1, ttlMs: 50 });
      await advance(99);
      expect(await alice.renew(grant, 200)).toEqual({ expiresAtMs: nowMs() + 200 });
      await advance(199);
      expect(await state(waits)).toEqual(["waits"]);
      await advance(1);
      expect(await now(waits)).toMatchObject({ expiresAtMs: nowMs() + 50 });
      expect(await alice.give(grant)).toMatchObject({ error: "not_owner" });
      expect(await alice.renew(grant, 100)).toMatchObject({ error: "not_owner" });
      expect((await engine.stats()).grantsExpired).toBe(1);
      await advance(50);
      expect(got(await alice.lock("db"))).toBe("db/0");
    });

    test("a grant past its deadline is over before any sweep", async () => {
      const { actors, skip } = await four(create);
      const [alice, bob] = actors;
      const grant = await alice.lock("db", { ttlMs: 100 });
      await skip(100);
      expect(await alice.renew(grant, 100)).toMatchObject({ error: "not_owner" });
      expect(got(await bob.lock("db"))).toBe("db/0");
    });

    test("another session's grant can be neither released nor renewed nor quarantined", async () => {
      const { actors } = await four(create);
      const [alice, bob] = actors;
      await alice.define("accounts", "ann");
      const grant = await alice.acquire("accounts");
      for (const answer of [bob.give(grant), bob.renew(grant, 100), bob.quarantine(grant)]) {
        expect(await answer).toMatchObject({ error: "not_owner" });
      }
      expect(await alice.give(grant)).toEqual({ released: true });
      expect(await alice.give(grant)).toMatchObject({ error: "not_owner" });
      expect(await alice.give("g1")).toMatchObject({
        error: "not_owner",
        message: 'Cannot release grant "g1": nobody holds it: it was released, or its time to live has passed',
      });
    });

    test("endSession() frees all grants as a whole and hands them on before it answers", async () => {
      const { actors, engine } = await four(create);
      const [alice, bob, carol] = actors;
      await alice.lock("a");
      await alice.lock("b", { mode: "shared" });
      const own = alice.lock("a", { waitMs: -1 });
      const one = bob.wait([
        { pool: "b", size: 1 },
        { pool: "a", size: 1 },
      ]);
      const two = carol.lock("a", { waitMs: -1 });
      const ended = alice.end();
      expect(await engine.holdsOf("bob")).toMatchObject([
        {
          kind: "grant",
          items: [
            { pool: "b", slot: 0 },
            { pool: "a", slot: 0 },
          ],
        },
      ]);
      await ended;
      expect(await state(own, one, two)).toEqual(["cancelled", "b/0 a/0", "waits"]);
      expect(await engine.holdsOf("alice")).toEqual([]);
    });

    test("holdsOf() tells of each grant what a resumed client needs", async () => {
      const { actors, engine, nowMs } = await four(create);
      const [alice] = actors;
      await alice.define("accounts", "ann", "ben");
      const grant = await alice.acquire(["accounts", { pool: "db", size: 1 }], { ttlMs: 500, owner: "w1" });
      expect(await engine.holdsOf("alice")).toEqual([
        {
          kind: "grant",
          id: grant.id ?? "",
          fence: grant.fence ?? 0,
          items: [
            { pool: "accounts", slot: 0 },
            { pool: "db", slot: 0 },
          ],
          owner: "w1",
          expiresAtMs: nowMs() + 500,
          sinceAtMs: nowMs(),
        },
      ]);
    });

    test("close() ends waits without handing anything on", async () => {
      const { actors, engine } = await four(create);
      const [alice, bob, carol] = actors;
      await alice.lock("a");
      const waits = [
        bob.wait([
          { pool: "a", size: 1 },
          { pool: "b", size: 1 },
        ]),
        carol.lock("b", { waitMs: -1 }),
      ];
      await engine.close();
      expect(await state(...waits)).toEqual(["unavailable", "unavailable"]);
      for (const late of [bob.lock("c"), bob.define("p"), bob.why("a")]) {
        expect(await late).toMatchObject({ error: "unavailable" });
      }
    });
  });
}
