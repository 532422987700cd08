import { describe, expect, jest, test } from "bun:test";
import { join } from "node:path";
import { Client, LocalBroker, localClient } from "../../src/local/local.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { runScript } from "../support/client-bundle.ts";
import { until } from "../support/until.ts";

/** A broker of this process, stopped at the end of its scope. */
function localBroker(options?: ConstructorParameters<typeof LocalBroker>[0]): LocalBroker & AsyncDisposable {
  const broker = new LocalBroker(options);
  return Object.assign(broker, { [Symbol.asyncDispose]: () => broker.stop() });
}

describe("LocalBroker", () => {
  test("its clients are like any other, and see each other", async () => {
    await using broker = localBroker();
    using client = broker.client({ label: "a.spec.ts" });
    using other = broker.client();
    expect(client).toBeInstanceOf(Client);
    await client.set("k", { bytes: Uint8Array.of(1, 255), text: "é€😀" });
    expect(await other.get("k")).toEqual({ bytes: Uint8Array.of(1, 255), text: "é€😀" });
    expect(await client.once("login", () => "token")).toBe("token");
    expect(await other.once<string>("login", () => expect.unreachable())).toBe("token");
    expect(await client.lease("ports", "w", 60_000)).toBe(0);
    expect((await other.ps()).map(({ label, pid }) => [label, pid])).toContainEqual(["a.spec.ts", process.pid]);
    await expect(client.get("absent")).rejects.toMatchObject({ code: "not_found" });
    await expect(client.get("absent", { waitMs: 20 })).rejects.toMatchObject({ code: "timeout" });
  });

  // `rejects` turns the event loop by itself. The answer before had come in an immediate, and one that is set within another then
  // lay there until anything else woke the process: most of a second here, and five in a process that had no other timer.
  test.each([
    ["", 1],
    [", also behind more than a connection's turn", 2000],
  ])("answers in a loop that the test runner turns%s", async (_what, others) => {
    await using broker = localBroker();
    using client = broker.client();
    await client.set("k", "x");
    const startedAtMs = performance.now();
    for (let round = 0; round < 10; round++) {
      await client.get("k");
      const before = Array.from({ length: others }, () => client.get("k"));
      await expect(client.get("absent")).rejects.toMatchObject({ code: "not_found" });
      await Promise.all(before);
    }
    expect(performance.now() - startedAtMs).toBeLessThan(2000);
  });

  // The second command found no timer to unref, within a timer of its own, and ended the process.
  test("answers where timers are numbers, as jsdom has them, and nothing is immediate", async () => {
    const scope = globalThis as { setTimeout: unknown; setInterval: unknown; setImmediate: unknown };
    const { setTimeout: once, setInterval: often, setImmediate: immediately } = globalThis;
    scope.setTimeout = (...timer: Parameters<typeof once>) => Number(once(...timer));
    scope.setInterval = (...timer: Parameters<typeof often>) => Number(often(...timer));
    scope.setImmediate = undefined;
    try {
      await using broker = localBroker();
      using client = broker.client();
      await client.set("k", "x");
      for (let round = 0; round < 1000; round++) expect(await client.get("k")).toBe("x");
    } finally {
      Object.assign(scope, { setTimeout: once, setInterval: often, setImmediate: immediately });
    }
  });

  // The timer that was to end a rest had been a fake one, and nothing of this broker was answered ever after.
  test("answers while a test's timers are fake, and when they are real again", async () => {
    await using broker = localBroker();
    using client = broker.client();
    await client.set("k", "x");
    // Behind the broker's own.
    await new Promise((resolve) => setTimeout(resolve, 1));
    jest.useFakeTimers();
    try {
      for (let round = 0; round < 1000; round++) expect(await client.get("k")).toBe("x");
    } finally {
      jest.useRealTimers();
    }
    for (let round = 0; round < 1000; round++) expect(await client.get("k")).toBe("x");
  });

  test("leaves the event loop to others, however busy it is kept", async () => {
    await using broker = localBroker();
    using client = broker.client();
    await client.set("k", "x");
    let turns = 0;
    const turn = (): unknown => ++turns < 50 && setImmediate(turn);
    setImmediate(turn);
    const startedAtMs = performance.now();
    while (turns < 50 && performance.now() - startedAtMs < 1000) await client.get("k");
    // With two timers at a time there were 8 turns in half a second, and on Node one.
    expect(turns).toBe(50);
  });

  test("turns pass on when a client is closed, and its handles are lost", async () => {
    await using broker = localBroker();
    using client = broker.client();
    using other = broker.client();
    const held = await client.lock("database", { ttl: 60_000 });
    const next = other.lock("database");
    await until(async () => (await other.why("database")).waitersCount === 1);
    client.close();
    expect((await next).fence).toBeGreaterThan(held.fence);
    expect(held.lost.aborted).toBe(true);
    expect(await other.withSeat("browsers", 2, ({ value }) => value)).toBe(0);
  });

  test("watches, and large values in many frames", async () => {
    await using broker = localBroker();
    using client = broker.client();
    const seen: string[] = [];
    await client.watch("k", ({ event }) => seen.push(event));
    const values = Array.from({ length: 200 }, (_, index) => `${index}`.repeat(20_000));
    await Promise.all(values.map((value, index) => client.set(`k${index}`, value)));
    expect(await Promise.all(values.map((_, index) => client.get<string>(`k${index}`)))).toEqual(values);
    await until(() => seen.length === 200);
  });

  test("keeps the bounds it is told, and refuses as a broker of its own does", async () => {
    await using broker = localBroker({ limits: { itemsMax: 1, connectionsMax: 1 } });
    using client = broker.client();
    await client.set("a", 1);
    await expect(client.set("b", 1)).rejects.toMatchObject({ code: "max_items" });
    using crowded = broker.client({ timeoutMs: 100 });
    await expect(crowded.ping()).rejects.toMatchObject({ code: "unavailable" });
  });

  test("stopped, it takes all it held along", async () => {
    const broker = new LocalBroker();
    using client = broker.client({ timeoutMs: 100 });
    await client.set("k", 1);
    const waiting = client.get("never", { waitMs: -1 }).catch((error: unknown) => error);
    await client.ping();
    await broker.stop();
    expect(await waiting).toMatchObject({ code: "unavailable" });
  });
});

describe("localClient()", () => {
  test("shares one broker with all of this process, and the environment's secret is not its own", async () => {
    process.env.EPHEMERAL_SECRET = "of another broker";
    try {
      using client = localClient();
      using other = localClient();
      await client.set("shared", 1);
      expect(await other.get<number>("shared")).toBe(1);
    } finally {
      delete process.env.EPHEMERAL_SECRET;
    }
  });
});

test.each(["node", "bun"])(
  "on %s: a process waits for its answers, and ends by itself while it holds",
  async (runtime) => {
    using directory = temporaryDirectory();
    const built = await Bun.build({
      entrypoints: [join(import.meta.dir, "../../src/local/local.ts")],
      outdir: directory.path,
      target: "node",
      format: "esm",
      naming: "local.mjs",
    });
    expect(built.success).toBe(true);
    const script = join(directory.path, "script.mjs");
    await Bun.write(
      script,
      `import { localClient } from "./local.mjs";
     // One that is closed before it has dialled keeps no process either.
     const closed = localClient();
     closed.ping().catch((error) => console.log(error.code));
     closed.close();
     const client = localClient();
     await client.get("k", { waitMs: 50 }).catch((error) => console.log(error.code));
     await client.pool("accounts").define([{ value: "ada" }]);
     const account = await client.acquire("accounts", { ttl: 60_000 });
     console.log(account.value, (await client.health()).status);`,
    );
    const command = runtime === "bun" ? process.execPath : runtime;
    expect(await runScript([command, script], "/nowhere")).toEqual({
      stdout: "cancelled\ntimeout\nada healthy\n",
      stderr: "",
      code: 0,
    });
  },
);
