/** The contract of what people are told: who has what, who waits, and who waits for whom in a circle. */
import { describe, expect, test } from "bun:test";
import { whyListedMax } from "../../../src/protocol/limits.ts";
import { type EngineFactory, now } from "./actor.ts";
import { type GrantAnswer, got, PoolActor } from "./pool-actor.ts";

type Three = readonly [PoolActor, PoolActor, PoolActor];

async function three(create: EngineFactory, limits?: Parameters<EngineFactory>[0]) {
  const under = await create(limits);
  const names = [
    ["s1", "playwright:3 checkout.spec.ts"],
    ["s2", "second"],
    ["s3", "third"],
  ] as const;
  return { ...under, actors: names.map(([id, label]) => new PoolActor(under.engine, id, label)) as unknown as Three };
}

async function state(...answers: readonly Promise<GrantAnswer>[]): Promise<readonly string[]> {
  return Promise.all(answers.map(async (answer) => got((await now(answer)) as GrantAnswer | "waits")));
}

const lock = (pool: string, mode: "exclusive" | "shared" = "exclusive") => ({ pool, size: 1, mode });

export function poolReasonsContract(create: EngineFactory): void {
  describe("pools tell why", () => {
    test("a wait in vain says who holds what, since when", async () => {
      const { actors, advance } = await three(create);
      const [one, two, three_] = actors;
      await one.define("accounts", "ann", "ben", "cat");
      await one.quarantine(await one.acquire("accounts"), "locked out");
      await one.acquire("accounts");
      await advance(40_000);
      await two.acquire({ pool: "accounts", mode: "shared" });
      await three_.acquire({ pool: "accounts", mode: "shared" });
      const answer = two.acquire("accounts", { waitMs: 1000 });
      await advance(1000);
      expect((await answer).message).toBe(
        'Timed out after 1000 ms waiting for "accounts": "accounts" item 0 is quarantined: locked out, ' +
          '"accounts" item 1 held by playwright:3 checkout.spec.ts for 41 s, ' +
          '"accounts" item 2 held by second for 1 s and 1 more',
      );
    });

    test("only what is missing is told, and of a lock only its name", async () => {
      const { actors } = await three(create);
      const [one, two] = actors;
      await one.define("accounts", "ann admin", "ben");
      await one.acquire(lock("database"));
      const wants = [{ pool: "accounts", match: ["admin"] }, lock("database", "shared")];
      expect(await two.acquire(wants)).toMatchObject({
        error: "pool_exhausted",
        message:
          'Cannot acquire "accounts" with tag "admin" and "database" (shared): ' +
          '"database" held by playwright:3 checkout.spec.ts for 0 ms',
      });
    });

    test("an item that is kept for somebody says for whom", async () => {
      const { actors } = await three(create);
      const [one, two, three_] = actors;
      await one.acquire(lock("a"));
      two.wait([lock("a"), { pool: "b", size: 2 }]);
      expect((await three_.acquire({ pool: "b", size: 2, count: 2 })).message).toBe(
        'Cannot acquire 2 of "b": "b" item 0 is kept for second, who came first, "b" item 1 is kept for second, who came first',
      );
    });

    test("many items are counted, not named one by one", async () => {
      const { actors } = await three(create);
      const [one, two] = actors;
      for (let index = 0; index < 30; index++) await one.acquire({ pool: "p", size: 30 });
      expect((await two.acquire({ pool: "p", size: 30 })).message).toMatch(
        /"p" item 4 held by .* for 0 ms and 25 more$/,
      );
    });

    test("waitsOf() names the pools, each once", async () => {
      const { actors } = await three(create);
      const [one, two] = actors;
      await one.acquire(lock("a"));
      two.wait([lock("a"), { pool: "b", mode: "shared" }, { pool: "b" }]);
      expect(await two.waits()).toEqual(["acquire a, b"]);
    });

    test("why() tells holders, waiters in order, quarantine and sizes of a pool", async () => {
      const { actors, advance, nowMs } = await three(create);
      const [one, two, three_] = actors;
      await one.define("accounts", "ann admin", "ben");
      await one.quarantine(await one.acquire("accounts"), "locked out");
      const startMs = nowMs();
      const grant = await one.acquire("accounts", { owner: "test 7", ttlMs: 60_000 });
      await advance(5);
      two.wait({ pool: "accounts", match: ["admin"] });
      three_.wait([lock("db"), { pool: "accounts", mode: "shared" }], { owner: "o" });
      const why = {
        name: "accounts",
        holders: [
          {
            kind: "grant",
            session: "s1",
            label: "playwright:3 checkout.spec.ts",
            owner: "test 7",
            fence: grant.fence,
            sinceAtMs: startMs,
            expiresAtMs: startMs + 60_000,
            item: 1,
            mode: "exclusive",
          },
        ],
        holdersCount: 1,
        waiters: [
          {
            action: "acquire",
            session: "s2",
            label: "second",
            sinceAtMs: nowMs(),
            wants: '"accounts" with tag "admin"',
          },
          {
            action: "acquire",
            session: "s3",
            label: "third",
            owner: "o",
            sinceAtMs: nowMs(),
            wants: '"db" and "accounts" (shared)',
          },
        ],
        waitersCount: 2,
        quarantined: [{ item: 0, reason: "locked out", label: "playwright:3 checkout.spec.ts", sinceAtMs: startMs }],
        quarantinedCount: 1,
        size: 2,
        free: 0,
      };
      expect(await one.why("accounts")).toEqual(why);
      expect(await one.why("accounts", true)).toEqual(why);
    });

    test("why() tells of leases, turns and values under one name in the same shape", async () => {
      const { actors, engine, nowMs } = await three(create);
      const [one, two, three_] = actors;
      const startMs = nowMs();
      await one.lease("x", "w-1", { size: 1, ttlMs: 500 });
      two.lease("x", "w-2", { size: 1, waitMs: -1 });
      await two.once("x");
      three_.once("x", -1);
      three_.get("x", -1);
      await three_.lock("x");
      expect(await one.why("x")).toMatchObject({
        holders: [
          { kind: "lease", session: "s1", workerId: "w-1", item: 0, sinceAtMs: startMs, expiresAtMs: startMs + 500 },
          { kind: "once", session: "s2", label: "second" },
          { kind: "grant", session: "s3", item: 0 },
        ],
        waiters: [
          { action: "lease", session: "s2", wants: '"x"' },
          { action: "once", session: "s3" },
          { action: "get", session: "s3" },
        ],
      });
      expect(await one.why("x", true)).toMatchObject({ holdersCount: 1, waitersCount: 0 });
      await engine.set({ key: "y", value: "1", ttlMs: 100, compressed: false });
      expect(await one.why("y")).toMatchObject({ holders: [], waiters: [] });
    });

    test("why() of what nobody knows is not_found", async () => {
      const { actors, engine } = await three(create);
      await engine.set({ key: "k", value: "1", ttlMs: 100, compressed: false });
      for (const answer of [actors[0].why("nothing"), actors[0].why("k", true)]) {
        expect(await answer).toMatchObject({ error: "not_found" });
      }
    });

    test("why() lists so many and counts all", async () => {
      const { actors } = await three(create, { waitsPerSessionMax: 200 });
      const [one, two] = actors;
      for (let index = 0; index <= whyListedMax; index++) await one.acquire({ pool: "p", size: whyListedMax + 1 });
      for (let index = 0; index <= whyListedMax; index++) two.wait("p");
      const why = await one.why("p");
      const { length: holders } = why.holders as readonly unknown[];
      const { length: waiters } = why.waiters as readonly unknown[];
      expect({ holders, waiters }).toEqual({ holders: whyListedMax, waiters: whyListedMax });
      expect(why).toMatchObject({ holdersCount: whyListedMax + 1, waitersCount: whyListedMax + 1 });
    });
  });

  describe("a circle of owners", () => {
    test("is refused at once to the one who would close it, with the circle in words", async () => {
      const { actors, advance } = await three(create);
      const [one, two] = actors;
      await one.acquire(lock("a"), { owner: "A" });
      await two.acquire(lock("b"), { owner: "B" });
      const waits = one.wait(lock("b"), { owner: "A" });
      await advance(3000);
      expect(await two.wait(lock("a"), { owner: "B" })).toMatchObject({
        error: "deadlock",
        message:
          'Cannot acquire "a", it would wait for ever: ' +
          'second (owner "B") waits for "a" held by playwright:3 checkout.spec.ts (owner "A") for 3 s, ' +
          'playwright:3 checkout.spec.ts (owner "A") waits for "b" held by second (owner "B") for 3 s',
      });
      expect(await two.acquire(lock("a"), { owner: "B" })).toMatchObject({ error: "pool_exhausted" });
      await two.end();
      expect(await state(waits)).toEqual(["b/0"]);
    });

    test("is found through three owners and several pools", async () => {
      const { actors } = await three(create);
      const [one, two, three_] = actors;
      await one.acquire(lock("a"), { owner: "A" });
      await two.acquire(lock("b"), { owner: "B" });
      await three_.acquire(lock("c"), { owner: "C" });
      one.wait([lock("x"), lock("b")], { owner: "A" });
      two.wait(lock("c"), { owner: "B" });
      expect(await three_.wait([lock("a"), lock("y")], { owner: "C" })).toMatchObject({ error: "deadlock" });
    });

    test("of one: what its own owner has is refused, from any session, shared or not", async () => {
      const { actors } = await three(create);
      const [one, two] = actors;
      await one.acquire(lock("a"), { owner: "A" });
      for (const mode of ["exclusive", "shared"] as const) {
        expect(await two.wait(lock("a", mode), { owner: "A" })).toMatchObject({ error: "deadlock" });
      }
      await one.acquire(lock("b", "shared"), { owner: "A" });
      expect(got(await two.wait(lock("b", "shared"), { owner: "A" }))).toBe("b/0");
      expect(await two.wait(lock("b"), { owner: "A" })).toMatchObject({ error: "deadlock" });
      expect(await state(two.wait(lock("a"), { owner: "B" }), two.wait(lock("a")))).toEqual(["waits", "waits"]);
    });

    test("is closed by standing behind a writer who waits for one's own read", async () => {
      const { actors } = await three(create);
      const [one, two] = actors;
      await one.acquire(lock("db", "shared"), { owner: "A" });
      two.wait(lock("db"), { owner: "B" });
      expect(await one.wait(lock("db", "shared"), { owner: "A" })).toMatchObject({
        error: "deadlock",
        message: expect.stringContaining('waits for "db" (shared) behind second (owner "B")'),
      });
    });

    test("is none while somebody outside can release what is wanted", async () => {
      const { actors } = await three(create);
      const [one, two, three_] = actors;
      await one.define("accounts", "ann", "ben");
      await one.acquire(lock("db"), { owner: "A" });
      await two.acquire("accounts", { owner: "B" });
      const outside = await three_.acquire("accounts", { owner: "C" });
      const first = one.wait("accounts", { owner: "A" });
      const second = two.wait(lock("db"), { owner: "B" });
      expect(await state(first, second)).toEqual(["waits", "waits"]);
      await three_.give(outside);
      expect(await state(first, second)).toEqual(["accounts/1", "waits"]);
    });

    test("is none when somebody who waits too can be served first, and then release what is wanted", async () => {
      const { actors } = await three(create);
      const [home, x, y] = actors;
      await home.define("p", "ann", "ben");
      await home.acquire("p", { owner: "home" });
      await x.acquire(lock("l"), { owner: "X" });
      await y.acquire("p", { owner: "Y" });
      await y.acquire(lock("z"));
      x.wait("p", { owner: "X" });
      y.wait(lock("z"), { owner: "Y" });
      expect(await state(home.wait(lock("l"), { owner: "home" }))).toEqual(["waits"]);
    });

    test("is none behind those who only want to share, too", async () => {
      const { actors } = await three(create);
      const [home, x, z] = actors;
      await home.acquire(lock("a"), { owner: "home" });
      await z.acquire(lock("db"));
      x.wait([lock("a"), lock("db", "shared")], { owner: "X" });
      expect(await state(home.wait(lock("db", "shared"), { owner: "home" }))).toEqual(["waits"]);
      expect(await home.wait(lock("db"), { owner: "home" })).toMatchObject({ error: "deadlock" });
    });

    test("is none where an item is held by a session that named no owner", async () => {
      const { actors } = await three(create);
      const [one, two] = actors;
      await one.acquire(lock("a"));
      await two.acquire(lock("b"), { owner: "B" });
      const waits = one.wait(lock("b"), { owner: "A" });
      expect(await state(waits, two.wait(lock("a"), { owner: "B" }))).toEqual(["waits", "waits"]);
    });

    test("is none when its owner waits elsewhere for what it can have", async () => {
      const { actors } = await three(create);
      const [one, two, three_] = actors;
      await one.acquire(lock("a"), { owner: "A" });
      const b = await two.acquire(lock("b"), { owner: "B" });
      one.wait(lock("b"), { owner: "A" });
      const waits = three_.wait(lock("a"), { owner: "C" });
      expect(await state(waits)).toEqual(["waits"]);
      await two.give(b);
      await one.end();
      expect(await state(waits)).toEqual(["a/0"]);
    });

    const wantedElsewhere = { pool: "m", size: 2, mode: "shared" } as const;
    for (const [name, elsewhere] of [
      ["what nobody else wants", []],
      ["what the one behind wants, too", [wantedElsewhere]],
    ] as const) {
      test(`is none behind a wait whose owner waits elsewhere for ${name}`, async () => {
        const { actors } = await three(create);
        const [one, two, outside] = actors;
        await one.define("p", "ann", "ben", "cat");
        await one.acquire(lock("k"), { owner: "A" });
        const first = outside.wait(["q", "p"]);
        const other = two.wait([lock("k"), ...elsewhere], { owner: "B" });
        const inFront = two.wait("p", { owner: "B" });
        const last = one.wait(["p", wantedElsewhere], { owner: "A" });
        expect(await state(first, other, inFront, last)).toEqual(["waits", "waits", "waits", "waits"]);
        await outside.define("q", "dan");
        expect(await state(first, other, inFront, last)).toEqual(["q/0 p/0", "waits", "p/1", "p/2 m/0"]);
      });
    }

    test("without owners is suspected in the message of the timeout, and by why()", async () => {
      const { actors, advance } = await three(create);
      const [one, two] = actors;
      await one.acquire(lock("a"));
      await two.acquire(lock("b"));
      one.wait(lock("b"));
      const vain = two.acquire(lock("a"), { waitMs: 100 });
      const circle =
        'second waits for "a" held by playwright:3 checkout.spec.ts for 100 ms, ' +
        'playwright:3 checkout.spec.ts waits for "b" held by second for 100 ms';
      await advance(99);
      expect(await one.why("a")).toMatchObject({ cycle: circle.replaceAll("100", "99") });
      await advance(1);
      expect((await vain).message).toBe(
        'Timed out after 100 ms waiting for "a": "a" held by playwright:3 checkout.spec.ts for 100 ms; ' +
          `perhaps a deadlock: ${circle}`,
      );
      expect((await one.why("b")).cycle).toBeUndefined();
    });
  });
}
