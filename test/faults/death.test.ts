import { describe, expect, test } from "bun:test";
import { lineClient } from "../support/broker.ts";
import { brokerProcess } from "../support/broker-process.ts";
import { readyWorkers } from "../support/hand-on.ts";
import { startWorker } from "../support/worker.ts";

describe("a worker that is killed", () => {
  test("while it leads a once passes the turn to the first who waits, again and again", async () => {
    await using broker = await brokerProcess();
    await using workers = await readyWorkers(broker.pipe, 6);
    const once = { action: "once", key: "login", waitMs: -1 };
    using observer = await lineClient(broker.pipe);
    let turns = 0;
    for (const worker of workers) {
      worker.say({ id: 1, ...once });
      // Its place in the queue is taken before the next one asks.
      expect(await worker.ask({ id: 2, action: "ping" })).toMatchObject({ id: turns === 0 ? 1 : 2 });
      turns++;
    }
    expect(await workers[0]?.next()).toMatchObject({ id: 2 });
    for (const [index, worker] of workers.entries()) {
      if (index === workers.length - 1) break;
      process.kill(worker.pid, "SIGKILL");
      expect(await workers[index + 1]?.next()).toMatchObject({ id: 1, ok: true, leader: true });
    }
    observer.say(once);
    const last = workers.at(-1);
    const { sessions } = (await observer.ask({ id: 3, action: "ps" })) as {
      sessions: { holds: { fence: number }[] }[];
    };
    const fence = sessions.flatMap((session) => session.holds.map((hold) => hold.fence))[0];
    expect(await last?.ask({ action: "once.resolve", key: "login", fence, value: "token" })).toMatchObject({
      ok: true,
    });
    expect(await observer.next()).toMatchObject({ ok: true, value: "token" });
  }, 20_000);

  test("before it resolved is told nothing and its late fence is refused", async () => {
    await using broker = await brokerProcess();
    await using workers = await readyWorkers(broker.pipe, 2);
    const [first, second] = workers;
    const led = await first?.ask({ action: "once", key: "k" });
    second?.say({ action: "once", key: "k", waitMs: -1 });
    if (first !== undefined) process.kill(first.pid, "SIGKILL");
    expect(await second?.next()).toMatchObject({ ok: true, leader: true });
    const late = await second?.ask({ action: "once.resolve", key: "k", fence: led?.fence, value: 1 });
    expect(late).toMatchObject({ ok: false, error: "not_owner" });
  }, 20_000);
});

describe("40 processes that ask for one once", () => {
  test("have one leader, one run and one value", async () => {
    await using broker = await brokerProcess();
    // Not waited for: they start, connect and ask at the same time.
    await using stack = new AsyncDisposableStack();
    const workers = Array.from({ length: 40 }, () => stack.use(startWorker(broker.pipe)));
    let runs = 0;
    const answers = await Promise.all(
      workers.map(async (worker) => {
        const answer = await worker.ask({ action: "once", key: "login", waitMs: -1 });
        if (answer?.leader !== true) return answer?.value;
        runs++;
        await worker.ask({ action: "once.resolve", key: "login", fence: answer.fence, value: `token ${runs}` });
        return `token ${runs}`;
      }),
    );
    expect(runs).toBe(1);
    expect(answers).toEqual(Array(40).fill("token 1"));
  }, 30_000);
});
