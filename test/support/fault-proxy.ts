/**
 * A bad line between clients and a broker, over real sockets: it carries what is said both ways, and does to each connection
 * what a script of rules says. Knows neither frames nor commands, but for where a line ends.
 */
import { rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from "node:net";
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";
import { Lane } from "./fault-lane.ts";
import type { Random } from "./random.ts";

/** `up` is from the client to the broker. */
export type Direction = "up" | "down";

/** What is done to one connection, counted in the bytes that went one way. */
export type Fault =
  /** It is closed as soon as it is there. */
  | { readonly kind: "refuse" }
  /** Both sides lose it, without a farewell. */
  | { readonly kind: "cut"; readonly direction: Direction; readonly afterBytes: number }
  /** From then on what is said this way goes nowhere, and nobody is told; both are cut `forMs` later. */
  | { readonly kind: "half-open"; readonly direction: Direction; readonly afterBytes: number; readonly forMs: number }
  /** Everything takes so long, in its order; `jitterMs` more at most. */
  | { readonly kind: "delay"; readonly direction: Direction; readonly delayMs: number; readonly jitterMs: number }
  /** It comes in pieces of at most so many bytes. */
  | { readonly kind: "split"; readonly direction: Direction; readonly bytesMax: number }
  /** Nothing more is read for so long. */
  | { readonly kind: "stall"; readonly direction: Direction; readonly afterBytes: number; readonly forMs: number }
  /** One byte becomes one that no text has. */
  | { readonly kind: "corrupt"; readonly direction: Direction; readonly afterBytes: number }
  /** The first whole line from there on comes twice. */
  | { readonly kind: "duplicate"; readonly direction: Direction; readonly afterBytes: number };

export interface FaultProxyOptions {
  /** Where the broker is, looked at for each connection. */
  readonly target: () => NetConnectOpts;
  readonly door: "pipe" | "tcp";
  /** What is done to the connection of this number, from 0. */
  readonly script: (connection: number) => readonly Fault[];
  readonly random: Random;
}

export interface FaultProxy extends AsyncDisposable {
  /** Path of its socket, or its port, to be dialled in the broker's place. */
  readonly pipe: string;
  readonly port: number;
  /** Connections so far. */
  readonly connections: number;
  /** How often something was done, by kind. */
  readonly done: ReadonlyMap<Fault["kind"], number>;
  /** Cuts all that are open. */
  cutAll(): void;
}

export async function faultProxy({ target, door, script, random }: FaultProxyOptions): Promise<FaultProxy> {
  const directory = temporaryDirectory();
  const pipe = join(directory.path, "proxy.sock");
  const open = new Set<Socket>();
  const done = new Map<Fault["kind"], number>();
  const count = (kind: Fault["kind"]): void => void done.set(kind, (done.get(kind) ?? 0) + 1);
  let connections = 0;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const faults = script(connections++);
    if (faults.some(({ kind }) => kind === "refuse")) {
      count("refuse");
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    const broker = connect({ ...target(), allowHalfOpen: true });
    const cut = (): void => {
      client.destroy();
      broker.destroy();
    };
    for (const socket of [client, broker]) {
      open.add(socket);
      socket.on("error", cut);
      socket.on("close", () => {
        open.delete(socket);
        cut();
      });
    }
    const shared = { faults, random, cut, count };
    new Lane({ ...shared, direction: "up", from: client, to: broker });
    new Lane({ ...shared, direction: "down", from: broker, to: client });
  });
  await new Promise<void>((resolve) => server.listen(door === "pipe" ? { path: pipe } : { port: 0 }, resolve));
  const cutAll = (): void => {
    for (const socket of [...open]) socket.destroy();
  };
  return {
    pipe,
    port: door === "tcp" ? (server.address() as AddressInfo).port : 0,
    get connections() {
      return connections;
    },
    done,
    cutAll,
    async [Symbol.asyncDispose]() {
      server.close();
      cutAll();
      rmSync(pipe, { force: true });
      directory[Symbol.dispose]();
    },
  };
}
