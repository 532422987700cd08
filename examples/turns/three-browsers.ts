/**
 * Three browsers at most, however many workers there are: each takes one of three seats before it starts its own. A plain
 * process stands in for the browser here.
 *
 * Run it: ephemeral start -- bun examples/turns/three-browsers.ts
 */
import { Client } from "ephemerald";
import { runWorkers, worker } from "../workers.ts";

const client = new Client();
const seats = 3;

/** Starts what stands in for a browser, looks how many there are, and waits for its end. */
async function browse(seat: number): Promise<void> {
  const browser = Bun.spawn(["sleep", "0.1"]);
  const running = await client.incr("browsers running");
  await client.set(`seen:${running}`, true);
  await browser.exited;
  await client.incr("browsers running", -1);
  console.log(`worker ${worker} had a browser in seat ${seat}`);
}

if (worker !== undefined) {
  await client.withSeat("browsers", seats, ({ value: seat }) => browse(seat));
} else {
  await runWorkers(8);
  const most = Math.max(...Object.keys(await client.list("seen:")).map((key) => Number(key.slice("seen:".length))));
  console.log(`most browsers at a time: ${most}`);
  if (most > seats) process.exitCode = 1;
}
