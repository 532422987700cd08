/** Readers of one server and its one writer, in a process of their own, so that one clock tells how long a message took.
 *  `bun load.ts OPTIONS` with `FanOutLoad` as JSON; prints a `FanOutReport` as JSON. */
import { quantile } from "../statistics.ts";
import { commonChannel, dialects, mark } from "./dialect.ts";
import { type Address, Reader, timeDigits } from "./reader.ts";

export interface FanOutLoad {
  readonly dialect: string;
  readonly address: Address;
  readonly readers: number;
  readonly messages: number;
  /** Messages published at once. */
  readonly batch: number;
  readonly bytes: number;
  /** Deliveries a second; undefined for as many as there can be. */
  readonly rate?: number | undefined;
  /** Further readers, who read nothing while it is measured. */
  readonly stalled?: number;
}

export interface FanOutReport {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What became of the readers who read nothing: closed by the server, told that messages are missing, or neither. */
  readonly stalled: {
    readonly closed: number;
    readonly told: number;
    readonly whole: number;
    readonly deceived: number;
  };
}

/** Batches on their way at once, where nothing else bounds the rate. */
const batchesOnTheWay = 4;
/** One reader of so many looks at the times. */
const timedReaders = 16;
const stuckMs = 20_000;
/** How long a reader that reads again may hear nothing before it has heard all there is. */
const quietMs = 500;

const load: FanOutLoad = JSON.parse(process.argv[2] ?? "");
const dialect = dialects[load.dialect];
if (dialect === undefined) throw new Error(`there is no dialect ${load.dialect}`);
const { address } = load;
let deliveries = 0;
let wanted = Number.POSITIVE_INFINITY;
let isMeasuring = false;
const latenciesMs: number[] = [];
let moved: () => void = () => {};
const microseconds = (): number => Math.round(performance.now() * 1000);

const received = (messages: number): void => {
  deliveries += messages;
  if (deliveries >= wanted) moved();
};
const sentAt = (atUs: number): void => {
  if (isMeasuring) latenciesMs.push((microseconds() - atUs) / 1000);
};
const readers = Array.from(
  { length: load.readers },
  (_, index) =>
    new Reader({
      ...{ dialect, address, channels: [commonChannel], received },
      ...(index % timedReaders === 0 ? { sentAt } : {}),
    }),
);
const stalled = Array.from(
  { length: load.stalled ?? 0 },
  () => new Reader({ dialect, address, channels: [commonChannel], received: () => {} }),
);
for (const reader of [...readers, ...stalled]) await reader.open();
const writer = new Reader({ dialect, address, channels: [], received: () => {} });
await writer.open();

const filler = "x".repeat(load.bytes - timeDigits - mark.length);
const batchOf = (size: number): readonly string[] =>
  Array.from({ length: size }, () => `${mark}${`${microseconds()}`.padStart(timeDigits, "0")}${filler}`);

/** Resolves when `deliveries` has reached `count`. */
function reached(count: number): Promise<void> {
  if (deliveries >= count) return Promise.resolve();
  wanted = count;
  return new Promise((resolve, reject) => {
    const alarm = setTimeout(() => reject(new Error(`stuck at ${deliveries} of ${count} deliveries`)), stuckMs);
    moved = () => {
      clearTimeout(alarm);
      wanted = Number.POSITIVE_INFINITY;
      resolve();
    };
  });
}

// Everybody is there once everybody has heard something.
const openedMs = performance.now();
const deaf = (): number => [...readers, ...stalled].filter(({ count }) => count === 0).length;
while (deaf() > 0) {
  if (performance.now() - openedMs > stuckMs) throw new Error(`${deaf()} readers of ${load.dialect} hear nothing`);
  writer.publish(batchOf(1));
  await Bun.sleep(20);
}
// And nothing is on its way any more.
for (let before = -1; before !== deliveries; await Bun.sleep(100)) before = deliveries;
deliveries = 0;
const warmUp = load.batch * 20;
for (let sent = 0; sent < warmUp; sent += load.batch) writer.publish(batchOf(load.batch));
await reached(warmUp * load.readers);

deliveries = 0;
if (stalled.length > 0) await Bun.sleep(quietMs);
const heardBefore = stalled.map(({ count }) => count);
for (const reader of stalled) reader.pause();
process.stdout.write("ready\n");
const told = console[Symbol.asyncIterator]();
await told.next();
isMeasuring = true;
const startedMs = performance.now();
for (let sent = 0; sent < load.messages; sent += load.batch) {
  if (load.rate === undefined) await reached(Math.max(0, sent - (batchesOnTheWay - 1) * load.batch) * load.readers);
  else {
    const dueMs = startedMs + ((sent * load.readers) / load.rate) * 1000;
    while (performance.now() < dueMs) await new Promise((resolve) => setImmediate(resolve));
  }
  writer.publish(batchOf(load.batch));
}
await reached(load.messages * load.readers);
const seconds = (performance.now() - startedMs) / 1000;
latenciesMs.sort((a, b) => a - b);

/** Lets the stalled read again, and looks at what they can know. */
async function wakeUp(): Promise<FanOutReport["stalled"]> {
  for (const reader of stalled) reader.resume();
  const heard = (): number => stalled.reduce((sum, { count }) => sum + count, 0);
  for (let before = -1; before !== heard(); await Bun.sleep(quietMs)) before = heard();
  const fates = { closed: 0, told: 0, whole: 0, deceived: 0 };
  for (const [index, { isClosed, knowsOfLoss, count }] of stalled.entries()) {
    const isWhole = count - (heardBefore[index] ?? 0) === load.messages;
    fates[isClosed ? "closed" : knowsOfLoss ? "told" : isWhole ? "whole" : "deceived"]++;
  }
  return fates;
}

const report: Omit<FanOutReport, "stalled"> = {
  perSecond: (load.messages * load.readers) / seconds,
  p50Ms: quantile(latenciesMs, 0.5),
  p99Ms: quantile(latenciesMs, 0.99),
};
// Its memory and CPU time are looked at before those who were stalled read again.
process.stdout.write("done\n");
await told.next();
process.stdout.write(`${JSON.stringify({ ...report, stalled: await wakeUp() })}\n`);
process.exit(0);
