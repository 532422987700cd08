import { describe, expect, test } from "bun:test";
import type { BrokerOptions } from "../../src/broker/config.ts";
import { Client, type ClientOptions, type Job, type Queue } from "../../src/client/client.ts";
import { systemClientClock } from "../../src/client/client-clock.ts";
import { Jobs, type JobsParts } from "../../src/client/sharing/jobs.ts";
import { msgpack } from "../../src/msgpack/client-codec.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { Scene } from "../support/resume-scene.ts";
import { until } from "../support/until.ts";

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ resolvedTo: value }),
    (error: unknown) => error,
  );

async function scene(options: ClientOptions & { readonly broker?: BrokerOptions } = {}) {
  const stack = new AsyncDisposableStack();
  const broker = stack.use(await testBroker(options.broker));
  const connect = (more: ClientOptions = {}): Client => stack.use(new Client(broker.pipe, { ...options, ...more }));
  const client = connect();
  return { client, connect, queue: client.queue("specs"), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Does all jobs of a queue and tells their ids and attempts. */
async function drain(queue: Queue): Promise<readonly string[]> {
  const done: string[] = [];
  for await (const { id, attempt } of queue) done.push(`${id}/${attempt}`);
  return done;
}

/** The next job, which stays ours. */
async function take<Data>(queue: Queue<Data>): Promise<Job<Data>> {
  const { value } = await queue[Symbol.asyncIterator]().next();
  return value as Job<Data>;
}

describe("for await of Client.queue()", () => {
  test("does each job once and ends when the queue is closed and all of them are done", async () => {
    await using parts = await scene();
    const { queue, connect } = parts;
    const first = drain(queue);
    const others = [drain(connect().queue("specs")), drain(connect().queue("specs"))];
    expect(await queue.push(["a", "b", { id: "c", data: 1, priority: 2 }, { data: { n: 1 } }])).toBe(4);
    expect(await queue.push(["a", "d"], { closes: true })).toBe(1);
    const done = (await Promise.all([first, ...others])).flat();
    expect(done.sort()).toEqual(["#1/1", "a/1", "b/1", "c/1", "d/1"]);
    expect(await queue.info()).toEqual({
      depth: 0,
      inFlight: 0,
      dead: 0,
      done: 5,
      closed: true,
      waiting: 0,
      deadJobs: [],
    });
  });

  test("acks a job when the body ends, not before", async () => {
    await using parts = await scene();
    const { queue } = parts;
    await queue.push(["a", "b"], { closes: true });
    const seen: unknown[] = [];
    for await (const job of queue) {
      const { depth, inFlight, done } = await queue.info();
      seen.push([job.id, job.data, { depth, inFlight, done }]);
    }
    expect(seen).toEqual([
      ["a", "a", { depth: 1, inFlight: 1, done: 0 }],
      ["b", "b", { depth: 0, inFlight: 1, done: 1 }],
    ]);
  });

  test("nacks a job when the body throws, and throws that", async () => {
    await using parts = await scene();
    const { queue } = parts;
    await queue.push(["a"], { closes: true });
    const failure = new TypeError("no browser");
    const failing = async (): Promise<void> => {
      for await (const _job of queue) throw failure;
    };
    for (let attempt = 0; attempt < 2; attempt++) expect(await failureOf(failing())).toBe(failure);
    expect(await queue.info()).toMatchObject({ depth: 1, inFlight: 0, dead: 0 });
    expect(await failureOf(failing())).toBe(failure);
    const reason = "its worker left the loop";
    expect(await queue.info()).toMatchObject({ dead: 1, deadJobs: [{ id: "a", data: "a", attempts: 3, reason }] });
    expect(await drain(queue)).toEqual([]);
  });

  test("gives the job back when the loop is left, before what follows the loop", async () => {
    await using parts = await scene();
    const { queue, connect } = parts;
    await queue.push(["a", "b"], { closes: true });
    for await (const _job of queue) break;
    expect(await queue.info()).toMatchObject({ depth: 2, inFlight: 0 });
    expect(await drain(connect().queue("specs"))).toEqual(["a/2", "b/1"]);
  });

  test("leaves alone a job that was ended in the body", async () => {
    await using parts = await scene();
    const { queue } = parts;
    await queue.push(["acked", "failed", "harmless"], { closes: true });
    const seen: string[] = [];
    for await (const job of queue) {
      seen.push(`${job.id}/${job.attempt}`);
      if (job.id === "acked") expect(await job.ack()).toBe(true);
      if (job.id === "failed" && job.attempt === 1) expect(await job.nack({ reason: "flaky" })).toBe(true);
      if (job.id === "harmless") {
        expect(await job.giveBack()).toBe(true);
        break;
      }
    }
    expect(seen).toEqual(["acked/1", "failed/1", "failed/2", "harmless/1"]);
    expect(await drain(queue)).toEqual(["harmless/1"]);
    expect(await queue.info()).toMatchObject({ done: 3, dead: 0 });
  });

  test("waits until a signal ends it, and throws its reason", async () => {
    await using parts = await scene();
    const { client, queue } = parts;
    const abort = new AbortController();
    const looping = failureOf(drain(client.queue("specs", { signal: abort.signal })));
    await until(async () => (await queue.info()).waiting === 1);
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await looping).toBe(reason);
    await until(async () => (await queue.info()).waiting === 0);
    expect(await failureOf(drain(client.queue("specs", { waitMs: 1 })))).toMatchObject({ code: "timeout" });
  });

  test("acks the job at whose end the signal says stop, takes no other, and throws the reason", async () => {
    await using parts = await scene();
    const { client, queue } = parts;
    await queue.push(["a", "b"]);
    const abort = new AbortController();
    const reason = new Error("enough");
    const looping = async (): Promise<void> => {
      for await (const _job of client.queue("specs", { signal: abort.signal })) abort.abort(reason);
    };
    expect(await failureOf(looping())).toBe(reason);
    expect(await queue.info()).toMatchObject({ depth: 1, inFlight: 0, done: 1 });
  });

  test("gives the next job back unharmed when the ack before it is refused", async () => {
    const refusal = new EphemeralError("internal", "no");
    const [taken, next] = ["a", "b"].map((id, index) => ({ id, data: id, attempt: 1, fence: index + 1 }));
    const said: string[] = [];
    const answers = [{ jobs: [taken] }, refusal, { jobs: [next] }, {}];
    const connection = {
      codec: { fromMember: (data: unknown) => data },
      handles: { jobs: new Map() },
      call: async ({
        command,
        read,
      }: {
        command: { action: string; pass?: boolean };
        read?: (reply: unknown) => unknown;
      }) => {
        said.push(`${command.action}${command.pass ? " pass" : ""}`);
        const answer = answers[said.length - 1];
        if (answer instanceof Error) throw answer;
        return read?.(answer);
      },
    };
    const parts = { connection, clock: systemClientClock, name: "specs", options: {} };
    // As much of a connection as a loop has to do with.
    const looping = Array.fromAsync(new Jobs(parts as unknown as JobsParts).all());
    expect(await failureOf(looping)).toBe(refusal);
    await until(() => said.length === 4);
    expect(said).toEqual(["queue.take", "queue.ack", "queue.take", "queue.nack pass"]);
  });

  test("waits for no other job when the ack before it is refused", async () => {
    const refusal = new EphemeralError("internal", "no");
    const answers = [{ jobs: [{ id: "a", data: "a", attempt: 1, fence: 1 }] }, refusal];
    const unanswered = Promise.withResolvers<AbortSignal>();
    const connection = {
      codec: { fromMember: (data: unknown) => data },
      handles: { jobs: new Map() },
      call: async ({ read, signal }: { read: (reply: unknown) => unknown; signal: AbortSignal }) => {
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        if (answer !== undefined) return read(answer);
        unanswered.resolve(signal);
        return new Promise(() => {});
      },
    };
    const parts = { connection, clock: systemClientClock, name: "specs", options: {} };
    // As much of a connection as a loop has to do with.
    expect(await failureOf(Array.fromAsync(new Jobs(parts as unknown as JobsParts).all()))).toBe(refusal);
    expect((await unanswered.promise).aborted).toBe(true);
  });

  test("redelivers what a client had that goes away", async () => {
    await using parts = await scene();
    const { queue, connect } = parts;
    await queue.push(["a", "b"], { closes: true });
    const other = connect();
    const job = await take(other.queue("specs"));
    other.close();
    expect(job.lost.aborted).toBe(true);
    expect(await job.ack()).toBe(false);
    expect((await drain(queue)).toSorted()).toEqual(["a/2", "b/1"]);
  });
});

describe("Client.queue().push()", () => {
  test.each([
    ["json", {}],
    ["msgpack", { codec: msgpack }],
  ])("hands data over whatever it is: %s", async (_codec, options: ClientOptions) => {
    await using parts = await scene();
    const datas = [null, 0, "é€", [1, { a: Uint8Array.of(0, 255) }], { $binary: "AA==" }, new Uint8Array(0), false];
    for (const codec of [undefined, msgpack]) {
      const name = `for ${codec === undefined ? "json" : "msgpack"}`;
      const items = datas.map((data) => ({ data }));
      await parts.connect(options).queue(name).push(items, { closes: true });
      const seen: unknown[] = [];
      for await (const job of parts.connect({ codec }).queue(name)) seen.push(job.data);
      expect(seen).toEqual(datas);
    }
  });

  test("pushes more than a frame holds, in order, and closes behind the last", async () => {
    await using parts = await scene();
    const { queue } = parts;
    const large = "é".repeat(60_000);
    const items = Array.from({ length: 30 }, (_, index) => ({ id: `job-${index}`, data: large }));
    expect(await queue.push(items, { closes: true })).toBe(30);
    const many = Array.from({ length: 12_000 }, (_, index) => `${index}`);
    expect(await parts.client.queue("many").push(many)).toBe(12_000);
    expect(await drain(queue)).toEqual(items.map(({ id }) => `${id}/1`));
    expect((await take(parts.client.queue("many"))).id).toBe("0");
  });

  test("refuses data that is none, and what no value can be, before anything is sent", async () => {
    await using parts = await scene();
    const { queue } = parts;
    for (const data of [undefined, new Map(), 1n]) {
      expect(await failureOf(queue.push(["a", { data }]))).toMatchObject({ code: "bad_command" });
    }
    expect(await queue.info()).toMatchObject({ depth: 0 });
  });

  test("to a closed queue is refused for new jobs, and harmless for old ones", async () => {
    await using parts = await scene();
    const { queue } = parts;
    await queue.push(["a"]);
    expect(await queue.close()).toEqual({ depth: 1, inFlight: 0, dead: 0, done: 0, closed: true });
    expect(await queue.push(["a"], { closes: true })).toBe(0);
    expect(await failureOf(queue.push(["b"]))).toMatchObject({ code: "bad_command" });
  });
});

describe("Job", () => {
  test("is renewed by itself while its process runs, many times as long as ackMs", async () => {
    await using parts = await scene();
    const { client, queue } = parts;
    await queue.push(["a"], { closes: true });
    const deadlines = new Set<unknown>();
    for await (const job of client.queue("specs", { ackMs: 150 })) {
      await until(async () => {
        const [holder] = (await client.why("specs")).holders;
        deadlines.add(holder?.expiresAtMs);
        return deadlines.size === 8;
      });
      expect([job.attempt, job.lost.aborted]).toEqual([1, false]);
    }
    expect(await queue.info()).toMatchObject({ done: 1 });
  });

  test("tells when it is lost, and the loop goes on with the next", async () => {
    await using parts = await scene();
    const { client, queue, connect } = parts;
    await queue.push(["a"], { closes: true });
    const seen: unknown[] = [];
    for await (const job of client.queue("specs", { ackMs: 30 })) {
      seen.push(job.attempt);
      if (job.attempt > 1) continue;
      const lost = new Promise((resolve) => job.lost.addEventListener("abort", resolve));
      // Somebody who guesses, or was told, ends our taking.
      await nackByFence(connect(), job);
      await lost;
      expect(job.lost.reason).toMatchObject({
        code: "unavailable",
        message: 'Lost job "a" of queue "specs": it has gone back',
      });
      expect(await job.ack()).toBe(false);
    }
    expect(seen).toEqual([1, 2]);
  });
});

/** Says `queue.nack` for a job somebody else has. */
async function nackByFence(client: Client, job: Job): Promise<void> {
  using line = await lineClient(client.pipe);
  const nack = { action: "queue.nack", queue: "specs", job: job.id, fence: job.fence };
  expect(await line.ask(nack)).toEqual({ ok: true });
}

describe("a client that is cut off and comes back to its session", () => {
  test("keeps its job and acks it", async () => {
    await using scene = await Scene.open();
    const queue = scene.client.queue("specs");
    await queue.push(["a"], { closes: true });
    const seen: string[] = [];
    for await (const job of queue) {
      await scene.cut();
      await until(() => scene.client.state === "connected");
      expect(job.lost.aborted).toBe(false);
      seen.push(`${job.id}/${job.attempt}`);
    }
    expect([seen, scene.lost]).toEqual([["a/1"], []]);
    expect(await scene.watcher.queue("specs").info()).toMatchObject({ done: 1 });
  });

  test.each([
    ["before the command", { direction: "toBroker", afterBytes: 0 }],
    ["before the reply", { direction: "toClient", afterBytes: 0 }],
    ["in the middle of the reply", { direction: "toClient", afterBytes: 9 }],
  ] as const)("takes, and acks, each job once when cut %s", async (_where, cut) => {
    await using scene = await Scene.open();
    const queue = scene.client.queue("specs");
    await queue.push(["a", "b", "c"], { closes: true });
    await scene.client.ping();
    const seen: string[] = [];
    scene.flaky.current.arm(cut);
    for await (const job of queue) {
      seen.push(`${job.id}/${job.attempt}`);
      scene.flaky.current.arm(cut);
      expect(await job.ack()).toBe(true);
      scene.flaky.current.arm(cut);
    }
    expect(seen).toEqual(["a/1", "b/1", "c/1"]);
    expect(await scene.watcher.queue("specs").info()).toMatchObject({ done: 3, inFlight: 0, dead: 0 });
    expect(scene.lost).toEqual([]);
  });

  test("learns of a job that was lost meanwhile", async () => {
    await using scene = await Scene.open();
    const queue = scene.client.queue("specs");
    await queue.push(["a"], { closes: true });
    const job = await take(queue);
    await nackByFence(scene.watcher, job);
    await scene.cut();
    await scene.client.ping();
    expect([job.lost.aborted, await job.ack()]).toEqual([true, false]);
    expect(await drain(queue)).toEqual(["a/2"]);
  });

  test("gives back unharmed what it was given after its caller had gone", async () => {
    await using scene = await Scene.open();
    const abort = new AbortController();
    const looping = failureOf(drain(scene.client.queue("specs", { signal: abort.signal })));
    await until(async () => (await scene.watcher.queue("specs").info()).waiting === 1);
    const pushed = scene.watcher.queue("specs").push(["a"], { closes: true });
    abort.abort(new Error("enough"));
    await Promise.all([looping, pushed]);
    expect(await drain(scene.watcher.queue("specs"))).toEqual(["a/1"]);
  });
});
