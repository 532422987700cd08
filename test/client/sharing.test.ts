import { describe, expect, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { until } from "../support/until.ts";

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => ({ resolvedTo: value }),
    (error: unknown) => error,
  );

async function scene() {
  const stack = new AsyncDisposableStack();
  const broker = stack.use(await testBroker());
  const connect = (label: string): Client => stack.use(new Client(broker.pipe, { label }));
  return { a: connect("a"), b: connect("b"), c: connect("c"), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const waiting = (client: Client, name: string, count: number): Promise<void> =>
  until(async () => (await client.why(name).catch(() => undefined))?.waitersCount === count);

describe("Client.rateLimit()", () => {
  test("lets pass at once what the limit allows, and the next when there is room", async () => {
    await using parts = await scene();
    const { a, b } = parts;
    const rate = { limit: 3, windowMs: 150 };
    const first = await a.rateLimit("api", { ...rate, cost: 2 });
    expect(first).toEqual({ remaining: 1, resetAtMs: expect.any(Number) });
    await b.rateLimit("api", rate);
    const next = await b.rateLimit("api", rate);
    expect(next.resetAtMs - first.resetAtMs).toBeGreaterThanOrEqual(150);
  });

  test("without time to wait is refused, and told when to come again", async () => {
    await using parts = await scene();
    const rate = { limit: 1, windowMs: 60_000 };
    await parts.a.rateLimit("api", rate);
    const failure = await failureOf(parts.b.rateLimit("api", { ...rate, waitMs: 0 }));
    expect(failure).toMatchObject({ code: "rate_limited", retryable: true });
    expect((failure as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(55_000);
    const abort = new AbortController();
    const gone = failureOf(parts.b.rateLimit("api", { ...rate, signal: abort.signal }));
    await waiting(parts.a, "api", 1);
    abort.abort(new Error("enough"));
    expect(await gone).toMatchObject({ message: "enough" });
    await waiting(parts.a, "api", 0);
  });

  test("after penalize() nobody passes before it ends", async () => {
    await using parts = await scene();
    const { a, b } = parts;
    await a.penalize("api", 60_000);
    const rate = { limit: 5, windowMs: 10 };
    expect(await failureOf(b.rateLimit("api", { ...rate, waitMs: 20 }))).toMatchObject({ code: "timeout" });
    expect(await failureOf(b.rateLimit("api", { ...rate, waitMs: 0 }))).toMatchObject({ code: "rate_limited" });
  });
});

describe("Client.barrier()", () => {
  test("resolves for all when all have come, to how many came before", async () => {
    await using parts = await scene();
    const { a, b, c } = parts;
    const first = a.barrier("ready", 3);
    await waiting(c, "ready", 1);
    const second = b.barrier("ready", 3);
    await waiting(c, "ready", 2);
    expect(await Promise.all([c.barrier("ready", 3), second, first])).toEqual([2, 1, 0]);
  });

  test("names who went away while waiting, by its signal or its time", async () => {
    await using parts = await scene();
    const { a, b, c } = parts;
    const abort = new AbortController();
    const gone = failureOf(a.barrier("ready", 3, { signal: abort.signal }));
    const stays = failureOf(b.barrier("ready", 3));
    await waiting(c, "ready", 2);
    abort.abort(new Error("enough"));
    expect(await gone).toMatchObject({ message: "enough" });
    expect(await stays).toMatchObject({ code: "barrier_broken", details: { left: "a" } });
    expect(await failureOf(a.barrier("other", 2, { waitMs: 1 }))).toMatchObject({
      code: "timeout",
      message: 'Timed out after 1 ms waiting at barrier "other": 1 of 2 came (a), 1 never came',
    });
  });

  test("with join does not wait, and makes the end of this client known to those who do", async () => {
    await using parts = await scene();
    const { a, b } = parts;
    expect(await a.barrier("ready", 2, { join: true })).toBe(0);
    const stays = failureOf(b.barrier("ready", 2));
    await waiting(a, "ready", 1);
    a.close();
    expect(await stays).toMatchObject({ message: 'Cannot pass barrier "ready": a ended before it came' });
  });
});
