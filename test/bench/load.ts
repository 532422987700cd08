/** One worker of a load: opens a session of one contestant and repeats one operation; prints what it saw as JSON.
 *  `bun load.ts CONTESTANT ADDRESS OPERATION IN_FLIGHT COUNT KEYS` */
import { contestants } from "./contestants.ts";
import { quantile } from "./statistics.ts";

const [name, address = "", operation = "set", inFlightText = "1", countText = "1000", keysText = "1000"] =
  process.argv.slice(2);
const contestant = contestants.find((candidate) => candidate.name === name);
if (contestant === undefined) throw new Error(`there is no contestant ${name}`);
const session = await contestant.open(address);
const inFlight = Number(inFlightText);
const count = Number(countText);
const keys = Number(keysText);
const value = "x".repeat(100);
const prefix = `${process.pid}:`;

const operations: Record<string, ((index: number) => Promise<unknown>) | undefined> = {
  set: session.set && ((index) => session.set?.(`${prefix}${index % keys}`, value) ?? Promise.resolve()),
  get: session.get && ((index) => session.get?.(`${prefix}${index % keys}`) ?? Promise.resolve()),
  lock: session.lockAndUnlock && ((index) => session.lockAndUnlock?.(`${prefix}${index % keys}`) ?? Promise.resolve()),
};
const run = operations[operation];
if (run === undefined) throw new Error(`${name} cannot ${operation}`);

async function repeat(times: number, latencies: number[]): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < times) {
      const index = next++;
      const startedNs = Bun.nanoseconds();
      await run?.(index);
      latencies.push((Bun.nanoseconds() - startedNs) / 1000);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

await repeat(Math.min(count, 3000), []);
// Started together: each says that it is ready and waits to be told.
process.stdout.write("ready\n");
for await (const _line of console) break;
const latencies: number[] = [];
const startedNs = Bun.nanoseconds();
await repeat(count, latencies);
const seconds = (Bun.nanoseconds() - startedNs) / 1e9;
latencies.sort((a, b) => a - b);
const report = { perSecond: count / seconds, p50Us: quantile(latencies, 0.5), p99Us: quantile(latencies, 0.99) };
process.stdout.write(`${JSON.stringify(report)}\n`);
await session.close();
process.exit(0);
