/** Publishes so many messages a second for so long, and hears everybody's: all of them, each writer's in its order. */
import { connect, finish, name, nowMs, read, told, write } from "./program.ts";

const [channel = "", perSecondText = "", secondsText = "", writersText = ""] = told;
const [perSecond, writers] = [Number(perSecondText), Number(writersText)];

interface Said {
  readonly by: string;
  readonly number: number;
  readonly atMs: number;
}

const { client } = await connect();
const warmUpSeconds = 1;

/** Listens to `channel`, publishes there for so long once `file` is there, and resolves when everybody's messages have come. */
async function play({ on, seconds, file }: { on: string; seconds: number; file: string }): Promise<object> {
  const count = perSecond * seconds;
  const total = count * writers;
  const lastOf = new Map<string, number>();
  const latenciesMs: number[] = [];
  let outOfOrder = 0;
  let lost = 0;
  const heardAll = Promise.withResolvers<void>();
  await client.subscribe<Said>(
    on,
    ({ data }) => {
      latenciesMs.push(nowMs() - data.atMs);
      if (data.number !== (lastOf.get(data.by) ?? 0) + 1) outOfOrder++;
      lastOf.set(data.by, data.number);
      if (latenciesMs.length === total) heardAll.resolve();
    },
    {
      onEvent: () => {
        lost++;
      },
    },
  );
  write(`ready-for-${file}`);
  await read(file);
  const startedMs = performance.now();
  const published: Promise<unknown>[] = [];
  const done = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    const due = Math.min(count, Math.floor(((performance.now() - startedMs) / 1000) * perSecond) + 1);
    while (published.length < due) {
      published.push(client.publish(on, { by: name, number: published.length + 1, atMs: nowMs() }));
    }
    if (published.length < count) return;
    clearInterval(timer);
    done.resolve();
  }, 1000 / perSecond);
  await done.promise;
  await Promise.all(published);
  await heardAll.promise;
  const rounded = latenciesMs.map((ms) => Number(ms.toFixed(3)));
  return { heard: rounded.length, outOfOrder, lost, latenciesMs: rounded };
}

// Twenty runtimes that compile what they run for the first time are not what is measured.
await play({ on: `${channel} before`, seconds: warmUpSeconds, file: "warm-up" });
finish(client, await play({ on: channel, seconds: Number(secondsText), file: "go" }));
