/** The contract of single flight: one leader, one outcome for all who wait, and a turn that passes on. */
import { describe, expect, test } from "bun:test";
import type { WaitHandle } from "../../../src/engine/engine.ts";
import { Actor, cancelled, type EngineFactory, now } from "./actor.ts";

export function onceContract(create: EngineFactory): void {
  describe("once", () => {
    test("of forty callers one leads, and all others get its value", async () => {
      const { engine, nowMs } = await create();
      const sessions = Array.from({ length: 40 }, (_, index) => new Actor(engine, `s-${index}`));
      const answers = sessions.map((session) => session.once("token", -1));
      const leader = await answers[0];
      expect(leader).toEqual({ role: "leader", fence: nowMs() * 1000 + 1 });
      expect(await sessions[0]?.resolve("token", leader?.fence, '"t"', 500)).toEqual({ version: 1 });
      const stored = { value: '"t"', version: 1, compressed: false, ttlMs: 500 };
      for (const answer of answers.slice(1)) expect(await answer).toEqual({ role: "follower", stored });
      expect(await sessions[0]?.get("token")).toEqual(stored);
      expect(await engine.stats()).toMatchObject({ items: 1, onces: 0, waits: 0 });
    });

    test("a value that stands is the answer, however it came; once it has expired there is a turn again", async () => {
      const { engine, skip } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("token", "1", { ttlMs: 100 });
      expect(await alice.once("token")).toMatchObject({ role: "follower", stored: { value: "1" } });
      await skip(100);
      expect(await alice.once("token")).toMatchObject({ role: "leader" });
    });

    test("a set by other means serves those who wait, and the leader may still resolve", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      const { fence } = await alice.once("token");
      const answer = bob.once("token", -1);
      await bob.set("token", "1");
      expect(await answer).toMatchObject({ role: "follower", stored: { value: "1", version: 1 } });
      expect(await alice.resolve("token", fence, "2")).toEqual({ version: 2 });
    });

    test("a resolve wakes those who wait in get", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      const { fence } = await alice.once("token");
      const answer = bob.get("token", -1);
      await alice.resolve("token", fence, "1");
      expect(await answer).toMatchObject({ value: "1" });
    });

    test("without time to wait the answer is timeout at once, naming the producer and since when", async () => {
      const { engine, advance } = await create();
      await new Actor(engine, "s-1", "login worker").once("token");
      await advance(3000);
      expect(await new Actor(engine, "s-2").once("token")).toMatchObject({
        error: "timeout",
        message: 'Did not wait for once "token": login worker has been producing it for 3 s',
      });
    });

    test("a wait in vain says who produces, and the turn stays where it is", async () => {
      const { engine, advance } = await create();
      const [alice, bob] = [new Actor(engine, "s-1"), new Actor(engine, "s-2")];
      const { fence } = await alice.once("token");
      const answer = bob.once("token", 500);
      await advance(500);
      expect(await now(answer)).toMatchObject({
        error: "timeout",
        message: 'Timed out after 500 ms waiting for once "token": s-1 has been producing it for 500 ms',
      });
      expect(await alice.resolve("token", fence, "1")).toEqual({ version: 1 });
    });

    test("the leader's session waits like any other when it asks again", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      const { fence } = await alice.once("token");
      const again = alice.once("token", -1);
      expect(await now(again)).toBe("waits");
      await alice.resolve("token", fence, "1");
      expect(await again).toMatchObject({ role: "follower" });
    });

    test("a reject fails all who wait with the reason, and the next caller leads", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      const { fence } = await alice.once("token");
      const answers = [bob.once("token", -1), bob.once("token", 500)];
      await alice.reject("token", fence, "login is down");
      for (const answer of answers) {
        expect(await answer).toMatchObject({ error: "producer_failed", details: { reason: "login is down" } });
      }
      const next = await bob.once("token");
      expect(next.role).toBe("leader");
      expect(next.fence).toBeGreaterThan(Number(fence));
    });

    test("a turn passed on goes to the first who waits, with a new fence, and no failure is kept", async () => {
      const { engine } = await create();
      const [alice, bob, carol] = ["alice", "bob", "carol"].map((id) => new Actor(engine, id)) as [Actor, Actor, Actor];
      const first = await alice.once("token");
      const [second, third] = [bob.once("token", -1), carol.once("token", -1)];
      expect(await alice.pass("token", Number(first.fence) - 1)).toMatchObject({ error: "not_owner" });
      await alice.pass("token", first.fence);
      const heir = await second;
      expect(heir).toMatchObject({ role: "leader" });
      expect(heir.fence).toBeGreaterThan(Number(first.fence));
      expect([await now(third), await alice.holds(), await bob.holds()]).toEqual(["waits", [], ["once token"]]);
      expect(await alice.resolve("token", first.fence, "0")).toMatchObject({ error: "not_owner" });
      await bob.pass("token", heir.fence);
      const last = await third;
      await carol.pass("token", last.fence);
      expect(await engine.stats()).toMatchObject({ onces: 0, waits: 0 });
      expect(await alice.once("token")).toMatchObject({ role: "leader" });
    });

    test("with cacheMs a failure is everyone's answer so long, and no longer", async () => {
      const { engine, skip } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      const { fence } = await alice.once("token");
      await alice.reject("token", fence, "login is down", 1000);
      await skip(999);
      expect(await bob.once("token", -1)).toMatchObject({
        error: "producer_failed",
        details: { reason: "login is down" },
      });
      expect(await bob.get("token")).toMatchObject({ error: "not_found" });
      await skip(1);
      expect(await bob.once("token")).toMatchObject({ role: "leader" });
    });

    test("a value outdates a kept failure for good", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      const { fence } = await alice.once("token");
      await alice.reject("token", fence, "login is down", 1000);
      await alice.set("token", "1");
      expect(await alice.once("token")).toMatchObject({ role: "follower" });
      await alice.del("token");
      expect(await alice.once("token")).toMatchObject({ role: "leader" });
    });

    test("resolve and reject with a fence that does not lead are not_owner and change nothing", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      const first = await alice.once("token");
      await alice.reject("token", first.fence, "once");
      const second = await bob.once("token");
      expect(await alice.resolve("token", first.fence, "1")).toMatchObject({ error: "not_owner" });
      expect(await alice.reject("token", first.fence, "again", 1000)).toMatchObject({ error: "not_owner" });
      expect(await alice.resolve("none", second.fence, "1")).toMatchObject({ error: "not_owner" });
      expect(await alice.get("token")).toMatchObject({ error: "not_found" });
      expect(await bob.resolve("token", second.fence, "2")).toEqual({ version: 1 });
      expect(await bob.resolve("token", second.fence, "3")).toMatchObject({ error: "not_owner" });
    });

    test("a value that cannot be stored leaves the turn with its leader", async () => {
      const { engine } = await create({ itemsMax: 1 });
      const alice = new Actor(engine, "alice");
      await alice.set("other", "1");
      const { fence } = await alice.once("token");
      expect(await alice.resolve("token", fence, "1")).toMatchObject({ error: "max_items" });
      await alice.del("other");
      expect(await alice.resolve("token", fence, "1")).toEqual({ version: 2 });
    });

    test("when the leader's session ends the first who waits leads at once, with a new fence", async () => {
      const { engine } = await create();
      const [alice, bob, carol] = ["alice", "bob", "carol"].map((id) => new Actor(engine, id)) as [Actor, Actor, Actor];
      const first = await alice.once("token");
      const handle: WaitHandle = {};
      const gone = carol.once("token", -1, handle);
      const second = bob.once("token", -1);
      const third = carol.once("token", -1);
      handle.cancel?.(cancelled());
      await alice.end();
      const heir = await now(second);
      expect(heir).toMatchObject({ role: "leader" });
      const fence = heir === "waits" ? undefined : heir.fence;
      expect(fence).toBeGreaterThan(Number(first.fence));
      expect([await now(third), await gone]).toMatchObject(["waits", { error: "cancelled" }]);
      expect(await bob.holds()).toEqual(["once token"]);
      expect(await bob.resolve("token", fence, "1")).toEqual({ version: 1 });
      expect(await third).toMatchObject({ role: "follower" });
    });
  });
}
