/** The contract of what pools consist of: defined, added to, removed from, quarantined, awaited. */
import { describe, expect, test } from "bun:test";
import { type EngineFactory, now } from "./actor.ts";
import { type GrantAnswer, got, PoolActor } from "./pool-actor.ts";

async function three(create: EngineFactory, limits?: Parameters<EngineFactory>[0]) {
  const under = await create(limits);
  const actors = ["alice", "bob", "carol"].map((id) => new PoolActor(under.engine, id));
  return { ...under, actors: actors as unknown as readonly [PoolActor, PoolActor, PoolActor] };
}

async function state(...answers: readonly Promise<GrantAnswer>[]): Promise<readonly string[]> {
  return Promise.all(answers.map(async (answer) => got((await now(answer)) as GrantAnswer | "waits")));
}

/** Slots and values of what can be had now; given back again. */
async function free(actor: PoolActor, pool: string): Promise<string> {
  const grants: GrantAnswer[] = [];
  for (let grant = await actor.acquire(pool); grant.error === undefined; grant = await actor.acquire(pool)) {
    grants.push(grant);
  }
  for (const grant of grants) await actor.give(grant);
  return grants.map(({ items }) => `${items?.[0]?.slot}=${items?.[0]?.value.slice(1, -1)}`).join(" ");
}

export function poolDefinitionsContract(create: EngineFactory): void {
  describe("pool definitions", () => {
    test("a definition equal to the last changes nothing, whatever has become of the pool since", async () => {
      const { actors } = await three(create);
      const [alice, bob] = actors;
      const items = ["ann admin", "ben", "ben"];
      expect(await alice.define("p", ...items)).toEqual({ size: 3 });
      const grant = await alice.acquire("p");
      expect(await bob.define("p", ...items)).toEqual({ size: 3 });
      expect(await bob.acquire({ pool: "p", match: ["admin"] })).toMatchObject({ error: "pool_exhausted" });
      await alice.quarantine(grant);
      await alice.add("p", "cat");
      expect(await bob.define("p", ...items)).toEqual({ size: 4 });
      expect(await free(bob, "p")).toBe("1=ben 2=ben 3=cat");
    });

    test("another definition keeps what stays in its slot and with its holder, fills the gaps, removes the rest", async () => {
      const { actors } = await three(create);
      const [alice, bob] = actors;
      await alice.define("p", "ann", "ben", "cat", "dan");
      const ann = await alice.acquire("p");
      const ben = await alice.acquire("p");
      expect(await bob.define("p", "eve", "dan", "ben", "fay")).toEqual({ size: 4 });
      expect(await free(bob, "p")).toBe("2=eve 3=dan 4=fay");
      await alice.give(ben);
      await alice.give(ann);
      expect(await free(bob, "p")).toBe("1=ben 2=eve 3=dan 4=fay");
      await alice.add("p", "gil");
      expect(await free(bob, "p")).toBe("0=gil 1=ben 2=eve 3=dan 4=fay");
    });

    test("an item with other tags is another item", async () => {
      const { actors } = await three(create);
      const [alice] = actors;
      await alice.define("p", "ann admin");
      await alice.define("p", "ann guest");
      expect(await alice.acquire({ pool: "p", match: ["admin"] })).toMatchObject({ error: "size_mismatch" });
      expect(got(await alice.acquire({ pool: "p", match: ["guest"] }))).toBe("p/0");
    });

    test("items that are added go to who waits, the first first", async () => {
      const { actors } = await three(create);
      const [alice, bob, carol] = actors;
      await alice.define("p");
      expect(await alice.acquire("p")).toMatchObject({ error: "pool_exhausted" });
      const waits = [bob.wait("p"), carol.wait({ pool: "p", match: ["admin"] }), bob.wait("p")];
      expect(await alice.add("p", "ann admin", "ben admin")).toEqual({ size: 2 });
      expect(await state(...waits)).toEqual(["p/0", "p/1", "waits"]);
    });

    test("unknown pools are refused, or waited for: a definition serves who waits, in order", async () => {
      const { actors, advance } = await three(create);
      const [alice, bob, carol] = actors;
      expect(await alice.acquire("p")).toMatchObject({
        error: "unknown_pool",
        message: 'Cannot acquire "p": nobody has defined pool "p"',
      });
      for (const answer of [alice.add("p", "x"), alice.remove("p"), alice.remove("p", 0)]) {
        expect(await answer).toMatchObject({ error: "unknown_pool" });
      }
      const vain = alice.acquire("p", { waitMs: 10 });
      const waits = [
        bob.wait("p"),
        carol.wait("p"),
        alice.wait({ pool: "p", match: ["x"] }),
        alice.wait({ pool: "p", count: 3 }),
      ];
      await advance(10);
      expect(await now(vain)).toMatchObject({
        error: "timeout",
        message: 'Timed out after 10 ms waiting for "p": nobody has defined pool "p"',
      });
      await alice.define("p", "ann", "ben");
      expect(await state(...waits)).toEqual(["p/0", "p/1", "size_mismatch", "size_mismatch"]);
    });

    test("who waits for an unknown pool comes before the one who makes it on first use", async () => {
      const { actors } = await three(create);
      const [alice, bob, carol] = actors;
      const waits = bob.wait("p");
      expect(await alice.lock("p")).toMatchObject({ error: "pool_exhausted" });
      expect(await state(waits)).toEqual(["p/0"]);
      const two = carol.wait({ pool: "q", count: 2 });
      const made = alice.lock("q");
      expect(await state(two, made)).toEqual(["size_mismatch", "q/0"]);
    });

    test("a pool made on first use cannot be defined while somebody uses it, nor a defined one taken for another size", async () => {
      const { actors } = await three(create);
      const [alice, bob] = actors;
      const grant = await alice.lock("p");
      for (const answer of [bob.define("p", "x"), bob.add("p", "x"), bob.remove("p")]) {
        expect(await answer).toMatchObject({ error: "size_mismatch", details: { size: 1 } });
      }
      await alice.give(grant);
      expect(await bob.define("p", "x", "y")).toEqual({ size: 2 });
      expect(await alice.lock("p")).toMatchObject({ error: "size_mismatch", details: { size: 2 } });
      expect(got(await alice.acquire({ pool: "p", size: 2 }))).toBe("p/0");
    });

    test("removed items go at once when they are free, else when they are released", async () => {
      const { actors } = await three(create);
      const [alice, bob] = actors;
      await alice.define("p", "ann", "ben", "cat");
      const ann = await alice.acquire("p");
      const waits = bob.wait({ pool: "p", count: 3 });
      expect(await alice.remove("p", 0, 7)).toMatchObject({ error: "not_found" });
      expect(await alice.remove("p", 0, 1)).toEqual({ size: 1 });
      expect(await state(waits)).toEqual(["size_mismatch"]);
      expect(await alice.remove("p", 0)).toMatchObject({ error: "not_found" });
      expect(await free(bob, "p")).toBe("2=cat");
      expect(await alice.give(ann)).toEqual({ released: true });
      expect(await free(bob, "p")).toBe("2=cat");
    });

    test("a removed pool is unknown; what is held of it is found again by the next definition", async () => {
      const { actors } = await three(create);
      const [alice, bob, carol] = actors;
      await alice.define("p", "ann", "ben");
      const ann = await alice.acquire("p");
      const waits = carol.wait({ pool: "p", count: 2 });
      expect(await alice.remove("p")).toEqual({ size: 0 });
      expect(await bob.acquire("p")).toMatchObject({ error: "unknown_pool" });
      expect(await bob.lock("p")).toMatchObject({ error: "size_mismatch" });
      expect(await bob.define("p", "ben", "ann")).toEqual({ size: 2 });
      expect(await state(waits)).toEqual(["waits"]);
      await alice.give(ann);
      expect(await state(waits)).toEqual(["p/0 p/1"]);
    });

    test("a removed pool that nobody uses leaves its name", async () => {
      const { actors } = await three(create, { namesMax: 1 });
      const [alice] = actors;
      await alice.define("p", "ann");
      expect(await alice.define("q", "ann")).toMatchObject({ error: "too_many_names" });
      await alice.remove("p");
      expect(await alice.define("q", "ann")).toEqual({ size: 1 });
    });

    test("a quarantined item stays out, with its reason, until an item of its value is added", async () => {
      const { actors } = await three(create);
      const [alice, bob, carol] = actors;
      await alice.define("p", "ann admin", "ben");
      const grant = await alice.acquire(["p", { pool: "db", size: 1 }]);
      const waits = [bob.wait({ pool: "p", match: ["admin"] }), carol.lock("db", { waitMs: -1 })];
      expect(await alice.quarantine(grant, "locked out")).toEqual({});
      expect(await state(...waits)).toEqual(["waits", "db/0"]);
      expect(await alice.give(grant)).toMatchObject({ error: "not_owner" });
      expect(await free(carol, "p")).toBe("1=ben");
      expect(await bob.acquire({ pool: "p", match: ["admin"] })).toMatchObject({
        error: "pool_exhausted",
        message: 'Cannot acquire "p" with tag "admin": "p" item 0 is quarantined: locked out',
      });
      expect(await alice.add("p", "ann admin fr", "ann")).toEqual({ size: 3 });
      expect(await state(...waits)).toEqual(["p/0", "db/0"]);
      expect(await free(carol, "p")).toBe("1=ben 2=ann");
    });

    test("a shared item that one of its holders finds broken is out for newcomers, the others keep it", async () => {
      const { actors } = await three(create);
      const [alice, bob, carol] = actors;
      await alice.define("p", "ann");
      const shared = { pool: "p", mode: "shared" } as const;
      const grants = [await alice.acquire(shared), await bob.acquire(shared)];
      await alice.quarantine(grants[0] ?? {});
      expect(await carol.acquire(shared)).toMatchObject({ error: "pool_exhausted" });
      expect(await bob.give(grants[1])).toEqual({ released: true });
      expect(await carol.acquire("p")).toMatchObject({ error: "pool_exhausted" });
    });

    test("anybody may quarantine an item: a free one is out at once, a held one when it is given back", async () => {
      const { actors } = await three(create);
      const [alice, bob, carol] = actors;
      await alice.define("p", "ann", "ben", "cat");
      const grant = await alice.acquire("p");
      expect(await bob.quarantineItem(0, { pool: "p", reason: "locked out" })).toEqual({});
      expect(await bob.quarantineItem(1, { pool: "p" })).toEqual({});
      expect(await free(carol, "p")).toBe("2=cat");
      expect(await carol.why("p")).toMatchObject({ holdersCount: 1, quarantinedCount: 2, free: 1 });
      const waits = [carol.wait({ pool: "p", count: 2 })];
      expect(await alice.give(grant)).toEqual({ released: true });
      expect(await state(...waits)).toEqual(["waits"]);
      expect(await alice.add("p", "ann")).toEqual({ size: 3 });
      expect(await state(...waits)).toEqual(["p/0 p/2"]);
      for (const [slot, pool, error] of [
        [3, "p", "not_found"],
        [0, "q", "unknown_pool"],
      ] as const) {
        expect(await bob.quarantineItem(slot, { pool })).toMatchObject({ error });
      }
      await alice.lock("db");
      expect(await bob.quarantineItem(0, { pool: "db" })).toMatchObject({ error: "size_mismatch" });
    });

    test("only what is of a defined pool can be quarantined", async () => {
      const { actors } = await three(create);
      const [alice] = actors;
      const grant = await alice.lock("db");
      expect(await alice.quarantine(grant)).toMatchObject({ error: "bad_command" });
      expect(await alice.give(grant)).toEqual({ released: true });
    });

    test("poolItemsMax bounds the items of all defined pools; what comes back is no new one", async () => {
      const { actors } = await three(create, { poolItemsMax: 3 });
      const [alice] = actors;
      await alice.define("p", "ann", "ben");
      expect(await alice.define("q", "cat", "dan")).toMatchObject({ error: "max_items" });
      expect(await alice.define("q", "cat")).toEqual({ size: 1 });
      expect(await alice.add("p", "eve")).toMatchObject({ error: "max_items" });
      await alice.quarantine(await alice.acquire("p"));
      expect(await alice.add("p", "ann")).toEqual({ size: 2 });
      await alice.remove("q");
      expect(await alice.define("p", "x", "y", "z")).toEqual({ size: 3 });
    });

    test("items whose values would not fit a reply are refused together, and can be had one by one", async () => {
      const { actors } = await three(create, { frameBytesMax: 3000, valueBytesMax: 2000 });
      const [alice, bob] = actors;
      await alice.define("p", "a".repeat(1500), "b".repeat(1500));
      expect(await alice.acquire({ pool: "p", count: 2 })).toMatchObject({ error: "too_large" });
      const first = await alice.acquire("p");
      const waits = bob.wait({ pool: "p", count: 2 });
      await alice.give(first);
      expect(await state(waits)).toEqual(["too_large"]);
      expect(await free(alice, "p")).toStartWith("0=a");
    });
  });
}
