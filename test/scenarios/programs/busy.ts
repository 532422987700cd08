/** Publishes so many messages a second for so long, and hears everybody's: all of them, each writer's in its order. */
import { connect, finish, name, nowMs, read, told, write } from "./program.ts";

const [channel = "", perSecondText = "", secondsText = "", writersText = ""] = told;
const [perSecond, seconds, writers] = [Number(perSecondText), Number(secondsText), Number(writersText)];
const count = perSecond * seconds;
const total = count * writers;

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
let heardAll: () => void = () => {};
const hasHeardAll = new Promise<void>((resolve) => {
  heardAll = resolve;
});
await client.subscribe<Said>(
  channel,
  ({ data }) => {
    latenciesMs.push(nowMs() - data.atMs);
    if (data.number !== (lastOf.get(data.by) ?? 0) + 1) outOfOrder++;
    lastOf.set(data.by, data.number);
    if (latenciesMs.length === total) heardAll();
  },
  {
    onEvent: () => {
      lost++;
    },
  },
);
write("ready");
await read("go");
const startedMs = performance.now();
const published: Promise<unknown>[] = [];
await new Promise<void>((resolve) => {
  const timer = setInterval(() => {
    const due = Math.min(count, Math.floor(((performance.now() - startedMs) / 1000) * perSecond) + 1);
    while (published.length < due) {
      published.push(client.publish(channel, { by: name, number: published.length + 1, atMs: nowMs() }));
    }
    if (published.length < count) return;
    clearInterval(timer);
    resolve();
  }, 1000 / perSecond);
});
await Promise.all(published);
await hasHeardAll;
finish(client, {
  heard: latenciesMs.length,
  outOfOrder,
  lost,
  latenciesMs: latenciesMs.map((ms) => Number(ms.toFixed(3))),
});
