/** One process that wants a lock others want, too. `bun contender.ts CONTESTANT ADDRESS contend SECONDS FILE` takes it again and
 *  again and prints how often, how often from somebody else, and how long it waited; FILE says who had it last. `… hold`
 *  keeps it for ever; `… next` takes it once. */
import { contestants } from "./contestants.ts";
import { summarize } from "./statistics.ts";

const [name, address = "", role = "contend", secondsText = "2", file = ""] = process.argv.slice(2);
const session = await contestants.find((candidate) => candidate.name === name)?.open(address);
const lock = session?.lock;
if (lock === undefined) throw new Error(`${name} has no lock to wait for`);
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);

if (role === "contend") {
  await (await lock("contended"))();
  say("ready");
  for await (const _line of console) break;
  const waitsMs: number[] = [];
  const lastHolder = new Uint32Array(Bun.mmap(file, { shared: true }).buffer);
  let handOvers = 0;
  const endsAtMs = performance.now() + Number(secondsText) * 1000;
  for (let nowMs = performance.now(); nowMs < endsAtMs; nowMs = performance.now()) {
    const unlock = await lock("contended");
    waitsMs.push(performance.now() - nowMs);
    // Nobody else writes while we have the lock.
    if (lastHolder[0] !== process.pid) handOvers += 1;
    lastHolder[0] = process.pid;
    await unlock();
  }
  const { median, max } = summarize(waitsMs);
  say({ taken: waitsMs.length, handOvers, medianMs: median, maxMs: max });
} else {
  say("asking");
  // Until what was said has left: asking may stop the whole process.
  await new Promise((resolve) => setImmediate(resolve));
  await lock("killed");
  say("got");
  if (role === "hold") await new Promise(() => setInterval(() => {}, 60_000));
}
process.exit(0);
