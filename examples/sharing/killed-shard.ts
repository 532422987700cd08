/**
 * A shard is killed in the middle of a job: the job goes back to the queue the moment it dies, and another shard does it. Each
 * job is done, and told how often it was begun.
 *
 * Run it: ephemeral start -- bun examples/sharing/killed-shard.ts
 */
import { Client } from "ephemerald";
import { startWorkers, worker } from "../workers.ts";

const client = new Client();
const specs = client.queue<string>("specs");

if (worker !== undefined) {
  for await (const { data, attempt } of specs) {
    if (data === "cursed.spec.ts" && attempt === 1) {
      await client.set("victim", worker);
      // In the middle of it somebody kills us.
      await Bun.sleep(60_000);
    }
    await Bun.sleep(5);
    console.log(`shard ${worker} did ${data}, attempt ${attempt}`);
  }
} else {
  await specs.push(["cart.spec.ts", "cursed.spec.ts", "login.spec.ts", "search.spec.ts"], { closes: true });
  const shards = startWorkers(3);
  const victim = await client.get<number>("victim", { waitMs: 30_000 });
  shards[victim - 1]?.kill("SIGKILL");
  await Promise.all(shards.map(({ exited }) => exited));
  const { done, dead, inFlight } = await specs.info();
  console.log(`shard ${victim} was killed: ${done} jobs done, ${dead} dead, ${inFlight} lost`);
}
