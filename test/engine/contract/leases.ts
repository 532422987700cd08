/** The contract of numbered leases: numbers, renewals, sizes, scopes, and who is next. */
import { describe, expect, test } from "bun:test";
import type { WaitHandle } from "../../../src/engine/engine.ts";
import { Actor, type Answer, cancelled, type EngineFactory, now } from "./actor.ts";

/** What a refused or waiting lease leads to, as one word or number. */
function short(answer: Answer | "waits"): unknown {
  return answer === "waits" ? answer : (answer.error ?? answer.value);
}

export function leasesContract(create: EngineFactory): void {
  describe("leases", () => {
    test("lease() gives the lowest free number, from 0, for each key on its own", async () => {
      const { engine, nowMs } = await create();
      const alice = new Actor(engine, "alice");
      const numbers: unknown[] = [];
      for (const worker of ["a", "b", "c", "d"]) numbers.push((await alice.lease("k", worker)).value);
      await alice.release("c");
      await alice.release("b");
      for (const worker of ["e", "f", "g"]) numbers.push((await alice.lease("k", worker)).value);
      expect(numbers).toEqual([0, 1, 2, 3, 1, 2, 4]);
      expect(await alice.lease("other", "a")).toMatchObject({ value: 0, expiresAtMs: nowMs() + 60_000 });
    });

    test("a holder renews: same number, same fence, new ttl, from any session", async () => {
      const { engine, advance, nowMs } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.lease("k", "w-0");
      const granted = await alice.lease("k", "w-1", { ttlMs: 100 });
      await advance(99);
      const renewed = await bob.lease("k", "w-1", { ttlMs: 1000 });
      expect(renewed).toEqual({ value: 1, fence: granted.fence, expiresAtMs: nowMs() + 1000 });
      await advance(999);
      expect(await alice.lease("k", "w-1", { ttlMs: undefined })).toMatchObject({ expiresAtMs: undefined });
      await advance(3_600_000);
      expect(await alice.lease("k", "w-1")).toMatchObject({ fence: granted.fence });
    });

    test("fences grow with every hold of any kind, never repeat, and stay exact integers", async () => {
      const { engine, nowMs } = await create();
      const alice = new Actor(engine, "alice");
      const fences = [
        (await alice.lease("k", "a")).fence,
        (await alice.once("o")).fence,
        (await alice.lease("k", "b")).fence,
      ];
      await alice.release("a");
      fences.push((await alice.lease("k", "a")).fence);
      expect(fences.every((fence) => Number.isSafeInteger(fence) && Number(fence) > nowMs() * 1000)).toBe(true);
      expect(fences).toEqual([...new Set(fences)].sort((a, b) => Number(a) - Number(b)));
    });

    for (const passes of ["advance", "skip"] as const) {
      test(`a lease past its deadline is free at once (${passes})`, async () => {
        const { engine, ...time } = await create();
        const alice = new Actor(engine, "alice");
        await alice.lease("k", "w-1", { ttlMs: 100, size: 1 });
        await time[passes](99);
        expect(await alice.lease("k", "w-2", { size: 1 })).toMatchObject({ error: "pool_exhausted" });
        await time[passes](1);
        expect(await alice.lease("k", "w-2", { size: 1 })).toMatchObject({ value: 0 });
        expect(await alice.release("w-1")).toEqual({ released: false });
        expect(await engine.stats()).toMatchObject({ leases: 1, leasesExpired: 1 });
      });
    }

    test("a released lease takes its deadline along: the next holder keeps the number", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.lease("k", "a", { ttlMs: 100, size: 1 });
      await alice.release("a");
      await alice.lease("k", "b", { size: 1 });
      await advance(100);
      expect(await alice.lease("k", "c", { size: 1 })).toMatchObject({ error: "pool_exhausted" });
      expect((await engine.stats()).leasesExpired).toBe(0);
    });

    test("a full key refuses at once with who holds it: worker, label, since when", async () => {
      const { engine, advance } = await create();
      await new Actor(engine, "s-1", "playwright:3 checkout.spec.ts").lease("accounts", "w-1", { size: 2 });
      await advance(41_000);
      const bob = new Actor(engine, "s-2");
      await bob.lease("accounts", "w-2", { size: 2 });
      expect(await bob.lease("accounts", "w-3", { size: 2 })).toMatchObject({
        error: "pool_exhausted",
        message:
          'Cannot lease a number of "accounts" (size 2): 0 held by w-1 (playwright:3 checkout.spec.ts) for 41 s, 1 held by w-2 (s-2) for 0 ms',
      });
    });

    test("a lease that waits in vain says the same, and leaves nothing behind", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "s-1", "first");
      await alice.lease("accounts", "w-1", { size: 1 });
      const answer = new Actor(engine, "s-2").lease("accounts", "w-2", { size: 1, waitMs: 500 });
      await advance(500);
      expect(await now(answer)).toMatchObject({
        error: "timeout",
        message: 'Timed out after 500 ms waiting for a number of "accounts" (size 1): 0 held by w-1 (first) for 500 ms',
      });
      await alice.release("w-1");
      expect(await engine.stats()).toMatchObject({ leases: 0, waits: 0 });
    });

    test("many holders are counted, not named one by one", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      for (let index = 0; index < 7; index += 1) await alice.lease("k", `w-${index}`, { size: 7 });
      expect((await alice.lease("k", "w-7", { size: 7 })).message).toMatch(
        /4 held by w-4 \(alice\) for 0 ms and 2 more$/,
      );
    });

    test("freed numbers go to the waiters in the order they came", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      await alice.lease("k", "a", { size: 2 });
      await alice.lease("k", "b", { size: 2, ttlMs: 100 });
      const waits = ["c", "d", "e"].map((worker) => alice.lease("k", worker, { size: 2, waitMs: -1 }));
      await advance(100);
      await alice.release("a");
      expect(await Promise.all(waits.map(async (answer) => short(await now(answer))))).toEqual([1, 0, "waits"]);
    });

    test("a waiter's ttl begins when it is granted", async () => {
      const { engine, advance, nowMs } = await create();
      const alice = new Actor(engine, "alice");
      await alice.lease("k", "a", { size: 1, ttlMs: 1000 });
      const answer = alice.lease("k", "b", { size: 1, ttlMs: 50, waitMs: -1 });
      await advance(1000);
      expect(await now(answer)).toMatchObject({ value: 0, expiresAtMs: nowMs() + 50 });
    });

    test("a number is the waiter's before the release is answered: a newcomer comes too late", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.lease("k", "a", { size: 1 });
      const waiter = alice.lease("k", "b", { size: 1, waitMs: -1 });
      const released = alice.release("a");
      const newcomer = alice.lease("k", "c", { size: 1 });
      expect(await released).toEqual({ released: true });
      expect([short(await waiter), short(await newcomer)]).toEqual([0, "pool_exhausted"]);
    });

    test("a wait that is cancelled or timed out is passed over", async () => {
      const { engine, advance } = await create();
      const alice = new Actor(engine, "alice");
      const handle: WaitHandle = {};
      await alice.lease("k", "a", { size: 1 });
      const waits = [
        alice.lease("k", "b", { size: 1, waitMs: 10 }),
        alice.lease("k", "c", { size: 1, waitMs: -1, handle }),
        alice.lease("k", "d", { size: 1, waitMs: -1 }),
      ];
      await advance(10);
      handle.cancel?.(cancelled());
      await alice.release("a");
      expect((await Promise.all(waits)).map(short)).toEqual(["timeout", "cancelled", 0]);
    });

    test("two waits of one worker: the first is granted, the other renews", async () => {
      const { engine, nowMs } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.lease("k", "a", { size: 1 });
      const first = alice.lease("k", "b", { size: 1, waitMs: -1 });
      const between = alice.lease("k", "c", { size: 1, waitMs: -1 });
      const twin = bob.lease("k", "b", { size: 1, waitMs: -1, ttlMs: 5 });
      await alice.release("a");
      expect(await now(twin)).toEqual({ value: 0, fence: (await first).fence, expiresAtMs: nowMs() + 5 });
      expect(await now(between)).toBe("waits");
    });

    test("two waits of one worker from two sessions, of scope session: the second is not_owner", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.lease("k", "a", { size: 1 });
      const first = alice.lease("k", "b", { size: 1, waitMs: -1, scope: "session" });
      const second = bob.lease("k", "b", { size: 1, waitMs: -1, scope: "session" });
      await alice.release("a");
      expect([short(await now(first)), short(await now(second))]).toEqual([0, "not_owner"]);
    });

    test("the first size given holds while a number is held; another is size_mismatch", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.lease("k", "a");
      await alice.lease("k", "b", { size: 2 });
      for (const worker of ["a", "c"]) {
        const answer = await alice.lease("k", worker, { size: 3, waitMs: -1 });
        expect(answer).toMatchObject({ error: "size_mismatch", details: { size: 2 } });
      }
      await alice.release("a");
      await alice.release("b");
      expect(await alice.lease("k", "c", { size: 3 })).toMatchObject({ value: 0 });
    });

    test("without a size a lease never waits: it takes a number, or pool_exhausted on a full key of known size", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.lease("sized", "a", { size: 1 });
      expect(await alice.lease("sized", "b", { waitMs: -1 })).toMatchObject({ error: "pool_exhausted" });
      await alice.lease("unsized", "a");
      expect(await alice.lease("unsized", "b", { waitMs: -1 })).toMatchObject({ value: 1 });
    });

    test("a size below what is held already lets nobody in until fewer are held", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      for (const worker of ["a", "b", "c"]) await alice.lease("k", worker);
      const answer = alice.lease("k", "d", { size: 2, waitMs: -1 });
      await alice.release("a");
      expect(await now(answer)).toBe("waits");
      await alice.release("b");
      expect(await now(answer)).toMatchObject({ value: 0 });
    });

    test("release() of a worker with several keys names them, unless told which or *", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      for (const key of ["x", "y", "z"]) await alice.lease(key, "w");
      const refused = await alice.release("w");
      expect(refused).toMatchObject({ error: "bad_command" });
      expect(refused.message).toMatch(/it holds "x", "y", "z"$/);
      expect(await alice.release("w", "y")).toEqual({ released: true });
      expect(await alice.release("w", "y")).toEqual({ released: false });
      expect(await alice.release("w", "*")).toEqual({ released: true });
      expect(await alice.release("w", "*")).toEqual({ released: false });
      expect((await engine.stats()).leases).toBe(0);
    });

    test("scope ttl: any session may release, and the end of the granting session frees nothing", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice", "label of alice"), new Actor(engine, "bob")];
      await alice.lease("k", "w", { size: 1 });
      await alice.end();
      expect((await bob.lease("k", "v", { size: 1 })).message).toContain("0 held by w (label of alice)");
      expect(await bob.release("w")).toEqual({ released: true });
    });

    test("a lease that outlived its session is nobody's: it was given a scope it could not keep", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.lease("k", "w", { scope: "ttl" });
      await alice.end();
      await alice.lease("k", "w", { scope: "session" });
      expect(await alice.holds()).toEqual([]);
      expect(await new Actor(engine, "bob").release("w")).toEqual({ released: true });
    });

    test("scope session: another session's lease and release are not_owner and change nothing", async () => {
      const { engine, nowMs } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      const { fence } = await alice.lease("k", "w", { scope: "session" });
      await bob.lease("mine", "w", { scope: "session" });
      expect(await bob.lease("k", "w", { ttlMs: 1 })).toMatchObject({ error: "not_owner" });
      for (const key of ["k", "*"]) expect(await bob.release("w", key)).toMatchObject({ error: "not_owner" });
      expect(await bob.holds()).toEqual(["lease mine/w"]);
      const renewed = await alice.lease("k", "w", { ttlMs: 7 });
      expect(renewed).toEqual({ value: 0, fence, expiresAtMs: nowMs() + 7 });
    });

    test.each([
      ["its own session, asking", "alice", "session", "ttl", "not_owner"],
      ["its own session, not asking", "alice", undefined, "session", "not_owner"],
      ["its own session, asking", "alice", "ttl", "session", 0],
      ["another session, asking", "bob", "session", "ttl", 0],
    ] as const)("a renewal by %s (%p: %p on %p) leaves bob with %p", async (_, renewer, asked, first, outcome) => {
      const { engine } = await create();
      await new Actor(engine, "alice").lease("k", "w", { scope: first });
      await new Actor(engine, renewer).lease("k", "w", { scope: asked });
      expect(short(await new Actor(engine, "bob").lease("k", "w"))).toBe(outcome);
    });

    test("namesMax bounds keys with leases or turns together, and what is held in all", async () => {
      const { engine } = await create({ namesMax: 3 });
      const alice = new Actor(engine, "alice");
      await alice.lease("a", "w");
      await alice.lease("b", "w");
      const { fence } = await alice.once("c");
      expect(await alice.lease("d", "w")).toMatchObject({ error: "too_many_names" });
      expect(await alice.once("d")).toMatchObject({ error: "too_many_names" });
      await alice.reject("c", fence, "gave up");
      expect(await alice.lease("b", "v")).toMatchObject({ value: 1 });
      expect(await alice.lease("b", "u")).toMatchObject({ error: "too_many_names" });
      await alice.release("w", "a");
      expect(await alice.lease("d", "w")).toMatchObject({ value: 0 });
    });
  });
}
