/** A real broker in a private temporary directory, and a bare line client to talk to it byte by byte. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningBroker, type StartParts, startBroker } from "../../src/broker/broker.ts";
import { type BrokerOptions, brokerConfig } from "../../src/broker/config.ts";

/** A private directory that is removed at the end of its scope. */
export function temporaryDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "ephemeral-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A running broker, stopped and removed at the end of its scope. */
export async function testBroker(
  options: BrokerOptions = {},
  parts?: StartParts,
): Promise<RunningBroker & AsyncDisposable> {
  const directory = temporaryDirectory();
  const broker = await startBroker(brokerConfig({ ...options, runRoot: join(directory.path, "run") }), parts);
  return {
    ...broker,
    async [Symbol.asyncDispose]() {
      await broker.stop();
      directory[Symbol.dispose]();
    },
  };
}

/** A client without manners: writes any bytes, reads lines. */
export interface LineClient extends Disposable {
  /** Writes text or bytes as they are. */
  write(data: string | Uint8Array): void;
  /** Writes one command as a line and returns nothing: read the answer with `next`. */
  say(command: object): void;
  /** The next line as an object; rejects when the connection closes first. */
  next(): Promise<Record<string, unknown>>;
  /** Says `command` and reads the next line. */
  ask(command: object): Promise<Record<string, unknown>>;
  /** Resolves when the broker has closed the connection. */
  readonly closed: Promise<void>;
}

export async function lineClient(pipe: string): Promise<LineClient> {
  const lines: Record<string, unknown>[] = [];
  const readers: PromiseWithResolvers<Record<string, unknown>>[] = [];
  const closed = Promise.withResolvers<void>();
  let isClosed = false;
  let text = "";
  const decoder = new TextDecoder();
  let unsent = Buffer.alloc(0);
  const socket = await Bun.connect({
    unix: pipe,
    socket: {
      data(_socket, chunk) {
        text += decoder.decode(chunk, { stream: true });
        const whole = text.split("\n");
        text = whole.pop() ?? "";
        for (const line of whole) {
          const message = JSON.parse(line) as Record<string, unknown>;
          const reader = readers.shift();
          if (reader === undefined) lines.push(message);
          else reader.resolve(message);
        }
      },
      drain(socket) {
        unsent = unsent.subarray(Math.max(socket.write(unsent), 0));
      },
      close() {
        isClosed = true;
        closed.resolve();
        for (const reader of readers.splice(0)) reader.reject(new Error("the broker closed the connection"));
      },
    },
  });
  const write = (data: string | Uint8Array): void => {
    unsent = Buffer.concat([unsent, Buffer.from(data as string)]);
    unsent = unsent.subarray(Math.max(socket.write(unsent), 0));
  };
  const next = (): Promise<Record<string, unknown>> => {
    const line = lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (isClosed) return Promise.reject(new Error("the broker closed the connection"));
    const reader = Promise.withResolvers<Record<string, unknown>>();
    readers.push(reader);
    return reader.promise;
  };
  const say = (command: object): void => write(`${JSON.stringify(command)}\n`);
  return {
    write,
    say,
    next,
    ask: (command) => {
      say(command);
      return next();
    },
    closed: closed.promise,
    [Symbol.dispose]: () => socket.terminate(),
  };
}
