/** Redis over its unix socket, through Bun's own client. */
import { join } from "node:path";
import { RedisClient } from "bun";
import type { Contestant } from "../contestant.ts";
import { startServer } from "../server-process.ts";

const unlock = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0";

export const redis: Contestant = {
  name: "Redis (Bun's client)",
  missing: () => (Bun.which("redis-server") === null ? "redis-server is not installed" : undefined),
  start: (directory) => {
    const address = join(directory, "redis");
    const settings = ["--port", "0", "--unixsocket", address, "--save", "", "--appendonly", "no", "--dir", directory];
    return startServer(["redis-server", ...settings], address);
  },
  open: async (address) => {
    const client = new RedisClient(`redis+unix://${address}`);
    await client.connect();
    return {
      set: (key, value) => client.set(key, value, "PX", 600_000),
      get: (key) => client.get(key),
      lockAndUnlock: async (name) => {
        await client.send("SET", [name, "me", "NX", "PX", "30000"]);
        await client.send("EVAL", [unlock, "1", name, "me"]);
      },
      close: () => client.close(),
    };
  },
};
