/** Publishes so many messages a second for so long, and hears everybody's: all of them, each writer's in its order. */
import { connect, finish, name, nowMs, read, told, write } from "./program.ts";

const [channel = "", ...numbers] = told;
const [perSecond = 0, warmUpSeconds = 0, seconds = 0, writers = 0] = numbers.map(Number);

interface Said {
  readonly by: string;
  readonly number: number;
  readonly atMs: number;
}

const { client } = await connect();
const lastOf = new Map<string, number>();
const latenciesMs: number[] = [];
let outOfOrder = 0;
let lost = 0;
let number = 0;
/** So many messages are to come, and this resolves when they have. */
let awaited = { count: 0, resolve: (): void => {} };

await client.subscribe<Said>(
  channel,
  ({ data }) => {
    latenciesMs.push(nowMs() - data.atMs);
    if (data.number !== (lastOf.get(data.by) ?? 0) + 1) outOfOrder++;
    lastOf.set(data.by, data.number);
    if (latenciesMs.length === awaited.count) awaited.resolve();
  },
  {
    onEvent: () => {
      lost++;
    },
  },
);

/** Publishes for so long, and resolves when everybody's messages have come. */
async function play(forSeconds: number): Promise<void> {
  const heard = Promise.withResolvers<void>();
  const first = number;
  const count = perSecond * forSeconds;
  awaited = { count: (first + count) * writers, resolve: heard.resolve };
  const startedMs = performance.now();
  const published: Promise<unknown>[] = [];
  const done = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    const due = first + Math.min(count, Math.floor(((performance.now() - startedMs) / 1000) * perSecond) + 1);
    while (number < due) published.push(client.publish(channel, { by: name, number: ++number, atMs: nowMs() }));
    if (published.length < count) return;
    clearInterval(timer);
    done.resolve();
  }, 1000 / perSecond);
  await done.promise;
  await Promise.all(published);
  await heard.promise;
}

// Twenty runtimes compile what they run at the same time, the last of it after some seconds: that is told apart.
for (const [file, forSeconds] of [
  ["warm-up", warmUpSeconds],
  ["go", seconds],
] as const) {
  write(`ready-for-${file}`);
  await read(file);
  await play(forSeconds);
}
const rounded = latenciesMs.map((ms) => Number(ms.toFixed(3)));
const warmUpCount = perSecond * warmUpSeconds * writers;
finish(client, {
  heard: rounded.length - warmUpCount,
  outOfOrder,
  lost,
  warmUpLatenciesMs: rounded.slice(0, warmUpCount),
  latenciesMs: rounded.slice(warmUpCount),
});
