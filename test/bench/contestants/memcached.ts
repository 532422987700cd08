/** memcached over loopback, through memjs: its clients speak no unix socket. */
import { createServer } from "node:net";
import type { Contestant } from "../contestant.ts";
import { installed } from "./installed.ts";

interface Memjs {
  readonly Client: {
    create(server: string): {
      set(key: string, value: string, options: { expires: number }): Promise<boolean>;
      get(key: string): Promise<{ value: unknown }>;
      close(): void;
    };
  };
}

export const memcached: Contestant = {
  name: "memcached (memjs)",
  missing: () => (Bun.which("memcached") === null ? "memcached is not installed" : installed.missing("memjs")),
  start: async () => {
    const port = await freePort();
    const server = Bun.spawn(["memcached", "-l", "127.0.0.1", "-p", `${port}`, "-U", "0", "-u", "nobody"], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    await Bun.sleep(300);
    return {
      address: `127.0.0.1:${port}`,
      pid: server.pid,
      stop: async () => {
        server.kill("SIGTERM");
        await server.exited;
      },
    };
  },
  open: async (address) => {
    const { Client } = await installed.load<Memjs>("memjs");
    const client = Client.create(address);
    return {
      set: (key, value) => client.set(key, value, { expires: 600 }),
      get: (key) => client.get(key),
      close: () => client.close(),
    };
  },
};

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}
