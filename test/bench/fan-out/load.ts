/** Readers of one server and its one writer, in a process of their own, so that one clock tells how long a message took.
 *  `bun load.ts OPTIONS` with `FanOutLoad` as JSON; prints a `FanOutReport` as JSON. */
import { quantile } from "../statistics.ts";
import { dialects, mark } from "./dialect.ts";
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
}

export interface FanOutReport {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Batches on their way at once, where nothing else bounds the rate. */
const batchesOnTheWay = 4;
/** One reader of so many looks at the times. */
const timedReaders = 16;
const stuckMs = 60_000;

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
    new Reader({ dialect, address, isReader: true, received, ...(index % timedReaders === 0 ? { sentAt } : {}) }),
);
for (const reader of readers) await reader.open();
const writer = new Reader({ dialect, address, isReader: false, received: () => {} });
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
while (readers.some(({ count }) => count === 0)) {
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
process.stdout.write("ready\n");
for await (const _line of console) break;
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
const report: FanOutReport = {
  perSecond: (load.messages * load.readers) / seconds,
  p50Ms: quantile(latenciesMs, 0.5),
  p99Ms: quantile(latenciesMs, 0.99),
};
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
