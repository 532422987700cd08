/**
 * The pipe: a unix socket, or a named pipe on Windows, through `node:net`, which Node and Bun both have. Before it dials it
 * checks that the path fits a socket address and that the socket is ours: whoever owns it could read all we send.
 */
import { connect, type Socket } from "node:net";
import type { ClientCodec, MessageReader } from "../../protocol/codec.ts";
import { pipeReader } from "./line-reader.ts";
import { checkSocketPath } from "./socket-path.ts";
import type { Transport, TransportHandlers } from "./transport.ts";

export class PipeTransport implements Transport {
  readonly endpoint: string;
  readonly #reader: MessageReader;
  #socket: Socket | undefined;
  #isOpen = false;
  #isOver = false;
  #keepsAlive = true;

  constructor(path: string, options: { readonly codec?: ClientCodec } = {}) {
    this.endpoint = path;
    this.#reader = pipeReader(options);
  }

  get unsentBytes(): number {
    return this.#socket?.writableLength ?? 0;
  }

  open(handlers: TransportHandlers): void {
    let failure: Error | undefined;
    const onClose = (): void => {
      if (this.#isOver) return;
      this.#isOver = true;
      handlers.onClose(failure);
    };
    try {
      checkSocketPath(this.endpoint);
    } catch (error) {
      failure = error instanceof Error ? error : new Error(`${error}`);
      queueMicrotask(onClose);
      return;
    }
    const socket = connect(this.endpoint);
    this.#socket = socket;
    if (!this.#keepsAlive) socket.unref();
    socket.on("connect", () => {
      this.#isOpen = true;
      if (!this.#isOver) handlers.onOpen();
    });
    socket.on("data", (chunk: Uint8Array) => {
      if (!this.#isOver) handlers.onData((onMessage) => this.#reader.read(chunk, onMessage));
    });
    // An error is followed by close; the end of the peer's half by close too, as we allow no half-open socket.
    socket.on("error", (error) => {
      failure = error;
    });
    socket.on("close", onClose);
  }

  send(data: string | Uint8Array): void {
    this.#socket?.write(data);
  }

  close(): void {
    this.#isOver = true;
    const socket = this.#socket;
    if (socket === undefined) return;
    socket.unref();
    if (this.#isOpen) socket.end(() => socket.destroy());
    else socket.destroy();
  }

  ref(): void {
    this.#keepsAlive = true;
    this.#socket?.ref();
  }

  unref(): void {
    this.#keepsAlive = false;
    this.#socket?.unref();
  }
}
