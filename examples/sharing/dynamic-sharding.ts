/**
 * Dynamic sharding: four shards drain one queue of spec files, some of which take much longer than others. Whoever is free
 * takes the next, so all end at about the same time; dealt out beforehand, a quarter of the files each, one shard has the
 * slow ones. Both are told beside the ideal, in which nobody ever waits.
 *
 * Run it: ephemeral start -- bun examples/sharing/dynamic-sharding.ts
 */
import { Client } from "ephemerald";
import { runWorkers, worker } from "../workers.ts";

interface Spec {
  readonly file: string;
  readonly ms: number;
}

interface Took {
  readonly beganAtMs: number;
  readonly endedAtMs: number;
}

const shards = 4;
/** Files in the order of their names: the slow ones are in one folder, as they are. */
const specs: readonly Spec[] = [
  ...Array.from({ length: 7 }, (_, index) => ({ file: `account/${index}.spec.ts`, ms: 60 + 10 * index })),
  ...Array.from({ length: 7 }, (_, index) => ({ file: `checkout/${index}.spec.ts`, ms: 500 - 35 * index })),
  ...Array.from({ length: 14 }, (_, index) => ({ file: `search/${index}.spec.ts`, ms: 100 - 6 * index })),
];

const client = new Client();
const sum = (times: readonly number[]): number => times.reduce((total, ms) => total + ms, 0);

if (worker !== undefined) {
  const took: (readonly [file: string, took: Took])[] = [];
  // What it costs to start a shard is no part of the comparison.
  await client.barrier("ready", shards);
  for await (const { id, data } of client.queue<Spec>("specs")) {
    const beganAtMs = Date.now();
    await Bun.sleep(data.ms);
    took.push([id, { beganAtMs, endedAtMs: Date.now() }]);
  }
  await Promise.all(took.map(([file, times]) => client.set(`took:${file}`, times)));
} else {
  await client.queue<Spec>("specs").push(
    specs.map((data) => ({ id: data.file, data })),
    { closes: true },
  );
  await runWorkers(shards);
  const took = await Promise.all(specs.map(({ file }) => client.get<Took>(`took:${file}`)));
  const lengths = took.map(({ beganAtMs, endedAtMs }) => endedAtMs - beganAtMs);
  const began = Math.min(...took.map(({ beganAtMs }) => beganAtMs));
  const dynamic = Math.max(...took.map(({ endedAtMs }) => endedAtMs)) - began;
  const quarters = Array.from({ length: shards }, (_, shard) =>
    sum(lengths.slice((shard * specs.length) / shards, ((shard + 1) * specs.length) / shards)),
  );
  const ideal = Math.max(sum(lengths) / shards, ...lengths);
  const times = (ms: number): string => `${Math.round(ms)} ms, ${(ms / ideal).toFixed(2)} x the ideal`;
  console.log(`${specs.length} spec files on ${shards} shards, ideal: ${Math.round(ideal)} ms`);
  console.log(`static, a quarter of the files each: ${times(Math.max(...quarters))}`);
  console.log(`dynamic, from a queue: ${times(dynamic)}`);
}
