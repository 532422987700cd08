/**
 * Two things at once without a deadlock: workers want the database and the printer, some in this order and some in the other.
 * Asked for together they are had together or not at all. Taken one after the other they may end in a deadlock; who says for
 * which thread of work each is, is told so instead of waiting for ever.
 *
 * Run it: ephemeral start -- bun examples/turns/two-at-once.ts
 */
import { Client, EphemeralError } from "ephemerald";
import { runWorkers, worker } from "../workers.ts";

const client = new Client({ label: worker === undefined ? "main" : `worker ${worker}` });
const [database, printer] = [
  { pool: "database", size: 1 },
  { pool: "printer", size: 1 },
];
const rounds = 25;

if (worker !== undefined) {
  const both = worker % 2 === 0 ? [database, printer] : [printer, database];
  for (let round = 0; round < rounds; round++) await client.withItem(both, () => client.incr("rounds"));
} else {
  const workers = 4;
  await runWorkers(workers);
  console.log(`together: ${await client.get<number>("rounds")} of ${workers * rounds} rounds, no deadlock`);

  const ada = await client.lock("database", { owner: "ada" });
  const bob = await client.lock("printer", { owner: "bob" });
  const adaWaits = client.lock("printer", { owner: "ada" });
  while ((await client.why("printer")).waitersCount === 0) await Bun.sleep(5);
  const refusal = await client.lock("database", { owner: "bob" }).catch((error: EphemeralError) => error);
  if (!(refusal instanceof EphemeralError)) throw new Error("bob should have been refused");
  console.log(`one after the other: ${refusal.code}`);
  console.log(refusal.message);
  await bob.release();
  await (await adaWaits).release();
  await ada.release();
}
