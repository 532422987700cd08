/** Redlock over ioredis, on one Redis: a key with a time to live; contenders poll with a random delay. */
import type { Contestant } from "../contestant.ts";
import { installed } from "./installed.ts";
import { redis } from "./redis.ts";

interface Redis {
  disconnect(): void;
}
type RedisClass = new (options: { path: string }) => Redis;
type RedlockClass = new (
  clients: readonly Redis[],
  options: { retryCount: number },
) => {
  lock(resource: string, ttl: number): Promise<{ unlock(): Promise<void> }>;
};

/** How long a lock outlives a holder that is killed. */
const ttlMs = 5000;
const forEver = -1;

export const redlock: Contestant = {
  name: "Redlock (ioredis)",
  missing: () => redis.missing() ?? installed.missing("redlock") ?? installed.missing("ioredis"),
  start: (directory) => redis.start(directory),
  open: async (address) => {
    const Client = await installed.load<RedisClass>("ioredis");
    const Redlock = await installed.load<RedlockClass>("redlock");
    const client = new Client({ path: address });
    const locks = new Redlock([client], { retryCount: forEver });
    return {
      lock: async (name) => {
        const lock = await locks.lock(name, ttlMs);
        return () => lock.unlock();
      },
      close: () => client.disconnect(),
    };
  },
};
