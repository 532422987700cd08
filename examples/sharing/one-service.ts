/**
 * A service that is started once, by whoever needs it first, shared by all, and gone when the run ends, however it ends: also
 * when a worker, or `ephemeral start` itself, is killed. What ends it is registered before it is started, so that there is no
 * moment in which it could be left behind. Here it is a process of its own; for a container it is `docker run --detach --name
 * NAME …`, and `docker rm --force NAME` at the end.
 *
 * Run it: ephemeral start -- bun examples/sharing/one-service.ts
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWorkers, worker } from "../workers.ts";

const folder = process.env.SERVICE_FOLDER;
if (folder !== undefined) serve(folder);
else if (worker === undefined) await runWorkers(4);
else await visit();

async function visit(): Promise<void> {
  const { Client } = await import("ephemerald");
  const client = new Client();
  const url = await client.once("service", async () => {
    const folder = mkdtempSync(join(tmpdir(), "service-"));
    await client.onEnd(["sh", "-c", 'kill "$(cat "$0/pid")"; rm -r "$0"', folder]);
    return startService(folder);
  });
  console.log(`worker ${worker}: ${await (await fetch(url)).text()}`);
}

/** Starts it as a daemon would run it, apart from us, and resolves to where it listens. */
async function startService(folder: string): Promise<string> {
  const service = Bun.spawn([process.execPath, Bun.main], {
    env: { PATH: process.env.PATH, SERVICE_FOLDER: folder },
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  service.unref();
  for await (const chunk of service.stdout) return new TextDecoder().decode(chunk).trim();
  throw new Error("the service did not come up");
}

function serve(folder: string): void {
  let visits = 0;
  const fetch = (): Response => new Response(`visit ${++visits} to process ${process.pid}`);
  const { url } = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  writeFileSync(join(folder, "pid"), `${process.pid}`);
  console.log(url.href);
}
