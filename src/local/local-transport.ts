/**
 * Bytes between a client and a broker of the same process: what one end sends, the other gets once that has returned, in
 * order. Takes everything at once, as memory does; knows no frames.
 */
import type { Connection } from "../broker/connections/connection.ts";
import type { Connections } from "../broker/connections/connections.ts";
import type { Socket } from "../broker/connections/socket.ts";
import { pipeReader } from "../client/transports/line-reader.ts";
import type { Transport, TransportHandlers } from "../client/transports/transport.ts";
import type { ClientCodec, MessageReader } from "../protocol/codec.ts";
import type { Errands } from "./errands.ts";

/** Timers take at most so many milliseconds; this one only keeps the process alive. */
const holdMs = 2 ** 31 - 1;

export interface LocalParts {
  readonly connections: Connections;
  readonly errands: Errands;
}

export interface LocalTransportOptions {
  readonly endpoint: string;
  /** JSON unless told. */
  readonly codec?: ClientCodec | undefined;
}

export class LocalTransport implements Transport {
  readonly endpoint: string;
  readonly unsentBytes = 0;
  readonly #connections: Connections;
  readonly #errands: Errands;
  readonly #reader: MessageReader;
  readonly #encoder = new TextEncoder();
  #connection: Connection | undefined;
  #handlers: TransportHandlers | undefined;
  /** What the broker does not read yet: it has stopped reading for a while. */
  #held: Uint8Array[] | undefined;
  #hold: ReturnType<typeof setInterval> | undefined;

  constructor({ connections, errands }: LocalParts, options: LocalTransportOptions) {
    this.endpoint = options.endpoint;
    this.#connections = connections;
    this.#errands = errands;
    this.#reader = pipeReader(options);
    this.ref();
  }

  open(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    this.#errands.run(() => {
      if (this.#handlers === undefined) return;
      this.#connection = this.#connections.open(this.#socket(), { door: "pipe", pid: process.pid });
      if (this.#connection === undefined) this.#closed();
      else handlers.onOpen();
    });
  }

  send(data: string | Uint8Array): void {
    // A copy: the bytes are the caller's again when this returns.
    const bytes = typeof data === "string" ? this.#encoder.encode(data) : Uint8Array.from(data);
    this.#errands.run(() => this.#receive(bytes));
  }

  close(): void {
    this.unref();
    this.#handlers = undefined;
    this.#errands.run(() => this.#connection?.disconnected());
  }

  ref(): void {
    this.#hold ??= setInterval(() => {}, holdMs);
  }

  unref(): void {
    clearInterval(this.#hold);
    this.#hold = undefined;
  }

  #receive(bytes: Uint8Array): void {
    if (this.#held === undefined) this.#connection?.receive(bytes);
    else this.#held.push(bytes);
  }

  /** The broker's end. */
  #socket(): Socket {
    return {
      write: (data) => {
        const bytes = typeof data === "string" ? this.#encoder.encode(data) : Uint8Array.from(data);
        queueMicrotask(() => this.#handlers?.onData((onMessage) => this.#reader.read(bytes, onMessage)));
        return bytes.length;
      },
      pause: () => {
        this.#held ??= [];
      },
      resume: () => {
        const held = this.#held ?? [];
        this.#held = undefined;
        for (const bytes of held) this.#receive(bytes);
      },
      end: () => queueMicrotask(() => this.#closed()),
    };
  }

  #closed(): void {
    this.unref();
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.onClose(undefined);
  }
}
