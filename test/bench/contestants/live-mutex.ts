/** live-mutex: a broker of locks over a unix socket, for Node. */
import { join } from "node:path";
import type { Contestant } from "../contestant.ts";
import { startServer } from "../server-process.ts";
import { installed } from "./installed.ts";

interface LiveMutex {
  readonly Client: new (options: {
    udsPath: string;
  }) => {
    ensure(): Promise<unknown>;
    acquire(key: string): Promise<{ id: string }>;
    release(key: string, id: string): Promise<unknown>;
    close(): void;
  };
}

export const liveMutex: Contestant = {
  name: "live-mutex",
  missing: () => installed.missing("live-mutex"),
  start: (directory) => {
    const address = join(directory, "live-mutex");
    return startServer(["node", join(import.meta.dir, "live-mutex-server.cjs"), address], address);
  },
  open: async (address) => {
    const { Client } = await installed.load<LiveMutex>("live-mutex");
    const client = new Client({ udsPath: address });
    await client.ensure();
    return {
      lockAndUnlock: async (name) => {
        const { id } = await client.acquire(name);
        await client.release(name, id);
      },
      lock: async (name) => {
        const { id } = await client.acquire(name);
        return () => client.release(name, id);
      },
      close: () => client.close(),
    };
  },
};
