/**
 * An API that takes ten calls a second, and eight processes that call it as fast as they may. The broker lets ten of them
 * through in any second, in the order they came; nobody is told 429. Were somebody told so, `penalize` holds all of them back.
 *
 * Run it: ephemeral start -- bun examples/sharing/ten-per-second.ts
 */
import { Client } from "ephemerald";
import { runWorkers, worker } from "../workers.ts";

const callers = 8;
const callsEach = 2;
const rate = { limit: 10, windowMs: 1000 };
/** How much sooner than they were let through calls may arrive, as those before them took longer on their way. */
const toleranceMs = 150;

const client = new Client();

async function callApi(url: string): Promise<void> {
  for (;;) {
    await client.rateLimit("api", rate);
    const { status, headers } = await fetch(url);
    if (status !== 429) return;
    await client.penalize("api", Number(headers.get("retry-after")) * 1000);
  }
}

if (worker !== undefined) {
  const url = await client.get<string>("api-url");
  for (let call = 0; call < callsEach; call++) await callApi(url);
} else {
  const arrivedAtMs: number[] = [];
  let refused = 0;
  const api = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      const nowMs = performance.now();
      const recent = arrivedAtMs.filter((atMs) => atMs > nowMs - rate.windowMs + toleranceMs);
      if (recent.length >= rate.limit) {
        refused++;
        return new Response("too many", { status: 429, headers: { "retry-after": "1" } });
      }
      arrivedAtMs.push(nowMs);
      return new Response("ok");
    },
  });
  await client.set("api-url", api.url.href);
  await runWorkers(callers);
  await api.stop(true);
  const lastedMs = Number(arrivedAtMs.at(-1)) - Number(arrivedAtMs[0]);
  console.log(`${arrivedAtMs.length} calls by ${callers} processes in ${(lastedMs / 1000).toFixed(1)} s`);
  console.log(`told 429: ${refused}`);
}
