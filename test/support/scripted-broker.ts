/**
 * A broker that does what the test tells it, byte by byte: answers late, in the wrong order, by halves, or not at all.
 * Greets by itself unless told not to. Knows no command.
 */
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { temporaryDirectory } from "./broker.ts";

export type Message = Record<string, unknown>;

/** Things in the order they came; whoever asks too early waits. */
class Arrivals<Thing> {
  readonly #things: Thing[] = [];
  readonly #askers: ((thing: Thing) => void)[] = [];

  add(thing: Thing): void {
    const asker = this.#askers.shift();
    if (asker === undefined) this.#things.push(thing);
    else asker(thing);
  }

  next(): Promise<Thing> {
    const thing = this.#things.shift();
    return thing === undefined ? new Promise((resolve) => this.#askers.push(resolve)) : Promise.resolve(thing);
  }

  get size(): number {
    return this.#things.length;
  }
}

export class ScriptedConnection {
  readonly #socket: Socket;
  readonly #commands = new Arrivals<Message>();
  #text = "";
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()));
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      this.#text += chunk.toString("utf8");
      const lines = this.#text.split("\n");
      this.#text = lines.pop() ?? "";
      for (const line of lines) this.#commands.add(JSON.parse(line));
    });
  }

  /** The next command of the client. */
  next(): Promise<Message> {
    return this.#commands.next();
  }

  /** Commands that came and were not asked for. */
  get waiting(): number {
    return this.#commands.size;
  }

  write(data: string | Uint8Array): void {
    this.#socket.write(data);
  }

  say(message: object): void {
    this.write(`${JSON.stringify(message)}\n`);
  }

  /** Answers `command` with `ok` and `fields`. */
  answer(command: Message, fields: object = {}): void {
    this.say({ id: command.id, ok: true, ...fields });
  }

  refuse(
    command: Message,
    fields: { readonly error: string; readonly message: string; readonly [name: string]: unknown },
  ): void {
    this.say({ id: command.id, ok: false, ...fields });
  }

  cut(): void {
    this.#socket.destroy();
  }
}

/** A good reply to `hello`. */
export const helloReply = {
  protocol: 1,
  session: { id: "s1", secret: "0", resumed: false },
  holds: [],
  broker: { version: "0.0.0", epoch: "e", startedAtMs: 0 },
  limits: defaultLimits,
};

export interface ScriptedBroker extends AsyncDisposable {
  readonly pipe: string;
  /** The next connection, its `hello` answered. */
  greeted(): Promise<ScriptedConnection>;
  /** The next connection as it came. */
  accepted(): Promise<ScriptedConnection>;
  /** Connections that came and were not asked for. */
  readonly waiting: number;
}

/** Listens at `pipe`, else in a private directory. */
export async function scriptedBroker(pipe?: string): Promise<ScriptedBroker> {
  const directory = temporaryDirectory();
  const path = pipe ?? join(directory.path, "sock");
  const connections = new Arrivals<ScriptedConnection>();
  const open = new Set<ScriptedConnection>();
  const server = createServer((socket) => {
    const connection = new ScriptedConnection(socket);
    open.add(connection);
    connections.add(connection);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    pipe: path,
    accepted: () => connections.next(),
    async greeted() {
      const connection = await connections.next();
      connection.answer(await connection.next(), helloReply);
      return connection;
    },
    get waiting() {
      return connections.size;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of open) connection.cut();
      await new Promise((resolve) => server.close(resolve));
      directory[Symbol.dispose]();
    },
  };
}
