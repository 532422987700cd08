/** The contract of endings: what goes with a session, what is handed on before that is answered, and the end of it all. */
import { describe, expect, test } from "bun:test";
import { Actor, answerOf, type EngineFactory, now } from "./actor.ts";

export function sessionsContract(create: EngineFactory): void {
  describe("sessions", () => {
    test("holdsOf() tells what a session was granted, oldest first, with fence and since when", async () => {
      const { engine, advance, nowMs } = await create();
      const alice = new Actor(engine, "alice");
      const startMs = nowMs();
      await alice.lease("k", "w-1", { scope: "session" });
      await advance(5);
      await alice.once("token");
      await alice.lease("k", "w-2", { scope: "ttl" });
      expect(await engine.holdsOf("alice")).toEqual([
        { kind: "lease", id: "k", workerId: "w-1", fence: startMs * 1000 + 1, sinceAtMs: startMs },
        { kind: "once", id: "token", fence: startMs * 1000 + 2, sinceAtMs: startMs + 5 },
        { kind: "lease", id: "k", workerId: "w-2", fence: startMs * 1000 + 3, sinceAtMs: startMs + 5 },
      ]);
      expect(await engine.holdsOf("bob")).toEqual([]);
    });

    test("endSession() frees session leases and turns and keeps values and ttl leases", async () => {
      const { engine } = await create();
      const alice = new Actor(engine, "alice");
      await alice.set("value", "1");
      await alice.lease("k", "w-1", { scope: "session" });
      await alice.lease("k", "w-2", { scope: "ttl" });
      await alice.once("token");
      await alice.end();
      expect(await alice.holds()).toEqual([]);
      expect(await engine.stats()).toMatchObject({ items: 1, leases: 1, onces: 0 });
      expect(await new Actor(engine, "bob").lease("k", "w-3")).toMatchObject({ value: 0 });
    });

    test("endSession() has handed on before it answers, to the first of another session", async () => {
      const { engine } = await create();
      const [alice, bob, carol] = ["alice", "bob", "carol"].map((id) => new Actor(engine, id)) as [Actor, Actor, Actor];
      await alice.lease("k", "w-1", { scope: "session", size: 1 });
      const own = alice.lease("k", "w-2", { scope: "session", size: 1, waitMs: -1 });
      const first = bob.lease("k", "w-3", { scope: "session", size: 1, waitMs: -1 });
      const second = carol.lease("k", "w-4", { scope: "session", size: 1, waitMs: -1 });
      await alice.end();
      expect(await bob.holds()).toEqual(["lease k/w-3"]);
      expect([await now(own), await now(first), await now(second)]).toMatchObject([
        { error: "cancelled" },
        { value: 0 },
        "waits",
      ]);
    });

    test("endSession() ends the session's waits and nobody else's", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      const gone = [alice.get("k", -1), alice.get("k", 500)];
      const stays = bob.get("k", -1);
      await alice.end();
      for (const answer of gone) expect(await now(answer)).toMatchObject({ error: "cancelled" });
      expect([await alice.waits(), await now(stays)]).toEqual([[], "waits"]);
    });

    test("a grant nobody has read yet goes with its session too", async () => {
      const { engine } = await create();
      const [alice, bob, carol] = ["alice", "bob", "carol"].map((id) => new Actor(engine, id)) as [Actor, Actor, Actor];
      await alice.lease("k", "w-1", { scope: "session", size: 1 });
      bob.lease("k", "w-2", { scope: "session", size: 1, waitMs: -1 });
      const last = carol.lease("k", "w-3", { scope: "session", size: 1, waitMs: -1 });
      const ended = [alice.end(), bob.end()];
      await Promise.all(ended);
      expect(await now(last)).toMatchObject({ value: 0 });
    });

    test("endSession() of a session that has nothing is harmless, and so is a second one", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await bob.lease("k", "w", { scope: "session" });
      await alice.end();
      await alice.end();
      expect(await bob.holds()).toEqual(["lease k/w"]);
    });

    test("stats() counts what is there, and nothing that has ended", async () => {
      const { engine, skip } = await create();
      const alice = new Actor(engine, "alice");
      const empty = await engine.stats();
      await alice.set("key", "0123456789", { ttlMs: 100 });
      await alice.set("key", "01234567890123456789", { ttlMs: 100 });
      const { storeBytes } = await engine.stats();
      await alice.set("k2", "", { ttlMs: 100 });
      const overhead = (await engine.stats()).storeBytes - storeBytes - 2;
      expect(storeBytes - overhead).toBe("key".length + 20);
      await alice.lease("pool", "w", { ttlMs: 100 });
      await skip(100);
      expect(await engine.stats()).toEqual({ ...empty, itemsExpired: 2, leasesExpired: 1 });
      expect(empty).toEqual({
        items: 0,
        leases: 0,
        onces: 0,
        grants: 0,
        waits: 0,
        storeBytes: 0,
        itemsExpired: 0,
        leasesExpired: 0,
        grantsExpired: 0,
        channels: { channels: 0, messages: 0, bytes: 0, published: 0 },
        sharing: {
          limits: 0,
          barriers: 0,
          queues: 0,
          jobs: 0,
          jobsInFlight: 0,
          jobsDead: 0,
          jobsDone: 0,
          jobsGivenBack: 0,
        },
      });
    });

    test("close() ends every wait with unavailable and refuses what comes later; the dying sessions may still end", async () => {
      const { engine } = await create();
      const [alice, bob] = [new Actor(engine, "alice"), new Actor(engine, "bob")];
      await alice.lease("pool", "w", { size: 1, scope: "session" });
      await alice.once("token");
      const waits = [bob.get("k", -1), bob.lease("pool", "v", { size: 1, waitMs: 500 }), bob.once("token", -1)];
      await engine.close();
      for (const answer of waits) expect(await now(answer)).toMatchObject({ error: "unavailable" });
      const late = [bob.get("k", -1), bob.set("k", "1"), bob.lease("pool", "v"), bob.once("token"), bob.release("w")];
      for (const answer of late) expect(await answer).toMatchObject({ error: "unavailable" });
      expect(await answerOf(() => engine.endSession(alice.caller))).toEqual({});
    });
  });
}
