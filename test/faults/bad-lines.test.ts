/**
 * Channels over bad lines: writers and readers each behind a proxy that does to their connections what a rule says, a broker
 * in a process of its own, and a history that checks what everybody saw. No hole that nobody was told of, nothing twice,
 * nothing in another order, every publication answered once.
 */
import { afterAll, expect, test } from "bun:test";
import type { NetConnectOpts } from "node:net";
import { Client } from "../../src/client/client.ts";
import type { Overflow } from "../../src/protocol/pushes.ts";
import { KiB, MiB } from "../../src/protocol/sizes.ts";
import { Chance, pipeRules, webRules } from "../support/bad-line-rules.ts";
import { type BrokerProcess, brokerProcess } from "../support/broker-process.ts";
import { ChannelHistory, type ReaderHistory } from "../support/channel-history.ts";
import { type Fault, type FaultProxy, faultProxy } from "../support/fault-proxy.ts";
import { hurriedClock } from "../support/quick-clock.ts";
import { announceSeed, Random } from "../support/random.ts";
import { isThorough } from "../support/thorough.ts";
import { until } from "../support/until.ts";

announceSeed("channels over bad lines");

const readersCount = 4;
const writersCount = 2;
/** Publications of each writer; a million deliveries in all in CI, ten where somebody asks for it. */
const scale = Number(process.env.EPHEMERAL_TEST_DELIVERIES ?? (isThorough ? 1_500_000 : 12_000));
/** Connections to which something is done; those after them are left in peace, so that every run ends. */
const badConnections = (isThorough ? 12 : 3) * (readersCount + writersCount);

const doors = [
  ...pipeRules.map((rule) => ({ door: "pipe", ...rule }) as const),
  ...webRules.filter(({ isTight }) => isThorough || !isTight).map((rule) => ({ door: "tcp", ...rule }) as const),
];

const channel = "room";
const onTheWayMax = 64;
const lingerMs = 60_000;

/** Nobody comes back so late that what he missed is forgotten. */
const roomy = { historyCountMax: 100_000, historyBytesMax: 64 * MiB, outboxBytesMax: 160 * MiB };
const narrow = { frameBytesMax: 8 * KiB, valueBytesMax: 4 * KiB, historyBytesMax: 64 * KiB, outboxBytesMax: 160 * KiB };
/** Large publications of each writer: more than the kernel takes. */
const largeCount = { pipe: 500, tcp: 2000 };
const padding = " ".repeat(3 * KiB);

let deliveries = 0;
afterAll(() => console.log(`channels over bad lines: ${deliveries} deliveries`));

test.each(doors)(
  "$door: $name",
  async ({ door, faults, losesNothing = true, share = 1, isTight = false, stops = 0, overflow }) => {
    const random = new Random();
    const count = isTight ? largeCount[door] : Math.ceil((scale * share) / doors.length / readersCount / writersCount);
    const chance = new Chance(random, count);
    const script = (connection: number): readonly Fault[] => (connection < badConnections ? faults(chance) : []);
    let broker: BrokerProcess | undefined;
    await using line = await faultProxy({ target: () => behind(broker, door), door, random, script });
    // Told of the line's port, as it is asked by that.
    const web = { port: 0, insecureNoAuth: true, allowedHosts: [`127.0.0.1:${line.port}`] };
    await using started = await brokerProcess({ limits: isTight ? narrow : roomy, ...web });
    broker = started;
    const history = new ChannelHistory();
    const readers = await Promise.all(
      Array.from({ length: readersCount }, (_, index) => reader(line, { history, name: `reader ${index}`, overflow })),
    );
    const standing = standStill(started.pid, stops);
    // A writer who is stalled himself would never be too fast.
    await Promise.all(
      Array.from({ length: writersCount }, (_, index) =>
        write(isTight ? started.pipe : frontOf(line), {
          history,
          name: `w${index}`,
          count,
          padding: isTight ? padding : "",
        }),
      ),
    );
    await standing;
    using last = client(started.pipe);
    // Who was too slow for the first may have lost it, and was told.
    await until(async () => {
      await last.publish(channel, "end");
      return readers.every(({ hasEnded }) => hasEnded());
    }, 20_000);
    for (const { close } of readers) close();
    history.close();
    deliveries += history.deliveries;
    expect(history.problems).toEqual([]);
    expect(history.acknowledged + history.unknown).toBe(count * writersCount);
    const signals = readers.reduce((sum, { seen }) => sum + seen.losses + seen.gaps, 0);
    if (losesNothing) {
      expect(signals).toBe(0);
      for (const { seen } of readers) expect(seen.received).toBeGreaterThanOrEqual(history.acknowledged);
    } else expect(signals).toBeGreaterThan(0);
    if (faults(chance).length > 0)
      expect([...line.done.values()].reduce((sum, times) => sum + times, 0)).toBeGreaterThan(0);
  },
);

const frontOf = ({ pipe, port }: FaultProxy): string => (port === 0 ? pipe : `ws://127.0.0.1:${port}/ws`);

/** Where the line leads. */
function behind(broker: BrokerProcess | undefined, door: "pipe" | "tcp"): NetConnectOpts {
  if (door === "pipe") return { path: broker?.pipe ?? "" };
  return { host: "127.0.0.1", port: Number(new URL(broker?.url ?? "").port) };
}

/** WebSockets stay away for up to 20 seconds. */
const clock = hurriedClock(20_000);

const client = (address: string): Client => new Client(address, { lingerMs, timeoutMs: 60_000, clock });

interface Party {
  readonly history: ChannelHistory;
  readonly name: string;
}

/** Stops a process for a moment, so many times. */
async function standStill(pid: number, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    process.kill(pid, "SIGSTOP");
    await Bun.sleep(10);
    process.kill(pid, "SIGCONT");
    await Bun.sleep(5);
  }
}

async function reader(
  line: FaultProxy,
  { history, name, overflow }: Party & { readonly overflow: Overflow | undefined },
): Promise<{ readonly seen: ReaderHistory; readonly hasEnded: () => boolean; readonly close: () => void }> {
  const reading = client(frontOf(line));
  const seen = history.reader(name);
  let hasEnded = false;
  let epoch = "";
  const subscription = await reading.subscribe<string>(
    channel,
    ({ data, offset }) => {
      if (data === "end") hasEnded = true;
      else seen.message(data.trim(), { epoch, offset });
    },
    {
      overflow,
      onEvent: (event) => {
        if (event.event === "lost") seen.lost();
        else if (event.event === "gap") seen.gap(event.to);
        else if (event.event === "unsubscribed") history.problem(`${name}: ${event.error.message}`);
      },
    },
  );
  epoch = subscription.position.epoch;
  return { seen, hasEnded: () => hasEnded, close: () => reading.close() };
}

interface Writing extends Party {
  readonly count: number;
  /** Behind each publication, to make it large. */
  readonly padding: string;
}

/** Publishes one message after another, so many on their way at a time. */
async function write(address: string, { history, name, count, padding }: Writing): Promise<void> {
  using writing = client(address);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const publication = `${name}-${next++}`;
      history.sent(publication);
      try {
        const { epoch, offset } = await writing.publish(channel, publication + padding);
        history.answered(publication, { epoch, offset });
      } catch {
        history.failed(publication);
      }
    }
  };
  await Promise.all(Array.from({ length: onTheWayMax }, lane));
}
