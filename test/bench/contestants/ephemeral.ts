/** Ourselves: the compiled program with our own client, and the same broker asked with bare lines. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../../src/client/client.ts";
import type { Contestant, Running, Session } from "../contestant.ts";
import { lineSession } from "../line-session.ts";

const program = join(import.meta.dir, "../../../dist/ephemeral");

function missing(): string | undefined {
  return existsSync(program) ? undefined : "dist/ephemeral is not built: bun run build";
}

async function start(directory: string): Promise<Running> {
  const broker = Bun.spawn([program, "start", "--items-max", "1000000"], {
    env: { ...process.env, XDG_RUNTIME_DIR: directory, EPHEMERAL_PIPE: undefined, EPHEMERAL_SECRET: undefined },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { value } = await broker.stdout.getReader().read();
  return {
    address: new TextDecoder().decode(value).trim(),
    pid: broker.pid,
    stop: async () => {
      broker.kill("SIGTERM");
      await broker.exited;
    },
  };
}

export const ephemeral: Contestant = {
  name: "ephemeral",
  missing,
  start,
  open: async (address): Promise<Session> => {
    const client = new Client(address);
    await client.ping();
    return {
      set: (key, value) => client.set(key, value, 600_000),
      get: (key) => client.get(key),
      lockAndUnlock: async (name) => {
        const grant = await client.lock(name);
        await grant.release();
      },
      pushAll: (jobs) => client.queue("bench").push(jobs.map((data) => ({ data }))),
      drain: async () => {
        let count = 0;
        // Everybody says so: the last to come finds it said.
        await client.queue("bench").close();
        for await (const _job of client.queue("bench")) count++;
        return count;
      },
      lock: async (name) => {
        const grant = await client.lock(name);
        return () => grant.release();
      },
      close: () => client.close(),
    };
  },
};

export const ephemeralLines: Contestant = {
  name: "ephemeral, bare lines",
  missing,
  start,
  open: (address) => lineSession(address),
};
