/**
 * A broker that says, in one JSON line each, which packages its process has loaded: once started and used, and after its
 * first scrape. Run in a process of its own, where nothing else loads any.
 */
import { lineClient, testBroker } from "./broker.ts";

const say = (): void => {
  const paths = Object.keys(require.cache);
  const packages = paths.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  console.log(JSON.stringify([...new Set(packages)].sort()));
};

await using broker = await testBroker();
using client = await lineClient(broker.pipe);
await client.ask({ action: "set", key: "k", value: 1, ttl: 1000 });
await client.ask({ action: "health" });
say();
await client.ask({ action: "metrics" });
say();
