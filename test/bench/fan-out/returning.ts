/** Readers who come back to a broker at once and want what they missed, in a process of their own: `bun returning.ts RETURN` with
 *  `Return` as JSON. Prints a `ReturnReport` as JSON. */
import { quantile } from "../statistics.ts";
import { commonChannel, type Dialect, dialects, mark } from "./dialect.ts";
import { type Address, Reader } from "./reader.ts";

export interface Return {
  readonly dialect: string;
  readonly address: Address;
  readonly readers: number;
  readonly missed: number;
  readonly bytes: number;
}

export interface ReturnReport {
  /** From the first one's dialling until the last one has all it missed. */
  readonly allMs: number;
  readonly medianMs: number;
}

/** A burst past the backlog of a unix socket is refused by the kernel: who is refused dials again, as our client does. */
const dialledAtOnce = 100;
const redialMs = 5;
const alarmMs = 30_000;

const { dialect: name, address, readers, missed, bytes }: Return = JSON.parse(process.argv[2] ?? "");
const dialect = dialects[name];
if (dialect === undefined) throw new Error(`there is no dialect ${name}`);
const { recover } = dialect;
if (recover === undefined) throw new Error(`nobody recovers in the dialect ${name}`);

// Somebody reads the place they all have read to, publishes what they miss, and has it all.
const place = Promise.withResolvers<{ epoch: string; offset: number }>();
const publisher = new Reader({
  ...{ dialect, address, channels: [commonChannel], received: () => {} },
  said: (text) => {
    const [, epoch, offset] = /"epoch":"([^"]+)","offset":(\d+)/.exec(text) ?? [];
    if (epoch !== undefined) place.resolve({ epoch, offset: Number(offset) });
  },
});
await publisher.open();
const since = await place.promise;
publisher.publish(Array.from({ length: missed }, () => `${mark}${"x".repeat(bytes - mark.length)}`));
while (publisher.count < missed) await Bun.sleep(1);

const everybody = Promise.withResolvers<void>();
const alarm = setTimeout(() => everybody.reject(new Error(`${tookMs.length} of ${readers} are back`)), alarmMs);
const tookMs: number[] = [];
const startedMs = performance.now();

const returningDialect: Dialect = { ...dialect, greet: ({ secret }) => recover({ secret, since }) };

async function comeBack(): Promise<void> {
  const back: Reader = new Reader({
    dialect: returningDialect,
    ...{ address, channels: [commonChannel] },
    received: () => {
      if (back.count < missed) return;
      tookMs.push(performance.now() - startedMs);
      if (tookMs.length === readers) everybody.resolve();
    },
  });
  for (let isOpen = false; !isOpen; ) {
    isOpen = await back.open().then(
      () => true,
      () => Bun.sleep(redialMs).then(() => false),
    );
  }
}

for (let at = 0; at < readers; at += dialledAtOnce) {
  await Promise.all(Array.from({ length: Math.min(dialledAtOnce, readers - at) }, comeBack));
}
await everybody.promise;
clearTimeout(alarm);
const sorted = tookMs.toSorted((a, b) => a - b);
const report: ReturnReport = { allMs: sorted.at(-1) ?? Number.NaN, medianMs: quantile(sorted, 0.5) };
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
