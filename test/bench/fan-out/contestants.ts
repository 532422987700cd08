/** Everybody who hands one message to many, each as a process of its own that is dialled over loopback. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { installed } from "../contestants/installed.ts";
import { startServer } from "../server-process.ts";
import type { Address } from "./reader.ts";

export interface FanOutServer {
  readonly address: Address;
  readonly pid: number;
  stop(): Promise<void>;
}

export interface FanOutContestant {
  readonly name: string;
  /** How its clients speak. */
  readonly dialect: string;
  /** Why it cannot take part here; undefined when it can. */
  missing(): string | undefined;
  start(directory: string): Promise<FanOutServer>;
}

const program = join(import.meta.dir, "../../../dist/ephemeral");
const notBuilt = (): string | undefined =>
  existsSync(program) ? undefined : "dist/ephemeral is not built: bun run build";
const notOnPath = (name: string): string | undefined =>
  Bun.which(name) === null ? `${name} is not installed` : undefined;
const folder = join(import.meta.dir, "..");
const servers = join(import.meta.dir, "servers");

const secret = "0123456789abcdef".repeat(4);

/** Ourselves, by one of the doors; environment as a user's who has no other broker. */
const ourselves = (name: string, dialect: string, isWeb = dialect !== "ephemeral"): FanOutContestant => ({
  name,
  dialect,
  missing: notBuilt,
  start: async (directory) => {
    const { line, ...server } = await startPrinting([program, "start", ...(isWeb ? ["--port", "0"] : [])], {
      ...process.env,
      ...{ XDG_RUNTIME_DIR: directory, EPHEMERAL_PIPE: undefined, EPHEMERAL_SECRET: undefined },
      EPHEMERAL_TOKEN: secret,
    });
    const [path = "", url = ""] = line.split("\n");
    return { ...server, address: isWeb ? { port: Number(new URL(url).port), secret } : { path } };
  },
});

export const pipe = ourselves("ephemeral, pipe", "ephemeral");
export const web = ourselves("ephemeral, WebSocket", "ephemeral-web");
/** Who does not read is not closed but told what it missed. */
export const webGap = ourselves("ephemeral, WebSocket, overflow gap", "ephemeral-web-gap");

export const nats: FanOutContestant = {
  name: "NATS",
  dialect: "nats",
  missing: () => notOnPath("nats-server"),
  start: async (directory) => {
    const argv = ["nats-server", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", directory];
    const server = Bun.spawn(argv, { stdio: ["ignore", "ignore", "ignore"] });
    let port: string | undefined;
    while (port === undefined && server.exitCode === null) {
      await Bun.sleep(10);
      const ports = join(directory, `nats-server_${server.pid}.ports`);
      if (existsSync(ports)) port = /:(\d+)"/.exec(readFileSync(ports, "utf8"))?.[1];
    }
    return { address: { port: Number(port) }, pid: server.pid, stop: () => stop(server) };
  },
};

export const redis: FanOutContestant = {
  name: "Redis pub/sub",
  dialect: "redis",
  missing: () => notOnPath("redis-server"),
  start: async (directory) => {
    const path = join(directory, "redis");
    const settings = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", directory];
    const server = await startServer(["redis-server", ...settings], path);
    return { address: { path }, pid: server.pid ?? 0, stop: server.stop };
  },
};

export const socketIo: FanOutContestant = {
  name: "Socket.IO",
  dialect: "socket.io",
  missing: () => installed.missing("socket.io"),
  start: () => startListening(["node", join(servers, "socket-io-server.mjs"), folder]),
};

export const ws: FanOutContestant = {
  name: "ws on Node",
  dialect: "plain",
  missing: () => installed.missing("ws"),
  start: () => startListening(["node", join(servers, "ws-server.mjs"), folder]),
};

export const native: FanOutContestant = {
  name: "Bun's publish (drops for slow readers)",
  dialect: "plain",
  missing: () => undefined,
  start: () => startListening([process.execPath, join(servers, "native-server.ts")]),
};

async function startListening(argv: readonly string[]): Promise<FanOutServer> {
  const { line, ...server } = await startPrinting(argv, process.env);
  return { ...server, address: { port: Number(line) } };
}

/** Starts what prints where it is when it can be dialled. */
async function startPrinting(
  argv: readonly string[],
  env: Record<string, string | undefined>,
): Promise<Omit<FanOutServer, "address"> & { readonly line: string }> {
  const server = Bun.spawn([...argv], { env, stdio: ["ignore", "pipe", "inherit"] });
  const { value } = await server.stdout.getReader().read();
  if (value === undefined) throw new Error(`${argv.join(" ")} did not come up`);
  return { line: new TextDecoder().decode(value).trim(), pid: server.pid, stop: () => stop(server) };
}

async function stop(server: Bun.Subprocess): Promise<void> {
  server.kill("SIGTERM");
  await server.exited;
}
