/**
 * Random programs of publishing to audiences around the size of a crowd, which come, go, die and come back between two pieces
 * that are handed out: each subscriber hears every message once and in order, those it missed in the reply to its `subscribe`,
 * all of them when a rest is over and none behind the reply to its `unsubscribe`; and of a group somebody hears each, once.
 * EPHEMERAL_TEST_SEED runs a failure again.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { crowdMin } from "../../src/broker/channels/hand-out.ts";
import { brokerConfig } from "../../src/broker/config.ts";
import type { Connection } from "../../src/broker/connections/connection.ts";
import { assembleBroker } from "../../src/broker/core.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { announceSeed, testSeed } from "../support/random.ts";
import { isThorough } from "../support/thorough.ts";

const restMs = 2;
/** These hear all. */
const alone = crowdMin;
/** These share what there is, and the first of them stays. */
const sharing = 4;

const anyone = fc.nat(alone + sharing - 1);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ action: fc.constant("publish"), by: anyone, exceptSelf: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ action: fc.constantFrom("subscribe" as const, "unsubscribe" as const), by: anyone }),
  },
  { weight: 2, arbitrary: fc.record({ action: fc.constantFrom("die" as const, "hang up" as const), by: anyone }) },
  { weight: 2, arbitrary: fc.record({ action: fc.constant("wait"), ms: fc.nat(restMs) }) },
  { weight: 4, arbitrary: fc.record({ action: fc.constant("turn") }) },
  { weight: 1, arbitrary: fc.record({ action: fc.constant("rest") }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Told {
  readonly id?: number;
  readonly push?: string;
  readonly offset: number;
  readonly epoch?: string;
  readonly recovered?: boolean;
  readonly messages?: readonly { readonly offset: number }[];
}

interface Peer {
  connection: Connection | undefined;
  /** The last offset that was told; undefined while it does not subscribe. */
  last: number | undefined;
  /** Where it asks to go on from what was heard in its place before. */
  since: number | undefined;
  /** Whether it reads what it is told. */
  reads: boolean;
}

class Scene {
  readonly complaints: string[] = [];
  readonly #clock = new ManualClock();
  readonly #core = assembleBroker({
    config: brokerConfig({ runRoot: "" }),
    endpoint: "test",
    clock: this.#clock,
    collect: () => {},
    draining: () => {},
  });
  /** Who has dialled, by place. */
  readonly #peers = new Map<number, Peer>();
  /** What was heard in places that are empty now. */
  readonly #heard = new Map<number, number>();
  #epoch = "";
  /** How often somebody of the group has heard the message at each offset. */
  readonly #shared = new Map<number, number>();
  #published = 0;

  constructor() {
    for (let by = 0; by < alone + sharing; by++) this.#subscribe(by);
  }

  apply(step: Step): void | Promise<void> {
    if (step.action === "publish") {
      const { by } = step;
      // Of the group somebody is to hear it.
      const exceptSelf = step.exceptSelf && by < alone;
      this.#published++;
      this.#say(by, { id: 3, action: "publish", channel: "c", data: this.#published, exceptSelf });
    } else if (step.action === "wait") this.#clock.advance(step.ms);
    else if (step.action === "turn") return turn();
    else if (step.action === "rest") return this.rest();
    else if (step.action === "subscribe") this.#subscribe(step.by);
    else if (step.by === alone) return;
    else if (step.action === "unsubscribe") this.#say(step.by, { id: 2, action: "unsubscribe", channel: "c" });
    else return this.#leave(step.by, step.action);
  }

  /** Long enough for all to be told. */
  async rest(): Promise<void> {
    for (let turns = 0; turns < 2; turns++) {
      await turn();
      this.#clock.advance(restMs);
    }
    await turn();
    const { offset } = this.#core.engine.channels.history({ channel: "c", since: undefined, limit: 0 });
    for (const [by, { last = offset }] of this.#peers) {
      if (by < alone && last !== offset) this.complaints.push(`${by} has heard ${last} of ${offset}`);
    }
    for (let told = 1; told <= offset; told++) {
      const times = this.#shared.get(told) ?? 0;
      if (times !== 1) this.complaints.push(`the group has heard ${told} ${times} times`);
    }
  }

  async end(): Promise<void> {
    await this.rest();
    await this.#core.stop();
  }

  #subscribe(by: number): void {
    const since = this.#heard.get(by);
    const recover = since === undefined ? undefined : { epoch: this.#epoch, offset: since };
    this.#heard.delete(by);
    this.#dialled(by).since = since;
    this.#say(by, { id: 1, action: "subscribe", channel: "c", group: by < alone ? undefined : "g", recover });
  }

  #say(by: number, command: object): void {
    this.#dialled(by).connection?.receive(Buffer.from(`${JSON.stringify(command)}\n`));
  }

  #dialled(by: number): Peer {
    const known = this.#peers.get(by);
    if (known !== undefined) return known;
    const peer: Peer = { connection: undefined, last: undefined, since: undefined, reads: true };
    this.#peers.set(by, peer);
    const socket = {
      write: (data: string | Uint8Array) => {
        if (!peer.reads) return 0;
        const lines = Buffer.from(data as string)
          .toString()
          .trim()
          .split("\n");
        for (const line of lines) this.#hear(by, { peer, told: JSON.parse(line) });
        return data.length;
      },
      pause: () => {},
      resume: () => {},
      end: () => {},
    };
    peer.connection = this.#core.connections.open(socket, { door: "pipe", pid: undefined });
    return peer;
  }

  /** What was handed out before is read by then. Who hangs up leaves an answer unread, for which the broker waits a while. */
  async #leave(by: number, how: "die" | "hang up"): Promise<void> {
    await turn();
    const peer = this.#peers.get(by);
    if (peer === undefined) return;
    this.#peers.delete(by);
    peer.reads = false;
    if (by < alone && peer.last !== undefined) this.#heard.set(by, peer.last);
    if (how === "die") peer.connection?.disconnected();
    else {
      peer.connection?.receive(Buffer.from('{"id":4,"action":"ping"}\n'));
      peer.connection?.peerEnded();
    }
  }

  #hear(by: number, { peer, told }: { readonly peer: Peer; readonly told: Told }): void {
    if (told.id === 1) this.#begin(by, { peer, told });
    else if (told.id === 2) peer.last = undefined;
    if (told.push === undefined || told.push === "closing") return;
    const { last } = peer;
    const isNext = last !== undefined && (by < alone ? told.offset === last + 1 : told.offset > last);
    if (!isNext) this.complaints.push(`${by} is told ${told.offset} behind ${last}`);
    peer.last = told.offset;
    if (by >= alone) this.#shared.set(told.offset, (this.#shared.get(told.offset) ?? 0) + 1);
  }

  #begin(by: number, { peer, told }: { readonly peer: Peer; readonly told: Told }): void {
    const { last, since } = peer;
    const { epoch = "", offset, recovered, messages = [] } = told;
    if (by < alone && last !== undefined && last !== offset)
      this.complaints.push(`${by} begins anew at ${offset} behind ${last}`);
    const missed = messages.map((message) => message.offset).join();
    const wanted = Array.from({ length: offset - (since ?? offset) }, (_, index) => offset - index).reverse();
    if (recovered !== (since === undefined ? undefined : true) || missed !== wanted.join())
      this.complaints.push(`${by} recovers ${missed} from ${since} to ${offset}`);
    this.#epoch = epoch;
    peer.since = undefined;
    peer.last = offset;
  }
}

test("a crowd that comes, goes and dies hears all that is meant for it, once and in order", async () => {
  announceSeed("crowds");
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: "max" }), async (program) => {
      const scene = new Scene();
      for (const step of program) await scene.apply(step);
      await scene.end();
      expect(scene.complaints).toEqual([]);
    }),
    { seed: testSeed, numRuns: isThorough ? 2000 : 100 },
  );
}, 60_000);
