import { describe, expect, spyOn, test } from "bun:test";
import { join } from "node:path";
import { brokerConfig } from "../../src/broker/config.ts";
import { Dispatcher } from "../../src/broker/dispatcher.ts";
import type { Invocation } from "../../src/broker/invocation.ts";
import type { Command } from "../../src/protocol/commands.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";
import { lineClient, testBroker } from "../support/broker.ts";
import { refusal } from "../support/refusal.ts";

type DispatcherOptions = ConstructorParameters<typeof Dispatcher>[0];

/** A dispatcher of one command, `ping`. */
function dispatcherOf(handle: (request: unknown, invocation: unknown) => unknown, access = "admitted"): Dispatcher {
  const table = { ping: { access, whileDraining: "served", handle } };
  // The gates look at nothing but the row of the command that is run.
  return new Dispatcher({ table, log: undefined, isDraining: () => false } as unknown as DispatcherOptions);
}

const ping = { action: "ping", id: 1, request: {} } as Command;
// The gates ask an invocation for nothing else.
const invocation = (isAdmitted: boolean): Invocation => ({ isAdmitted }) as Invocation;

describe("Dispatcher.run()", () => {
  test("hands the request and the invocation to the handler and returns its plain answer as it is", () => {
    const seen: unknown[] = [];
    const dispatcher = dispatcherOf((request, invocation) => {
      seen.push(request, invocation);
      return { pong: 5 };
    });
    const admitted = invocation(true);
    const answer: unknown = dispatcher.run(ping, admitted);
    expect(answer).toEqual({ pong: 5 });
    expect(seen).toEqual([ping.request, admitted]);
  });

  test("hands on a promise, kept or broken", async () => {
    expect(await dispatcherOf(async () => ({ pong: 5 })).run(ping, invocation(true))).toEqual({ pong: 5 });
    const broken = dispatcherOf(async () => {
      throw new EphemeralError("timeout", "Timed out");
    });
    await expect(Promise.resolve(broken.run(ping, invocation(true)))).rejects.toMatchObject({ code: "timeout" });
  });

  test("refuses who is not admitted before the handler is asked, unless anyone may", () => {
    const error = refusal(() => dispatcherOf(() => expect.unreachable()).run(ping, invocation(false)));
    expect(error.code).toBe("auth_failed");
    const answer: unknown = dispatcherOf(() => ({ pong: 5 }), "anyone").run(ping, invocation(false));
    expect(answer).toEqual({ pong: 5 });
  });

  test("counts runs and, through refusal(), errors", () => {
    const dispatcher = dispatcherOf(() => ({ pong: 5 }));
    dispatcher.run(ping, invocation(true));
    dispatcher.run(ping, invocation(true));
    refusal(() => dispatcher.run(ping, invocation(false)));
    dispatcher.refusal(new EphemeralError("auth_failed", "no"), { id: 1, action: "ping" });
    // What was no command counts for none.
    dispatcher.refusal(new EphemeralError("invalid_json", "no"), { id: undefined });
    expect([...dispatcher.counts]).toEqual([["ping", { total: 3, errors: 1 }]]);
  });
});

describe("Dispatcher.refusal()", () => {
  const dispatcher = dispatcherOf(() => expect.unreachable());

  test("keeps a known error: code, message, retryable, retryAfterMs, details, and no more", () => {
    const error = new EphemeralError("rate_limited", "Cannot go on", { retryAfterMs: 5, details: { limit: 1 } });
    expect(dispatcher.refusal(error, { id: 7 })).toEqual({
      id: 7,
      ok: false,
      error: "rate_limited",
      message: "Cannot go on",
      retryable: true,
      retryAfterMs: 5,
      details: { limit: 1 },
    });
    const plain = dispatcher.refusal(new EphemeralError("exists", "It is there"), { id: undefined });
    expect(Object.keys(plain)).toEqual(["ok", "error", "message"]);
  });

  test.each([
    ["a TypeError", new TypeError("hunter2 is not a function")],
    ["a broken invariant", new Error("Invariant broken: hunter2")],
    ["a thrown string", "hunter2"],
    ["a thrown undefined", undefined],
  ])("answers %s with internal and not a word of it, and tells of it once", (_what, error) => {
    const said = spyOn(console, "error").mockImplementation(() => {});
    try {
      const reply = dispatcher.refusal(error, { id: 0, action: "ping" });
      expect(reply).toEqual({
        id: 0,
        ok: false,
        error: "internal",
        message: expect.stringContaining("Cannot run ping"),
      });
      expect(JSON.stringify(reply)).not.toContain("hunter2");
      expect(said).toHaveBeenCalledTimes(1);
    } finally {
      said.mockRestore();
    }
  });
});

describe("the command table", () => {
  test("has a row for every action the parser knows, and none answers internal to an empty command", async () => {
    await using broker = await testBroker();
    const actions =
      "set get del list lease release once once.resolve once.reject cancel challenge hello ping stats health metrics ps";
    for (const action of actions.split(" ")) {
      using client = await lineClient(broker.pipe);
      const reply = await client.ask({ id: 1, action });
      expect(reply.id).toBe(1);
      expect([action, reply.error]).not.toEqual([action, "internal"]);
      expect([action, reply.error]).not.toEqual([action, "unknown_action"]);
    }
  });
});

describe("brokerConfig()", () => {
  const runRoot = join("/", "nowhere");

  test("fills in the defaults and freezes the whole", () => {
    const config = brokerConfig({ runRoot, limits: { itemsMax: 5 } });
    expect(config).toMatchObject({ runRoot, requireTtl: true, defaultTtlMs: 1_800_000 });
    expect(config.secret).toBeUndefined();
    expect(config.limits.itemsMax).toBe(5);
    expect([Object.isFrozen(config), Object.isFrozen(config.limits)]).toEqual([true, true]);
  });

  test.each([
    ["an empty secret", { secret: "" }, "the secret is empty"],
    ["a default ttl of 0", { defaultTtlMs: 0 }, "default ttl is 0 ms"],
    ["a fractional default ttl", { defaultTtlMs: 1.5 }, "default ttl is 1.5 ms"],
    ["a default ttl over 30 days", { defaultTtlMs: 2_592_000_001 }, "wanted 1 to 2592000000"],
  ])("refuses %s as bad_command", (_what, options, text) => {
    const error = refusal(() => brokerConfig({ runRoot, ...options }));
    expect(error.code).toBe("bad_command");
    expect(error.message).toContain(text);
  });

  test("refuses bounds that contradict each other", () => {
    expect(() => brokerConfig({ runRoot, limits: { valueBytesMax: 2 * 1024 * 1024 } })).toThrow("valueBytesMax");
  });
});
