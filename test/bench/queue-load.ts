/** One worker of a shared queue: pushes its share of the jobs when it is told, drains the queue when it is told again, and says
 *  each time that it is through. `bun queue-load.ts CONTESTANT ADDRESS COUNT` */
import { contestants } from "./contestants.ts";

const [name, address = "", countText] = process.argv.slice(2);
const contestant = contestants.find((candidate) => candidate.name === name);
const session = await contestant?.open(address);
if (session?.pushAll === undefined || session.drain === undefined) throw new Error(`${name} has no queue`);
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
const told = console[Symbol.asyncIterator]();
const jobs = Array.from({ length: Number(countText) }, (_, index) => ({
  spec: `test/${process.pid}/${index}.spec.ts`,
}));

say("ready");
await told.next();
await session.pushAll(jobs);
say("pushed");
await told.next();
say(await session.drain());
await session.close();
process.exit(0);
