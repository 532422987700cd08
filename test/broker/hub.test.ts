/** The hub over an engine that answers later, as one does that is asked over a wire. */
import { describe, expect, test } from "bun:test";
import { Hub } from "../../src/broker/channels/hub.ts";
import type { Subscriber } from "../../src/broker/channels/subscription.ts";
import { PushStream, type PushWay, type StreamOptions } from "../../src/broker/connections/push-stream.ts";
import { Session } from "../../src/broker/sessions/session.ts";
import type { ChannelEngine } from "../../src/engine/channels.ts";
import { MemoryEngine } from "../../src/engine/memory/memory-engine.ts";
import type { Encoded } from "../../src/protocol/commands.ts";
import { jsonCodec } from "../../src/protocol/json.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { ManualClock } from "../support/manual-clock.ts";

const codec = jsonCodec(() => undefined);
const channel = "c";

/** A hub over an engine whose answers to `subscribe` come when they are let go. */
function scene({ heldMax = 1000 } = {}) {
  const clock = new ManualClock();
  const limits = { ...defaultLimits, historyCountMax: heldMax };
  const engine = new MemoryEngine({ clock, limits: defaultLimits });
  const gate = Promise.withResolvers<void>();
  let nextGate = gate;
  const late: ChannelEngine = {
    publish: (request, caller) => engine.channels.publish(request, caller),
    // What it answers is what stood when it was asked.
    history: (request) => {
      const read = engine.channels.history(request);
      return nextGate.promise.then(() => read);
    },
    attach: async (name) => engine.channels.attach(name),
    detach: (name) => engine.channels.detach(name),
    list: (request) => engine.channels.list(request),
    onPublication: (listener) => engine.channels.onPublication(listener),
  };
  const asked = new Proxy(engine, {
    get: (target, name) => (name === "channels" ? late : Reflect.get(target, name)),
  });
  const hub = new Hub({ engine: asked, limits, clock });
  const pushed: number[] = [];
  const subscriber: Subscriber = {
    isOver: false,
    codec,
    session: new Session({ id: "s1", door: "pipe", startedAtMs: 0, peerPid: undefined }),
    openStream: (options: StreamOptions) => {
      const way: PushWay = {
        latestMax: 1,
        encode: () => "",
        offer: (frame) => {
          for (const line of String(frame).trim().split("\n")) pushed.push(JSON.parse(line).offset);
          return true;
        },
        close: () => {},
        behind: () => {},
      };
      return new PushStream(way, options);
    },
  };
  const publish = (count: number) => {
    const request = { channel, data: "1", serial: undefined, key: undefined, trace: undefined, exceptSelf: false };
    let last = { epoch: "", offset: 0 };
    for (let message = 0; message < count; message++) last = engine.channels.publish(request, { id: "w", label: "" });
    return last;
  };
  /** What is asked from now on is answered when the gate it returns is let go. */
  const gateAnew = () => {
    nextGate = Promise.withResolvers<void>();
    return nextGate;
  };
  return { hub, subscriber, publish, pushed, gate, gateAnew };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** The broker's own side of a reply: its messages are encoded already. */
const offsetsOf = (messages: unknown): readonly number[] =>
  ((messages as Encoded).data as readonly { offset: number }[]).map(({ offset }) => offset);

describe("Hub.subscribe() with an engine that answers later", () => {
  test("answers what was before and what came meanwhile, once, and pushes what comes after", async () => {
    const { hub, subscriber, publish, pushed, gate } = scene();
    const { epoch } = publish(3);
    const answer = hub.subscribe(subscriber, { channel, recover: { epoch, offset: 1 } });
    publish(1);
    await turn();
    publish(2);
    await turn();
    gate.resolve();
    const { messages, ...reply } = await answer;
    expect(reply).toMatchObject({ epoch, offset: 6, recovered: true });
    expect(offsetsOf(messages)).toEqual([2, 3, 4, 5, 6]);
    publish(2);
    await turn();
    expect(pushed).toEqual([7, 8]);
  });

  test("recovers nothing when more came meanwhile than it holds", async () => {
    const { hub, subscriber, publish, pushed, gate } = scene({ heldMax: 3 });
    const { epoch } = publish(2);
    const answer = hub.subscribe(subscriber, { channel, recover: { epoch, offset: 2 } });
    await turn();
    publish(4);
    await turn();
    gate.resolve();
    const { messages, ...reply } = await answer;
    expect(reply).toMatchObject({ offset: 6, recovered: false });
    expect(offsetsOf(messages)).toEqual([]);
    publish(1);
    await turn();
    expect(pushed).toEqual([7]);
  });

  test("pushes what is published in the tick of the engine's answer behind the reply, once", async () => {
    const { hub, subscriber, publish, pushed, gate } = scene();
    const { epoch } = publish(1);
    const answer = hub.subscribe(subscriber, { channel, recover: { epoch, offset: 1 } });
    await turn();
    gate.resolve();
    publish(1);
    // The hub has the answer by now, and it is on its way to the connection.
    for (let hop = 0; hop < 2; hop++) await undefined;
    publish(30);
    const { messages, offset } = await answer;
    expect(pushed).toEqual([]);
    await turn();
    const told = [...offsetsOf(messages), ...pushed];
    expect([offset, told]).toEqual([told.length + 1 - pushed.length, Array.from({ length: 31 }, (_, at) => at + 2)]);
  });

  test("of two that overlap keeps the second when the first fails, and its presence", async () => {
    const { hub, subscriber, publish, pushed, gate, gateAnew } = scene();
    const first = Promise.resolve(hub.subscribe(subscriber, { channel })).catch((error: Error) => error.message);
    await turn();
    const second = gateAnew();
    const answer = hub.subscribe(subscriber, { channel, presence: true });
    await turn();
    gate.reject(new Error("the wire is cut"));
    expect(await first).toBe("the wire is cut");
    second.resolve();
    expect(await answer).toMatchObject({ offset: 0 });
    publish(1);
    await turn();
    expect([pushed, hub.attendance(channel)]).toEqual([[1], { subscribers: 1, members: 1 }]);
  });

  test("is over when the engine fails", async () => {
    const { hub, subscriber, gate } = scene();
    const answer = hub.subscribe(subscriber, { channel });
    expect(hub.size).toBe(1);
    gate.reject(new Error("the wire is cut"));
    expect(await Promise.resolve(answer).catch((error: Error) => error.message)).toBe("the wire is cut");
    expect(hub.size).toBe(0);
  });
});
