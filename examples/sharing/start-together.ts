/**
 * Processes that take different times to get ready, and begin together: none of them before the last is ready. If one dies
 * before that, the others are told its name at once instead of waiting for ever.
 *
 * Run it: ephemeral start -- bun examples/sharing/start-together.ts
 */
import { Client, EphemeralError } from "ephemerald";
import { runWorkers, startWorkers, worker } from "../workers.ts";

const players = 4;
const unlucky = players + 1;
const client = new Client();

if (worker === undefined) {
  await runWorkers(players);
  const [ready, began] = await Promise.all(
    ["ready", "began"].map((what) =>
      Promise.all(Array.from({ length: players }, (_, index) => client.get<number>(`${what}:${index + 1}`))),
    ),
  );
  const early = began?.filter((atMs) => atMs < Math.max(...(ready ?? [])));
  console.log(`${players} processes began, ${early?.length} before the last was ready`);
  // One that dies while the other waits for it.
  const couple = startWorkers(2, unlucky);
  await client.get("joined", { waitMs: 30_000 });
  couple[0]?.kill("SIGKILL");
  await couple[1]?.exited;
} else if (worker <= players) {
  await Bun.sleep(40 * worker);
  await client.set(`ready:${worker}`, Date.now());
  await client.barrier("start", players);
  await client.set(`began:${worker}`, Date.now());
} else if (worker === unlucky) {
  // Says that it will come, so that its death is known before it comes.
  await client.barrier("start again", 2, { join: true });
  await client.set("joined", true);
  await Bun.sleep(60_000);
} else {
  await client.get("joined", { waitMs: 30_000 });
  const error = await client.barrier("start again", 2).catch((error: EphemeralError) => error);
  if (!(error instanceof EphemeralError)) throw new Error("the other should have died");
  console.log(`${error.code}: ${error.details?.left}`);
}
