/** Work shared by processes of their own, some of which are killed in the middle of it. */
import { describe, expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { type LineProcess, lineProcess, type Said } from "../support/line-process.ts";
import { Random } from "../support/random.ts";
import { isThorough } from "../support/thorough.ts";
import { until } from "../support/until.ts";

const rate = { limit: 50, windowMs: 1000 } as const;
/** How long the limit is in use. */
const seconds = isThorough ? 5 : 2;

/** A broker, a client that looks on, and so many workers, the first of which hang in the middle of a job. */
async function crew(part: string, count: number, { durationMs = 0, hanging = 0 } = {}) {
  const stack = new AsyncDisposableStack();
  const broker = stack.use(await testBroker());
  const client = stack.use(new Client(broker.pipe, { label: "looker-on" }));
  const workers = Array.from({ length: count }, (_, index) => {
    const told = {
      pipe: broker.pipe,
      part,
      label: `worker ${index}`,
      count,
      rate,
      durationMs,
      hangsAt: index < hanging ? 5 + index : 0,
    };
    return stack.use(lineProcess("sharing-main.ts", [JSON.stringify(told)]));
  });
  return { client, workers, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const waiting = (client: Client, name: string, count: number): Promise<void> =>
  until(async () => (await client.why(name).catch(() => undefined))?.waitersCount === count);

function kill({ pid }: LineProcess): void {
  process.kill(pid, "SIGKILL");
}

describe("a queue of 200 jobs and 8 workers", () => {
  test("has each job done though 3 workers are killed in the middle of one", async () => {
    await using parts = await crew("jobs", 8, { hanging: 3 });
    const { client, workers } = parts;
    const random = new Random();
    const items = Array.from({ length: 200 }, (_, index) => ({
      id: `job-${index}`,
      data: { ms: 2 + random.integer(20) },
    }));
    const queue = client.queue("specs");
    await queue.push(items, { closes: true });
    const said: (Said & { readonly worker: number })[] = [];
    const logs = workers.map(async (worker, index) => {
      for (let line = await worker.next(); line !== undefined; line = await worker.next()) {
        said.push({ ...line, worker: index });
        const began = said.filter((one) => one.worker === index && one.began !== undefined).length;
        if (index < 3 && began === 5 + index) kill(worker);
      }
    });
    await Promise.all(logs);
    expect(await queue.info()).toMatchObject({ depth: 0, inFlight: 0, dead: 0, done: 200 });
    const statuses = await Promise.all(workers.map(({ exited }) => exited));
    expect(statuses).toEqual([137, 137, 137, 0, 0, 0, 0, 0]);
    const finished = said.flatMap((line) => (line.finished === undefined ? [] : [String(line.finished)]));
    expect(finished.toSorted()).toEqual(items.map(({ id }) => id).toSorted());
    // The job of one that is killed may go to another that will be, and begin a third time.
    const again = said.filter((line) => line.began !== undefined && Number(line.attempt) > 1);
    expect(again.length).toBe(3);
    const fences = said.flatMap((line) => (line.began === undefined ? [] : [Number(line.fence)]));
    expect(new Set(fences).size).toBe(203);
  }, 30_000);
});

/** How many of the instants are in the second that begins with each, at most. */
function mostInOneWindow(sortedAtMs: readonly number[]): number {
  let [most, first] = [0, 0];
  for (const [index, atMs] of sortedAtMs.entries()) {
    while (Number(sortedAtMs[first]) <= atMs - rate.windowMs) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

/** When each of the workers was let through. */
function grantsOf(workers: readonly LineProcess[]): Promise<readonly (readonly number[])[]> {
  return Promise.all(
    workers.map(async (worker) => ((await worker.next()) as { grantedAtMs: readonly number[] }).grantedAtMs),
  );
}

describe("a rate limit of 50 a second and 8 processes", () => {
  test(`is never gone past in any second, and is used to 98 % over ${seconds}`, async () => {
    await using parts = await crew("rate", 8, { durationMs: seconds * 1000 + 200 });
    const grants = await grantsOf(parts.workers);
    const log = grants.flat().toSorted((a, b) => a - b);
    expect(mostInOneWindow(log)).toBe(50);
    const within = log.filter((atMs) => atMs < Number(log[0]) + seconds * 1000);
    const wanted = seconds * rate.limit;
    const each = grants.map((one) => one.length).join(" ");
    console.log(`rate limit: ${within.length} of ${wanted} in ${seconds} seconds, ${each} each`);
    expect(within.length).toBeGreaterThanOrEqual(0.98 * wanted);
  }, 30_000);

  test("serves those who wait in the order they came", async () => {
    await using parts = await crew("turns", 8);
    const { client, workers } = parts;
    for (const worker of workers) expect(await worker.next()).toEqual({ ready: true });
    await client.penalize("api", isThorough ? 2500 : 1200);
    for (const [index, worker] of [...workers.slice(4), ...workers.slice(0, 4)].entries()) {
      worker.say({ limit: "api" });
      expect(await worker.next()).toEqual({ waits: true });
      await waiting(client, "api", index + 1);
    }
    // All are let through at once, each one leaving one less.
    const left = await Promise.all(workers.map((worker) => worker.next()));
    expect(left).toEqual([45, 44, 43, 42, 49, 48, 47, 46].map((index) => ({ index })));
  });

  test("lets nobody through after penalize, before it ends", async () => {
    await using parts = await crew("rate", 4, { durationMs: 2800 });
    const { client } = parts;
    await waiting(client, "api", 4);
    const saidAtMs = Date.now();
    await client.penalize("api", 1500);
    const heardAtMs = Date.now();
    const log = (await grantsOf(parts.workers)).flat();
    // The broker's clock and ours are read in whole milliseconds.
    expect(log.filter((atMs) => atMs > heardAtMs && atMs < saidAtMs + 1499)).toEqual([]);
    expect(log.filter((atMs) => atMs <= heardAtMs).length).toBeGreaterThanOrEqual(50);
    expect(log.some((atMs) => atMs >= saidAtMs + 1499)).toBe(true);
  }, 30_000);
});

describe("a barrier of 3 processes, one of which is killed", () => {
  async function threeReady() {
    const parts = await crew("turns", 3);
    for (const worker of parts.workers) expect(await worker.next()).toEqual({ ready: true });
    return { ...parts, all: parts.workers as [LineProcess, LineProcess, LineProcess] };
  }

  /** Has each worker come, and wait. */
  async function come(client: Client, workers: readonly LineProcess[]): Promise<void> {
    for (const [index, worker] of workers.entries()) {
      worker.say({ key: "ready" });
      expect(await worker.next()).toEqual({ waits: true });
      await waiting(client, "ready", index + 1);
    }
  }

  const broken = { error: ["barrier_broken", "worker 2"] };

  test("before it came, having joined: the others learn its name at once", async () => {
    await using parts = await threeReady();
    const [a, b, c] = parts.all;
    c.say({ key: "ready", join: true });
    expect(await c.next()).toEqual({ index: 0 });
    await come(parts.client, [a, b]);
    kill(c);
    expect([await a.next(), await b.next()]).toEqual([broken, broken]);
  });

  test("while it waits: those who wait learn its name at once, and one that comes later too", async () => {
    await using parts = await threeReady();
    const [a, b, c] = parts.all;
    await come(parts.client, [a, c]);
    kill(c);
    expect(await a.next()).toEqual(broken);
    b.say({ key: "ready" });
    expect([await b.next(), await b.next()]).toEqual([{ waits: true }, broken]);
  });

  test("after it passed: the others have passed, and learn its name when they come again", async () => {
    await using parts = await threeReady();
    const [a, b, c] = parts.all;
    await come(parts.client, [a, b]);
    c.say({ key: "ready" });
    expect(await c.next()).toEqual({ waits: true });
    expect([await a.next(), await b.next(), await c.next()]).toEqual([{ index: 0 }, { index: 1 }, { index: 2 }]);
    await come(parts.client, [a]);
    kill(c);
    expect(await a.next()).toEqual(broken);
    b.say({ key: "ready" });
    expect([await b.next(), await b.next()]).toEqual([{ waits: true }, broken]);
  });
});
