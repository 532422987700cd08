import { describe, expect, test } from "bun:test";
import { lineClient } from "../support/broker.ts";
import { brokerProcess } from "../support/broker-process.ts";
import { overBrokerGoalMs, overGoalMs, readyWorkers } from "../support/hand-on.ts";
import { grantOf, holdables } from "../support/holdables.ts";
import { readProc, until } from "../support/processes.ts";
import { rawClient } from "../support/raw-client.ts";
import { isThorough } from "../support/thorough.ts";

type Answer = Record<string, unknown>;

const lock = (pool: string, extra: object = {}): object => ({
  action: "acquire",
  wants: [{ pool, size: 1 }],
  waitMs: -1,
  ...extra,
});
describe("what a worker held is the next one's", () => {
  const kinds = Object.entries(holdables);

  test.each(kinds)(
    "within 10 ms of its being killed, at p99: %s",
    async (what, held) => {
      const often = what === "a lock" || what === "a lease";
      const rounds = isThorough ? (often ? 200 : 80) : often ? 20 : 10;
      expect(await overGoalMs(what, { held, rounds })).toBeLessThanOrEqual(0);
    },
    120_000,
  );

  test.each(kinds)(
    "within 2 ms of its connection's end, at p99: %s",
    async (what, held) => {
      expect(await overBrokerGoalMs(what, { held, rounds: 100 })).toBeLessThanOrEqual(0);
    },
    60_000,
  );

  test.each(kinds)(
    "when one who was killed waited before: %s",
    async (_, held) => {
      await using broker = await brokerProcess();
      await using workers = await readyWorkers(broker.pipe, 2);
      const [holder, killed] = workers;
      using next = await lineClient(broker.pipe);
      if (held.before !== undefined) await next.ask(held.before);
      expect(await holder?.ask(held.ask("holder"))).toMatchObject({ ok: true });
      killed?.say({ id: 1, ...held.ask("killed") });
      expect(await killed?.ask({ id: 2, action: "ping" })).toMatchObject({ id: 2 });
      next.say({ id: 1, ...held.ask("next") });
      expect(await next.ask({ id: 2, action: "ping" })).toMatchObject({ id: 2 });
      process.kill(killed?.pid ?? 0, "SIGKILL");
      await killed?.exited;
      process.kill(holder?.pid ?? 0, "SIGKILL");
      expect(await next.next()).toMatchObject({ id: 1, ok: true });
    },
    20_000,
  );

  test.each(kinds)(
    "not while it is only stopped: %s",
    async (_, held) => {
      await using broker = await brokerProcess();
      await using workers = await readyWorkers(broker.pipe, 1);
      const [holder] = workers;
      using next = await lineClient(broker.pipe);
      if (held.before !== undefined) await next.ask(held.before);
      // What gives a lease back names whom `giveBack` names.
      const answer = await holder?.ask(held.ask("waiter"));
      process.kill(holder?.pid ?? 0, "SIGSTOP");
      await until(() => /^State:\s+T/m.test(readProc(holder?.pid ?? 0, "status")));
      expect(await next.ask({ ...held.ask("next"), waitMs: 50 })).toMatchObject({ error: "timeout" });
      process.kill(holder?.pid ?? 0, "SIGCONT");
      expect(await holder?.ask(held.giveBack(answer ?? {}))).toMatchObject({ ok: true });
      expect(await next.ask(held.ask("next"))).toMatchObject({ ok: true });
    },
    20_000,
  );
});

describe("a worker that dies", () => {
  test("while it waits leaves its place, and what was kept for it goes to the next", async () => {
    await using broker = await brokerProcess();
    await using workers = await readyWorkers(broker.pipe, 3);
    const [first, second, third] = workers;
    using observer = await lineClient(broker.pipe);
    await first?.ask(lock("a"));
    second?.say({
      id: 1,
      ...lock("a", {
        wants: [
          { pool: "a", size: 1 },
          { pool: "b", size: 1 },
        ],
      }),
    });
    expect(await second?.ask({ id: 2, action: "ping" })).toMatchObject({ id: 2 });
    third?.say({ id: 1, ...lock("b") });
    expect(await third?.ask({ id: 2, action: "ping" })).toMatchObject({ id: 2 });
    process.kill(second?.pid ?? 0, "SIGKILL");
    expect(await third?.next()).toMatchObject({ id: 1, ok: true });
    expect(await observer.ask({ action: "why", key: "a" })).toMatchObject({ holdersCount: 1, waitersCount: 0 });
  }, 20_000);

  test("in the middle of the queue is passed over: the order of the others stands", async () => {
    await using broker = await brokerProcess();
    await using workers = await readyWorkers(broker.pipe, 5);
    for (const [index, worker] of workers.entries()) {
      worker.say({ id: 1, ...lock("db") });
      expect(await worker.ask({ id: 2, action: "ping" })).toMatchObject({ id: index === 0 ? 1 : 2 });
    }
    expect(await workers[0]?.next()).toMatchObject({ id: 2 });
    process.kill(workers[2]?.pid ?? 0, "SIGKILL");
    await workers[2]?.exited;
    for (const next of [1, 3, 4]) {
      process.kill(workers[next === 3 ? 1 : next - 1]?.pid ?? 0, "SIGKILL");
      expect(await workers[next]?.next()).toMatchObject({ id: 1, ok: true });
    }
  }, 20_000);

  test("with its grant unread frees it: nobody read the reply, nobody holds the lock", async () => {
    await using broker = await brokerProcess();
    using holder = await lineClient(broker.pipe);
    using next = await lineClient(broker.pipe);
    const held = await holder.ask(lock("db"));
    const unread = await rawClient(broker.pipe);
    unread.write(`${JSON.stringify({ id: 1, ...lock("db") })}\n${JSON.stringify({ id: 2, action: "ping" })}\n`);
    expect(await unread.next()).toMatchObject({ id: 2 });
    unread.pause();
    next.say(lock("db"));
    await holder.ask({ action: "release", grant: grantOf(held).id });
    const why = (await holder.ask({ action: "why", pool: "db" })) as { holders: Answer[]; waiters: Answer[] };
    expect(why.holders).toHaveLength(1);
    // The reply lies in its socket; the connection goes without a look at it.
    unread[Symbol.dispose]();
    expect(await next.next()).toMatchObject({ ok: true });
    const [before] = why.holders;
    const after = (await holder.ask({ action: "why", pool: "db" })) as { holders: Answer[] };
    expect(Number(after.holders[0]?.fence)).toBeGreaterThan(Number(before?.fence));
  }, 20_000);
});

describe("a worker that is stopped", () => {
  test("keeps what it holds, and is told nothing is lost when it goes on", async () => {
    await using broker = await brokerProcess();
    await using workers = await readyWorkers(broker.pipe, 1);
    using waiter = await lineClient(broker.pipe);
    const [worker] = workers;
    const held = await worker?.ask(lock("db"));
    process.kill(worker?.pid ?? 0, "SIGSTOP");
    await until(() => /^State:\s+T/m.test(readProc(worker?.pid ?? 0, "status")));
    expect(await waiter.ask({ ...lock("db"), waitMs: 300 })).toMatchObject({
      error: "timeout",
      message: expect.stringMatching(/"db" held by pid \d+ for \d+ ms$/),
    });
    process.kill(worker?.pid ?? 0, "SIGCONT");
    expect(await worker?.ask({ action: "release", grant: grantOf(held).id })).toMatchObject({ released: true });
    expect(await waiter.ask(lock("db"))).toMatchObject({ ok: true });
  }, 20_000);

  test("loses what it gave a ttl when that is over, and its late release is refused", async () => {
    await using broker = await brokerProcess();
    await using workers = await readyWorkers(broker.pipe, 1);
    using waiter = await lineClient(broker.pipe);
    const [worker] = workers;
    const held = await worker?.ask(lock("db", { ttl: 300 }));
    process.kill(worker?.pid ?? 0, "SIGSTOP");
    const next = await waiter.ask(lock("db"));
    expect(grantOf(next).fence).toBeGreaterThan(grantOf(held).fence);
    process.kill(worker?.pid ?? 0, "SIGCONT");
    expect(await worker?.ask({ action: "release", grant: grantOf(held).id })).toMatchObject({ error: "not_owner" });
    expect(await worker?.ask({ action: "renew", grant: grantOf(held).id, ttl: 300 })).toMatchObject({
      error: "not_owner",
    });
    expect(await waiter.ask({ action: "release", grant: grantOf(next).id })).toMatchObject({ released: true });
  }, 20_000);
});

describe("40 processes that want 3 accounts", () => {
  test("have at most 3 at a time, each exactly once, though every fourth is killed while it holds one", async () => {
    await using broker = await brokerProcess();
    using admin = await lineClient(broker.pipe);
    const items = ["ann", "ben", "cat"].map((value) => ({ value }));
    await admin.ask({ action: "pool.define", pool: "accounts", items });
    await using workers = await readyWorkers(broker.pipe, 40);
    const holders = new Map<number, number>();
    let most = 0;
    let served = 0;
    await Promise.all(
      workers.map(async (worker, index) => {
        const answer = await worker.ask({ action: "acquire", wants: [{ pool: "accounts" }], waitMs: -1 });
        const slot = Number(grantOf(answer).items[0]?.slot);
        expect(holders.get(slot)).toBeUndefined();
        holders.set(slot, index);
        most = Math.max(most, holders.size);
        served++;
        expect(await worker.ask({ action: "ping" })).toMatchObject({ ok: true });
        holders.delete(slot);
        if (index % 4 === 0) process.kill(worker.pid, "SIGKILL");
        else
          expect(await worker.ask({ action: "release", grant: grantOf(answer).id })).toMatchObject({ released: true });
      }),
    );
    expect({ served, most: most <= 3 }).toEqual({ served: 40, most: true });
    expect(await admin.ask({ action: "acquire", wants: [{ pool: "accounts", count: 3 }], waitMs: -1 })).toMatchObject({
      ok: true,
    });
  }, 60_000);
});
