/** The package this project started from, its own broker and client on Node's sockets. */
import { join } from "node:path";
import type { Contestant } from "../contestant.ts";
import { startServer } from "../server-process.ts";

interface SeedClient {
  set(key: string, value: string, ttl: number): Promise<boolean>;
  get(key: string): Promise<unknown>;
  lease(key: string, workerId: string, ttl: number): Promise<number>;
  release(workerId: string): Promise<boolean>;
}

export const seed: Contestant = {
  name: "@ephemeral-broker/core",
  missing: () => undefined,
  start: (directory) => {
    const name = `bench-${process.pid}`;
    const address = join(directory, `broker-${name}.sock`);
    const argv = ["node", join(import.meta.dir, "seed-server.mjs"), name];
    return startServer(["env", `TMPDIR=${directory}`, ...argv], address);
  },
  open: async (address) => {
    const { Client } = (await import("@ephemeral-broker/core")) as unknown as {
      Client: new (pipe: string) => SeedClient;
    };
    const client = new Client(address);
    const workerId = `bench-${process.pid}`;
    return {
      set: (key, value) => client.set(key, value, 600_000),
      get: (key) => client.get(key),
      lockAndUnlock: async (name) => {
        await client.lease(name, workerId, 30_000);
        await client.release(workerId);
      },
      close: () => {},
    };
  },
};
