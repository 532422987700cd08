/**
 * Requests between processes that die, hang, stop and come back: whoever asks is always told, nobody is asked twice, and the
 * others get what a dead one would have got.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { flakySocket } from "../support/flaky-socket.ts";
import { type LineProcess, lineProcess } from "../support/line-process.ts";
import { quickClock } from "../support/quick-clock.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(30_000);

interface Responder extends LineProcess {
  readonly session: string;
}

/** A broker, a client that asks, and processes that answer. */
class Scene implements AsyncDisposable {
  readonly client: Client;
  readonly pipe: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(stack: AsyncDisposableStack, pipe: string) {
    this.#stack = stack;
    this.pipe = pipe;
    this.client = stack.use(new Client(pipe, { label: "asker" }));
  }

  static async open(): Promise<Scene> {
    const stack = new AsyncDisposableStack();
    const { pipe } = stack.use(await testBroker({ limits: { waitsPerSessionMax: 1000 } }));
    return new Scene(stack, pipe);
  }

  start(label: string, part: "serve" | "ask"): LineProcess {
    const told = { pipe: this.pipe, label, part };
    return this.#stack.use(lineProcess("responder-main.ts", [JSON.stringify(told)]));
  }

  async responders(...labels: readonly string[]): Promise<readonly Responder[]> {
    return Promise.all(
      labels.map(async (label) => {
        const process = this.start(label, "serve");
        return Object.assign(process, { session: String((await process.next())?.session) });
      }),
    );
  }

  /** What the broker's gauge or counter says. */
  async count(name: string): Promise<number> {
    return Number(new RegExp(`^ephemeral_broker_${name} (\\d+)$`, "m").exec(await this.client.metrics())?.[1]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

const outcome = (asking: Promise<unknown>): Promise<unknown> =>
  asking.catch((error: { code?: unknown; details?: object }) => ({ code: error.code, ...error.details }));

/** How often each answer was given. */
function tally(answers: readonly unknown[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[`${answer}`] = (counts[`${answer}`] ?? 0) + 1;
  return counts;
}

describe("four processes that serve a method", () => {
  test("share 400 requests evenly while all are held, and none goes without while they are answered", async () => {
    await using scene = await Scene.open();
    const responders = await scene.responders("a", "b", "c", "d");
    const asked = Array.from({ length: 400 }, () => scene.client.request("m", "held"));
    await until(async () => (await scene.count("requests_unanswered")) === 400);
    for (const { session, next } of responders) {
      for (let request = 0; request < 100; request++) expect(await next()).toEqual({ asked: "held" });
      expect(await scene.client.send({ session }, "release")).toBe(1);
    }
    expect(tally(await Promise.all(asked))).toEqual({ a: 100, b: 100, c: 100, d: 100 });
    const quick = tally(await Promise.all(Array.from({ length: 400 }, () => scene.client.request("m"))));
    expect(Object.keys(quick).sort()).toEqual(["a", "b", "c", "d"]);
    expect(Math.min(...Object.values(quick))).toBeGreaterThan(20);
  });
});

describe("a responder's process", () => {
  test("killed in the middle: who asked is told at once, and the others serve on", async () => {
    await using scene = await Scene.open();
    const [victim] = await scene.responders("victim");
    const asking = [scene.client.request("m", "held"), scene.client.request("m", "held")].map(outcome);
    for (const _ of asking) await victim?.next();
    const [other] = await scene.responders("other");
    process.kill(victim?.pid ?? 0, "SIGKILL");
    const killedAtMs = performance.now();
    const lost = { code: "responder_failed", outcome: "unknown", session: victim?.session };
    expect(await Promise.all(asking)).toEqual([lost, lost]);
    expect(performance.now() - killedAtMs).toBeLessThan(2000);
    expect(await scene.client.request("m")).toBe("other");
    expect(await scene.count("responses_lost_total")).toBe(2);
    expect(other?.session).not.toBe(victim?.session);
  });

  test("hung: who asked is told who has had it; awake again its answer finds nobody, and the next is heard", async () => {
    await using scene = await Scene.open();
    const [sleeper] = await scene.responders("sleeper");
    process.kill(sleeper?.pid ?? 0, "SIGSTOP");
    const late = scene.client.request("m", "held", { waitMs: 100 });
    await expect(late).rejects.toMatchObject({ code: "timeout", details: { outcome: "unknown" } });
    await expect(late).rejects.toThrow(/session s\d+ \(sleeper\) has had request "m" for \d+ ms/);
    process.kill(sleeper?.pid ?? 0, "SIGCONT");
    expect(await sleeper?.next()).toEqual({ asked: "held" });
    await scene.client.send({ session: sleeper?.session ?? "" }, "release");
    expect(await scene.client.request("m")).toBe("sleeper");
  });

  test("that stops serving still answers what it has", async () => {
    await using scene = await Scene.open();
    const [leaver] = await scene.responders("leaver");
    const session = leaver?.session ?? "";
    const asking = scene.client.request("m", "held");
    await leaver?.next();
    await scene.client.send({ session }, "stop");
    expect(await leaver?.next()).toEqual({ stopped: true });
    expect(await outcome(scene.client.request("m"))).toEqual({ code: "no_responder" });
    await scene.client.send({ session }, "release");
    expect(await asking).toBe("leaver");
  });
});

describe("whoever asks", () => {
  test("killed in the middle is forgotten, and the responder serves on", async () => {
    await using scene = await Scene.open();
    const [responder] = await scene.responders("r");
    const asker = scene.start("victim", "ask");
    expect(await asker.next()).toEqual({ asking: true });
    expect(await responder?.next()).toEqual({ asked: "held" });
    expect(await scene.count("requests_unanswered")).toBe(1);
    process.kill(asker.pid, "SIGKILL");
    await until(async () => (await scene.count("requests_unanswered")) === 0);
    await scene.client.send({ session: responder?.session ?? "" }, "release");
    expect(await scene.client.request("m")).toBe("r");
  });
});

describe("a connection that is cut", () => {
  test.each([20_000, 0])(
    "while requests are under way, with lingerMs %d: all are told, and the method is there again",
    async (lingerMs) => {
      await using scene = await Scene.open();
      await using flaky = await flakySocket(scene.pipe);
      using responder = new Client(flaky.pipe, { label: "cut", lingerMs, clock: quickClock });
      let calls = 0;
      const released = Promise.withResolvers<void>();
      await responder.serve("m", async (data) => {
        calls++;
        await released.promise;
        return data;
      });
      const asking = [1, 2, 3].map((data) => outcome(scene.client.request("m", data)));
      await until(() => calls === 3);
      flaky.current.end();
      await until(() => responder.state !== "connected");
      await until(() => responder.state === "connected");
      released.resolve();
      const lost = { code: "responder_failed", outcome: "unknown", session: expect.any(String) };
      expect(await Promise.all(asking)).toEqual(lingerMs > 0 ? [1, 2, 3] : [lost, lost, lost]);
      expect(await scene.client.request("m", 4, { waitMs: 5000 })).toBe(4);
      expect(calls).toBe(4);
    },
  );
});
