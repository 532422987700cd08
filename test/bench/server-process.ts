/** A contestant's server as a process of its own: started, waited for by dialling its socket, ended by its id. */
import type { Running } from "./contestant.ts";

const startMsMax = 10_000;

/** Starts `argv` and resolves when its unix socket at `address` can be dialled.
 *  @throws {Error} with what it printed when it does not come up in time */
export async function startServer(argv: readonly string[], address: string): Promise<Running> {
  const server = Bun.spawn([...argv], { stdio: ["ignore", "pipe", "pipe"] });
  const startedAt = performance.now();
  while (!(await answers(address))) {
    if (server.exitCode !== null || performance.now() - startedAt > startMsMax) {
      server.kill("SIGKILL");
      throw new Error(`${argv.join(" ")} did not come up: ${await new Response(server.stderr).text()}`);
    }
    await Bun.sleep(10);
  }
  return {
    address,
    pid: server.pid,
    stop: async () => {
      server.kill("SIGTERM");
      await server.exited;
    },
  };
}

async function answers(address: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: address, socket: { data() {} } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}
