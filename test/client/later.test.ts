import { describe, expect, test } from "bun:test";
import { Client, type EphemeralError } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";

/** The client as plain JavaScript sees it: nothing says what a method takes. */
type Untyped = Record<string, (...given: unknown[]) => Promise<unknown>>;

const refusalOf = (promise: Promise<unknown> | undefined): Promise<EphemeralError | undefined> =>
  Promise.resolve(promise).then(
    () => undefined,
    (error) => error,
  );

describe("Client, in plain JavaScript,", () => {
  // What was none stood at the broker as a listener, and nobody ever heard why nothing came.
  test.each(["subscribe", "watch", "serve", "onEvent", "once"])(
    "refuses %s without a function, and asks nothing",
    async (method) => {
      using client = new Client("/nowhere/sock");
      const untyped = client as unknown as Untyped;
      const wanted = `Cannot ${method}: wanted a function, got`;
      expect(await refusalOf(untyped[method]?.("name"))).toMatchObject({
        code: "bad_command",
        message: `${wanted} undefined`,
      });
      expect(await refusalOf(untyped[method]?.("name", { history: 1 }))).toMatchObject({ message: `${wanted} object` });
      expect(client.state).toBe("disconnected");
    },
  );

  test.each([
    ["ttl", (client: Client) => client.set("k", 1, Number.NaN)],
    ["version", (client: Client) => client.del("k", { version: Number.POSITIVE_INFINITY })],
    ["waitMs", (client: Client) => client.get("k", { waitMs: Number.NaN })],
  ])("names what is no number where JSON would say null: %s", async (name, say) => {
    using client = new Client("/nowhere/sock");
    const refusal = await refusalOf(say(client));
    expect(refusal?.message).toMatch(new RegExp(`^Cannot send command: wanted a finite ${name}, got (NaN|Infinity)$`));
  });

  // Waited for ever, for somebody to define the pool: JSON has no NaN.
  test("refuses seats that are no number, as of a variable that is not set", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    const untyped = client as unknown as Untyped;
    const wanted = {
      code: "bad_command",
      message: expect.stringContaining('Cannot read field "size": wanted an integer'),
    };
    expect(await refusalOf(client.semaphore("s", Number.NaN))).toMatchObject(wanted);
    expect(await refusalOf(client.withSeat("s", Number.NaN, () => 0))).toMatchObject(wanted);
    expect(await refusalOf(untyped.semaphore?.("s"))).toMatchObject(wanted);
  });

  // It was a job of each of its characters.
  test("pushes a text as one job", async () => {
    await using broker = await testBroker();
    using client = new Client(broker.pipe);
    expect(await client.queue("q").push("specs/login")).toBe(1);
    for await (const { data } of client.queue("q")) {
      expect(data).toBe("specs/login");
      break;
    }
  });
});
