/** The contract of rate limits: never more than the limit in any window, waiters in order, penalties that hold for all. */
import { describe, expect, test } from "bun:test";
import type { WaitHandle } from "../../../src/engine/engine.ts";
import { type Answer, cancelled, type EngineFactory, now } from "./actor.ts";
import { SharingActor } from "./sharing-actor.ts";

const state = async (answer: Promise<Answer>): Promise<unknown> => {
  const given = await now(answer);
  return given === "waits" ? given : (given.error ?? given.remaining);
};

export function rateLimitsContract(create: EngineFactory): void {
  describe("rate limits", () => {
    test("grant the limit at once, say what is left and when all of it is back, and refuse what is past it", async () => {
      const { engine, advance, nowMs } = await create();
      const alice = new SharingActor(engine, "alice");
      const startMs = nowMs();
      expect(await alice.limit("api")).toEqual({ remaining: 2, resetAtMs: startMs + 1000 });
      await advance(400);
      expect(await alice.limit("api", { cost: 2 })).toEqual({ remaining: 0, resetAtMs: startMs + 1400 });
      await advance(100);
      const text = 'Cannot pass limit "api": 3 of 3 are used within 1 s, there is room in 500 ms';
      expect(await alice.limit("api")).toMatchObject({ error: "rate_limited", message: text });
    });

    test("a window slides: what was granted counts for exactly windowMs, wherever one looks", async () => {
      const { engine, advance } = await create();
      const alice = new SharingActor(engine, "alice");
      await alice.limit("api");
      await advance(999);
      for (let grant = 0; grant < 2; grant++) expect(await alice.limit("api")).toMatchObject({ remaining: 1 - grant });
      expect(await alice.limit("api")).toMatchObject({ error: "rate_limited" });
      await advance(1);
      // A bucket that refills would let through what the last 999 ms have used.
      expect(await alice.limit("api")).toMatchObject({ remaining: 0 });
      expect(await alice.limit("api")).toMatchObject({ error: "rate_limited" });
      await advance(998);
      expect(await alice.limit("api")).toMatchObject({ error: "rate_limited" });
      await advance(1);
      expect(await alice.limit("api")).toMatchObject({ remaining: 1 });
    });

    test("waiters are served in the order they came, each at the first instant there is room", async () => {
      const { engine, advance } = await create();
      const alice = new SharingActor(engine, "alice");
      for (const wait of [0, 100, 200]) {
        await alice.limit("api");
        await advance(wait === 200 ? 0 : 100);
      }
      const large = alice.limit("api", { cost: 2, waitMs: -1 });
      const small = alice.limit("api", { waitMs: -1 });
      await advance(899);
      expect([await state(large), await state(small)]).toEqual(["waits", "waits"]);
      await advance(1);
      expect([await state(large), await state(small)]).toEqual([0, "waits"]);
      await advance(100);
      expect(await state(small)).toBe(0);
    });

    test("a newcomer that would fit does not overtake one who waits for more", async () => {
      const { engine, advance } = await create();
      const [alice, bob] = [new SharingActor(engine, "alice"), new SharingActor(engine, "bob")];
      await alice.limit("api", { cost: 2 });
      const large = alice.limit("api", { cost: 3, waitMs: -1 });
      expect(await bob.limit("api")).toMatchObject({ error: "rate_limited" });
      await advance(1000);
      expect(await state(large)).toBe(0);
    });

    test("one who gives up, or whose session ends, makes way for those behind", async () => {
      const { engine, advance } = await create();
      const [alice, bob, carol] = ["alice", "bob", "carol"].map((id) => new SharingActor(engine, id)) as [
        SharingActor,
        SharingActor,
        SharingActor,
      ];
      await alice.limit("api", { cost: 2 });
      const handle: WaitHandle = {};
      const gone = alice.limit("api", { cost: 3, waitMs: -1, handle });
      const next = bob.limit("api", { cost: 2, waitMs: -1 });
      const last = carol.limit("api", { waitMs: -1 });
      expect(handle.cancel?.(cancelled())).toBe(true);
      await advance(0);
      expect([await state(gone), await state(next), await state(last)]).toEqual(["cancelled", "waits", "waits"]);
      await bob.end();
      await advance(0);
      expect([await state(next), await state(last)]).toEqual(["cancelled", 0]);
    });

    test("a wait in vain says how much is used, and when to come again", async () => {
      const { engine, advance } = await create();
      const alice = new SharingActor(engine, "alice");
      await alice.limit("api", { cost: 3 });
      const answer = alice.limit("api", { waitMs: 300 });
      await advance(300);
      const text =
        'Timed out after 300 ms waiting for limit "api": 3 of 3 are used within 1 s, there is room in 700 ms';
      expect(await now(answer)).toMatchObject({ error: "timeout", message: text });
    });

    test("after penalize nobody passes before it ends, those who wait among them; a shorter one changes nothing", async () => {
      const { engine, advance } = await create();
      const [alice, bob] = [new SharingActor(engine, "alice"), new SharingActor(engine, "bob")];
      await alice.limit("api");
      await alice.penalize("api", 5000);
      await bob.penalize("api", 10);
      const waits = [bob.limit("api", { waitMs: -1 }), alice.limit("api", { waitMs: -1 })];
      await advance(4999);
      for (const wait of waits) expect(await state(wait)).toBe("waits");
      expect(await alice.limit("api")).toMatchObject({ error: "rate_limited" });
      await advance(1);
      expect([await state(waits[0] as Promise<Answer>), await state(waits[1] as Promise<Answer>)]).toEqual([2, 1]);
    });

    test("penalize holds back a key nobody has used, whatever numbers it is used with later", async () => {
      const { engine, advance } = await create();
      const alice = new SharingActor(engine, "alice");
      await alice.penalize("api", 50);
      expect(await alice.limit("api", { limit: 7 })).toMatchObject({ error: "rate_limited" });
      await advance(50);
      expect(await alice.limit("api", { limit: 7 })).toMatchObject({ remaining: 6 });
    });

    test("other numbers are refused while something is in the window, and taken when nothing is", async () => {
      const { engine, advance } = await create();
      const alice = new SharingActor(engine, "alice");
      await alice.limit("api");
      expect(await alice.limit("api", { limit: 4 })).toMatchObject({
        error: "size_mismatch",
        details: { limit: 3, windowMs: 1000 },
      });
      expect(await alice.limit("api", { windowMs: 999 })).toMatchObject({ error: "size_mismatch" });
      await advance(1000);
      expect(await alice.limit("api", { limit: 4, windowMs: 10 })).toMatchObject({ remaining: 3 });
    });

    test("a key is forgotten when nothing is in its window, and takes a name as long", async () => {
      const { engine, advance } = await create({ namesMax: 1 });
      const alice = new SharingActor(engine, "alice");
      await alice.limit("api");
      expect(await alice.limit("other")).toMatchObject({ error: "too_many_names" });
      await advance(1000);
      expect((await engine.stats()).sharing.limits).toBe(0);
      expect(await alice.limit("other")).toMatchObject({ remaining: 2 });
    });
  });
}
