import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Client } from "../../src/client/client.ts";
import { PipeTransport } from "../../src/client/transports/pipe-transport.ts";
import type { Transport } from "../../src/client/transports/transport.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { ManualClientClock } from "../support/manual-client-clock.ts";
import { scriptedBroker } from "../support/scripted-broker.ts";

/** What a page without its network gets of an import. */
const notLoaded = new TypeError("Failed to fetch dynamically imported module");

const reasonOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

describe("Client, where what dials cannot be loaded,", () => {
  // It was closed for good by the first import that failed, and every call with it.
  test("tries again, and sends what waited", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    const dials = [Promise.reject(notLoaded), Promise.reject(notLoaded), new PipeTransport(broker.pipe)];
    using client = new Client(broker.pipe, { clock, dial: () => dials.shift() as Transport | Promise<Transport> });
    const value = client.get("k");
    for (const state of ["reconnecting", "reconnecting"] as const) {
      expect(await clock.reconnectPlanned()).toBe(1000);
      expect(client.state).toBe(state);
      clock.advance(1000);
    }
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { value: 7, version: 1 });
    expect(await value).toBe(7);
  });

  test("says so when the time is over, and stops", async () => {
    const clock = new ManualClientClock();
    using client = new Client("/run/sock", { clock, timeoutMs: 1500, dial: () => Promise.reject(notLoaded) });
    const set = reasonOf(client.set("k", 1));
    clock.advance(await clock.reconnectPlanned());
    await clock.reconnectPlanned();
    clock.advance(500);
    const error = await set;
    expect(error).toMatchObject({ code: "unavailable", retryable: true });
    expect(error).not.toHaveProperty("details");
    expect((error as Error).message).toContain(`no broker at /run/sock within 1500 ms (${notLoaded.message})`);
    expect([client.state, clock.reconnectsInMs]).toEqual(["disconnected", []]);
  });
});

/** A `Client` of a bundle in which what follows a loss cannot be loaded. */
async function clientWithoutRecovery(directory: string): Promise<typeof Client> {
  const unloadable: Bun.BunPlugin = {
    name: "unloadable",
    setup: (build) =>
      void build.onLoad({ filter: /connection\/recovery\.ts$/ }, () => ({
        contents: `throw new TypeError(${JSON.stringify(notLoaded.message)}); export const Recovery = undefined;`,
      })),
  };
  const entry = join(import.meta.dir, "../../src/client/client.ts");
  await Bun.build({
    entrypoints: [entry],
    outdir: directory,
    naming: "client.js",
    target: "bun",
    plugins: [unloadable],
  });
  return (await import(join(directory, "client.js"))).Client;
}

describe("Client, where what follows a loss cannot be loaded,", () => {
  // A local client's transport keeps the process alive: it did for ever, as nobody opened it nor closed it.
  test("closes what was dialled beside it, also later, and tries again", async () => {
    using directory = temporaryDirectory();
    const Bundled = await clientWithoutRecovery(directory.path);
    const clock = new ManualClientClock();
    const told: string[] = [];
    const [open, close] = [() => told.push("opened"), () => told.push("closed")];
    const transport: Transport = { endpoint: "", unsentBytes: 0, open, close, send() {}, ref() {}, unref() {} };
    const late = Promise.withResolvers<Transport>();
    const dials = [transport, late.promise];
    using client = new Bundled("/run/sock", { clock, dial: () => dials.shift() as Transport | Promise<Transport> });
    client.get("k").catch(() => {});
    expect(await clock.reconnectPlanned()).toBe(1000);
    expect(told).toEqual(["closed"]);
    clock.advance(1000);
    expect(client.state).toBe("connecting");
    late.resolve(transport);
    await clock.reconnectPlanned();
    expect(told).toEqual(["closed", "closed"]);
  });
});

describe("Client, while what dials is being loaded,", () => {
  /** A client that dials until the test says what comes of it. */
  function dialling(pipe: string) {
    const clock = new ManualClientClock();
    const { promise, resolve } = Promise.withResolvers<Transport>();
    return { clock, client: new Client(pipe, { clock, timeoutMs: 100, dial: () => promise }), dialled: resolve };
  }

  test("keeps its time limits, and is connected for whoever comes later", async () => {
    await using broker = await scriptedBroker();
    const { clock, client, dialled } = dialling(broker.pipe);
    const [late, waiting] = [reasonOf(client.get("late")), reasonOf(client.get("waiting", { waitMs: -1 }))];
    clock.advance(100);
    for (const error of await Promise.all([late, waiting])) {
      expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("it does not answer") });
    }
    const value = client.get("k");
    dialled(new PipeTransport(broker.pipe));
    const connection = await broker.greeted();
    const get = await connection.next();
    connection.answer(get, { value: 7, version: 1 });
    expect([get.key, await value]).toEqual(["k", 7]);
    client.close();
  });

  test("lets its callers go", async () => {
    const { client } = dialling("/run/sock");
    const controller = new AbortController();
    const get = reasonOf(client.get("k", { signal: controller.signal }));
    controller.abort("enough");
    expect(await get).toBe("enough");
    client.close();
  });

  test("closes at once, and closes what was dialled all the same without opening it", async () => {
    const { client, dialled } = dialling("/run/sock");
    const get = reasonOf(client.get("k"));
    client.close();
    expect([await get, client.state]).toMatchObject([{ code: "cancelled" }, "closed"]);
    const told = Promise.withResolvers<string>();
    const [open, close] = [() => told.resolve("opened"), () => told.resolve("closed")];
    dialled({ endpoint: "", unsentBytes: 0, open, close, send() {}, ref() {}, unref() {} });
    expect(await told.promise).toBe("closed");
  });

  // Its session was taken for lost some time after that, and the caller told of what he had given up himself.
  test("hears nothing of a dial that fails after it was closed", async () => {
    await using broker = await scriptedBroker();
    const clock = new ManualClientClock();
    const again = Promise.withResolvers<Transport>();
    const dials = [new PipeTransport(broker.pipe), again.promise];
    const lost: unknown[] = [];
    const dial = (): Transport | Promise<Transport> => dials.shift() as Transport | Promise<Transport>;
    const options = { clock, dial, lingerMs: 3000, onLost: (holds: unknown) => lost.push(holds) };
    const client = new Client(broker.pipe, options);
    const lease = client.lease("accounts", "w1");
    const connection = await broker.greeted();
    connection.answer(await connection.next(), { value: 0, fence: 1 });
    expect(await lease).toBe(0);
    const cut = new Promise((resolve) => client.onState((state) => state === "reconnecting" && resolve(state)));
    connection.cut();
    await cut;
    clock.advance(1000);
    expect(dials).toEqual([]);
    client.close();
    again.reject(notLoaded);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(3000);
    await new Promise((resolve) => setImmediate(resolve));
    expect([lost, clock.alarmsCount]).toEqual([[], 0]);
  });
});
