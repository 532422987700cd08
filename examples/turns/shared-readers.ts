/**
 * A database that tests read together and change alone: readers share the lock, a writer has it to itself, and everybody
 * comes in the order they asked, so that no writer waits for ever.
 *
 * Run it: ephemeral start -- bun examples/turns/shared-readers.ts
 */
import { Client } from "ephemerald";
import { runWorkers, worker } from "../workers.ts";

const client = new Client();
const readers = 4;
const writers = 2;

async function read(): Promise<void> {
  const inside = await client.incr("readers");
  if (inside === readers) await client.set("all readers are in", true);
  await client.get("all readers are in", { waitMs: 30_000 });
  await client.incr("readers", -1);
}

async function write(): Promise<void> {
  const others = (await client.incr("readers", 0)) + (await client.incr("writers")) - 1;
  await client.incr("most beside a writer", others);
  await Bun.sleep(20);
  await client.incr("writers", -1);
}

if (worker === undefined) {
  // Everybody lines up behind us, readers first.
  const migration = await client.lock("database");
  const reading = runWorkers(readers);
  while ((await client.why("database")).waitersCount < readers) await Bun.sleep(5);
  const writing = runWorkers(writers, readers + 1);
  while ((await client.why("database")).waitersCount < readers + writers) await Bun.sleep(5);
  await migration.release();
  await Promise.all([reading, writing]);
  console.log(`${readers} readers were inside together`);
  console.log(`others inside with a writer: ${await client.get<number>("most beside a writer")}`);
} else if (worker <= readers) {
  await client.withLock("database", { mode: "shared" }, read);
} else {
  await client.withLock("database", write);
}
