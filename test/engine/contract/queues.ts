/** The contract of work queues: no job is lost, none is had by two, and each is done once or dead and listed. */
import { describe, expect, test } from "bun:test";
import { type EngineFactory, now } from "./actor.ts";
import { SharingActor, taken } from "./sharing-actor.ts";

async function scene(create: EngineFactory, limits: Parameters<EngineFactory>[0] = {}) {
  const under = await create(limits);
  const [a, b, c] = ["a", "b", "c"].map((id) => new SharingActor(under.engine, id, `worker ${id}`)) as [
    SharingActor,
    SharingActor,
    SharingActor,
  ];
  return { ...under, a, b, c };
}

export function queuesContract(create: EngineFactory): void {
  describe("queues", () => {
    test("give jobs in the order they were pushed, those of high priority first", async () => {
      const { a, b } = await scene(create);
      expect(await a.push("q", "low:-1", "x", "y", "high:7")).toEqual({ count: 4 });
      await a.push("q", "z", "higher:9");
      const order: string[] = [];
      for (let job = 0; job < 6; job++) order.push((await b.next("q")).id);
      expect(order).toEqual(["higher", "high", "x", "y", "z", "low"]);
    });

    test("a job carries its data, its attempt and a fence that grows", async () => {
      const { a, nowMs } = await scene(create);
      await a.push("q", "x", "");
      const fence = nowMs() * 1000;
      expect(await a.take("q", { count: 5, ackMs: 100 })).toEqual({
        jobs: [
          { id: "x", data: '"x"', attempt: 1, fence: fence + 1, expiresAtMs: nowMs() + 100 },
          { id: "#1", data: '""', attempt: 1, fence: fence + 2, expiresAtMs: nowMs() + 100 },
        ],
        isDone: false,
      });
    });

    test("an id counts once: while it is in the queue, taken, dead or done, and twice in one push", async () => {
      const { a } = await scene(create, { jobAttemptsMax: 1 });
      expect(await a.push("q", "x", "x", "dead")).toEqual({ count: 2 });
      expect(await a.push("q", "x")).toEqual({ count: 0 });
      const job = await a.next("q");
      expect(await a.push("q", "x")).toEqual({ count: 0 });
      await a.ack("q", job);
      await a.nack("q", await a.next("q"));
      expect(await a.push("q", "x", "dead", "new")).toEqual({ count: 1 });
      expect(await a.push("other", "x")).toEqual({ count: 1 });
    });

    test("jobs without an id of their pusher's push none out of those that are remembered", async () => {
      const { a } = await scene(create, { jobIdsRemembered: 1 });
      await a.push("q", "x", "", "");
      for (let job = 0; job < 3; job++) await a.ack("q", await a.next("q"));
      expect(await a.push("q", "x")).toEqual({ count: 0 });
    });

    test("waiters are served in the order they came, each with as many as there are", async () => {
      const { a, b, c } = await scene(create);
      const waits = [a.take("q", { waitMs: -1, count: 2 }), b.take("q", { waitMs: -1 }), c.take("q", { waitMs: -1 })];
      await a.push("q", "x");
      await a.push("q", "y", "z");
      expect((await Promise.all(waits.map(now))).map(taken)).toEqual(["x/1", "y/1", "z/1"]);
    });

    test("an ack ends a job for good; one that comes twice, or with another fence, is refused", async () => {
      const { a, b } = await scene(create);
      await a.push("q", "x");
      const job = await a.next("q");
      expect(await b.ack("q", { ...job, fence: job.fence + 1 })).toMatchObject({ error: "not_owner" });
      expect(await a.ack("q", job)).toEqual({});
      expect(await a.ack("q", job)).toMatchObject({
        error: "not_owner",
        message: `Cannot ack job "x" of queue "q" with fence ${job.fence}: it is done, or was never there`,
      });
      expect(await a.info("q")).toMatchObject({ depth: 0, inFlight: 0, dead: 0, done: 1 });
    });

    test("a job whose session ends goes to the front again with the next attempt, and to who waits before that is answered", async () => {
      const { a, b, c, engine } = await scene(create);
      await a.push("q", "1", "2", "3", "4");
      const held = await a.take("q", { count: 3 });
      const [first] = held.jobs ?? [];
      await a.end();
      expect(await a.holds()).toEqual([]);
      expect(await b.holds()).toEqual([]);
      expect(taken(await b.take("q", { count: 9 }))).toBe("1/2 2/2 3/2 4/1");
      expect(await a.ack("q", first as NonNullable<typeof first>)).toMatchObject({ error: "not_owner" });
      const waits = c.take("q", { waitMs: -1, count: 9 });
      await b.end();
      expect(await c.holds()).toEqual(["job q", "job q", "job q", "job q"]);
      expect(taken(await now(waits))).toBe("1/3 2/3 3/3 4/2");
      expect(await engine.stats()).toMatchObject({ sharing: { jobs: 4, jobsInFlight: 4, jobsGivenBack: 7 } });
    });

    test("a job goes to the front of its own priority", async () => {
      const { a, b } = await scene(create);
      await a.push("q", "low", "low2", "high:1");
      await a.next("q");
      await a.nack("q", await a.next("q"));
      expect(taken(await b.take("q", { count: 9 }))).toBe("low/2 low2/1");
      await a.end();
      await b.end();
      expect(taken(await b.take("q", { count: 9 }))).toBe("high/2 low/3 low2/2");
    });

    test("after jobAttemptsMax attempts a job is dead and listed with the reason, and never taken again", async () => {
      const { a, b } = await scene(create);
      await a.pushAndClose("q", "x");
      await a.nack("q", await a.next("q"), { reason: "first" });
      await a.nack("q", await a.next("q"), { reason: "second" });
      const last = await a.next("q");
      const waits = b.take("q", { waitMs: -1 });
      await a.end();
      expect(taken(await now(waits))).toBe("done");
      const dead = { id: "x", data: '"x"', attempts: 3, reason: "its session ended", label: "worker a" };
      expect(await a.info("q")).toEqual({
        depth: 0,
        inFlight: 0,
        dead: 1,
        done: 0,
        closed: true,
        waiting: 0,
        deadJobs: [dead],
      });
      expect((await a.ack("q", last)).message).toEndWith("it is dead after 3 attempts");
    });

    test("a job given back unharmed has not used its attempt", async () => {
      const { a } = await scene(create, { jobAttemptsMax: 1 });
      await a.push("q", "x");
      for (let turn = 0; turn < 3; turn++) {
        const job = await a.next("q");
        expect(job.attempt).toBe(1);
        await a.nack("q", job, { pass: true });
      }
    });

    test("a job given back with a delay is not taken before, and then first", async () => {
      const { a, b, advance } = await scene(create);
      await a.push("q", "x", "y");
      await a.nack("q", await a.next("q"), { delayMs: 100 });
      expect(await a.info("q")).toMatchObject({ depth: 2, inFlight: 0 });
      await advance(99);
      expect(taken(await b.take("q", { count: 9 }))).toBe("y/1");
      const waits = b.take("q", { waitMs: -1 });
      await advance(1);
      expect(taken(await now(waits))).toBe("x/2");
    });

    test("a job not acked within ackMs goes to who waits; renewing it puts that off", async () => {
      const { a, b, advance, nowMs } = await scene(create);
      await a.push("q", "x");
      const job = await a.next("q", { ackMs: 100 });
      const waits = b.take("q", { waitMs: -1, ackMs: 50 });
      await advance(99);
      expect(await a.renew("q", job, 200)).toEqual({ expiresAtMs: nowMs() + 200 });
      await advance(199);
      expect(taken(await now(waits))).toBe("waits");
      await advance(1);
      expect(taken(await now(waits))).toBe("x/2");
      expect(await a.ack("q", job)).toMatchObject({ error: "not_owner" });
      expect((await a.renew("q", job, 200)).message).toContain("worker b has it, with fence");
      await advance(50);
      await a.nack("q", await a.next("q", { ackMs: 50 }));
      expect(await a.info("q")).toMatchObject({ dead: 1 });
    });

    test("a job that outlives its session is nobody's in holds, comes back after ackMs, and is acked by who knows its fence", async () => {
      const { a, b, advance } = await scene(create);
      await a.push("q", "x", "y");
      const job = await a.next("q", { ackMs: 100, outlivesSession: true });
      await a.next("q", { ackMs: 100, outlivesSession: true });
      expect(await a.holds()).toEqual([]);
      await a.end();
      expect(await b.ack("q", job)).toEqual({});
      await advance(100);
      expect(taken(await b.take("q"))).toBe("y/2");
    });

    test("a closed queue gives what it has, and says done when nothing can come back any more", async () => {
      const { a, b, c } = await scene(create);
      await a.pushAndClose("q", "x", "y");
      const [x, y] = [await a.next("q"), await b.next("q")];
      const waits = c.take("q", { waitMs: -1 });
      await a.ack("q", x);
      expect(taken(await now(waits))).toBe("waits");
      await b.ack("q", y);
      expect(taken(await now(waits))).toBe("done");
      expect(taken(await c.take("q"))).toBe("done");
      expect(await a.close("q")).toEqual({ depth: 0, inFlight: 0, dead: 0, done: 2, closed: true });
    });

    test("closing an empty queue says done to all who wait", async () => {
      const { a, b, c } = await scene(create);
      const waits = [a.take("q", { waitMs: -1 }), b.take("q", { waitMs: 500 })];
      await c.close("q");
      expect((await Promise.all(waits.map(now))).map(taken)).toEqual(["done", "done"]);
    });

    test("a closed queue takes no new jobs, and all of a push or none; pushing old ones again is harmless", async () => {
      const { a } = await scene(create);
      await a.pushAndClose("q", "x");
      expect(await a.pushAndClose("q", "x")).toEqual({ count: 0 });
      expect(await a.push("q", "x", "new")).toMatchObject({ error: "bad_command" });
      expect(await a.info("q")).toMatchObject({ depth: 1 });
    });

    test("a push past a bound adds nothing", async () => {
      const { a } = await scene(create, { queueJobsMax: 2 });
      expect(await a.push("q", "x", "y", "z")).toMatchObject({ error: "max_items", details: { queueJobsMax: 2 } });
      expect(await a.info("q")).toMatchObject({ depth: 0, inFlight: 0 });
      expect(await a.push("q", "x", "y")).toEqual({ count: 2 });
      expect(await a.push("q", "x")).toEqual({ count: 0 });
      await a.ack("q", await a.next("q"));
      expect(await a.push("q", "z")).toEqual({ count: 1 });
    });

    test("without time to wait, and after a wait in vain, the answer says who has the jobs", async () => {
      const { a, b, advance } = await scene(create);
      expect(await a.take("q")).toMatchObject({
        error: "timeout",
        message: 'Did not wait for a job of queue "q": nobody has pushed any',
      });
      await a.push("q", "x");
      await a.next("q");
      const answer = b.take("q", { waitMs: 700 });
      await advance(700);
      expect(await now(answer)).toMatchObject({
        message: 'Timed out after 700 ms waiting for a job of queue "q": 1 in flight ("x" by worker a for 700 ms)',
      });
    });

    test("a queue takes a name once jobs were pushed or it was closed, or while somebody waits", async () => {
      const { a, advance, engine } = await scene(create, { namesMax: 1 });
      const waits = a.take("q", { waitMs: 50 });
      expect(await a.push("other", "x")).toMatchObject({ error: "too_many_names" });
      await advance(50);
      expect(taken(await waits)).toBe("timeout");
      expect((await engine.stats()).sharing.queues).toBe(0);
      await a.push("other", "x");
      expect(await a.close("q")).toMatchObject({ error: "too_many_names" });
      expect(await a.info("q")).toMatchObject({ depth: 0, closed: false });
    });

    test("a dead session's jobs are not handed to its own waits", async () => {
      const { a, b } = await scene(create);
      await a.push("q", "x");
      await a.next("q");
      const own = a.take("q", { waitMs: -1 });
      const others = b.take("q", { waitMs: -1 });
      await a.end();
      expect([taken(await now(own)), taken(await now(others))]).toEqual(["cancelled", "x/2"]);
    });

    test("why tells who has which job, and who waits for one", async () => {
      const { a, b, engine, nowMs } = await scene(create);
      await a.push("q", "x");
      const { fence } = await a.next("q");
      b.take("q", { waitMs: -1 });
      const why = await engine.why({ name: "q", isPoolOnly: false });
      const [sinceAtMs, kind] = [nowMs(), "job" as const];
      expect(why.holders).toEqual([
        { kind, session: "a", label: "worker a", fence, sinceAtMs, expiresAtMs: undefined, job: "x" },
      ]);
      expect(why.waiters).toMatchObject([{ action: "queue.take", session: "b" }]);
    });
  });
}
