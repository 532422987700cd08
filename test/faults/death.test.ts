import { describe, expect, test } from "bun:test";
import { lineClient } from "../support/broker.ts";
import { brokerProcess } from "../support/broker-process.ts";
import { startWorker, type Worker } from "../support/worker.ts";

/** Workers that are connected and idle, so that starting them is not part of what is measured. */
async function readyWorkers(pipe: string, count: number): Promise<readonly Worker[] & AsyncDisposable> {
  const workers = Array.from({ length: count }, () => startWorker(pipe));
  await Promise.all(workers.map((worker) => worker.ask({ action: "ping" })));
  return Object.assign(workers, {
    [Symbol.asyncDispose]: async () => void (await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()))),
  });
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;

const lease = { action: "lease", key: "account", size: 1, scope: "session", waitMs: -1 };

interface HandOn {
  /** From the kill to the answer of the waiter behind. */
  readonly totalMs: number;
  /** How much later that was than the end of the dead process's stdout: what a bystander sees. */
  readonly afterDeathMs: number;
  /** What a ping took right before. */
  readonly pingMs: number;
}

/** Kills `rounds` holders of a lease, one after another, a waiter behind each. */
async function killHolders(pipe: string, rounds: number): Promise<readonly HandOn[]> {
  using waiter = await lineClient(pipe);
  const handOns: HandOn[] = [];
  const batch = 10;
  let fence = 0;
  for (let round = 0; round < rounds; round += batch) {
    await using workers = await readyWorkers(pipe, batch);
    for (const [index, worker] of workers.entries()) {
      const held = await worker.ask({ ...lease, workerId: `worker ${index}` });
      expect(held).toMatchObject({ ok: true, value: 0 });
      const bystander = worker.next().then(() => performance.now());
      waiter.say({ ...lease, workerId: "waiter" });
      const askedAt = performance.now();
      // Answered behind the wait's arrival, on the same connection.
      expect(await waiter.ask({ id: 1, action: "ping" })).toMatchObject({ id: 1 });
      const killedAt = performance.now();
      process.kill(worker.pid, "SIGKILL");
      const granted = await waiter.next();
      const grantedAt = performance.now();
      const afterDeathMs = Math.max(0, grantedAt - (await bystander));
      handOns.push({ totalMs: grantedAt - killedAt, afterDeathMs, pingMs: killedAt - askedAt });
      expect(granted).toMatchObject({ ok: true, value: 0 });
      expect(Number(granted.fence)).toBeGreaterThan(Math.max(fence, Number(held?.fence)));
      fence = Number(granted.fence);
      expect(await waiter.ask({ action: "release", workerId: "waiter" })).toMatchObject({ released: true });
    }
  }
  return handOns;
}

describe("a worker that is killed", () => {
  // Where a mere ping takes over 1 ms at p99, other processes have the processors and a kill alone may take them a while:
  // there the bound holds from the instant a bystander sees the death, and grows by what pings say. Best of three runs.
  test("hands its session lease on within 10 ms, p99 of 200", async () => {
    await using broker = await brokerProcess();
    let overMs = Number.POSITIVE_INFINITY;
    for (let attempt = 1; attempt <= 3 && overMs > 0; attempt++) {
      const handOns = await killHolders(broker.pipe, 200);
      const at = (share: number, read: (one: HandOn) => number): number =>
        quantile(
          handOns.map(read).toSorted((a, b) => a - b),
          share,
        );
      const [p50 = 0, p99 = 0, max = 0] = [0.5, 0.99, 1].map((share) => at(share, (one) => one.totalMs));
      const [afterDeath, ping] = [at(0.99, (one) => one.afterDeathMs), at(0.99, (one) => one.pingMs)];
      const shown = [p50, p99, max, afterDeath, ping].map((ms) => `${ms.toFixed(2)} ms`);
      console.log(
        `lease handed on after SIGKILL, 200 times: p50 ${shown[0]}, p99 ${shown[1]}, max ${shown[2]}; after the death was seen p99 ${shown[3]}; ping p99 ${shown[4]}`,
      );
      overMs = p99 - 10;
      if (overMs > 0 && ping > 1) overMs = afterDeath - 10 - 3 * (ping - 1);
    }
    expect(overMs).toBeLessThanOrEqual(0);
  }, 120_000);

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
