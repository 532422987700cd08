/**
 * The pipe over Bun's own sockets: `node:net` there takes 4 ms to load, most of what a thin command costs beyond the runtime
 * itself, and half as much again for each command that goes alone. Tells apart a broker that is not there from one that is
 * lost.
 */
import type { ClientCodec, MessageReader } from "../../protocol/codec.ts";
import { pipeReader } from "./line-reader.ts";
import { checkSocketPath } from "./socket-path.ts";
import type { Transport, TransportHandlers } from "./transport.ts";

export interface BunPipeOptions {
  /** JSON unless told. */
  readonly codec?: ClientCodec;
  /** Called when nobody listens there, before the handlers hear that it could not open. */
  readonly onAbsent?: () => void;
}

type Phase = "new" | "open" | "closing" | "over";

export class BunPipeTransport implements Transport {
  readonly endpoint: string;
  readonly #onAbsent: (() => void) | undefined;
  readonly #reader: MessageReader;
  readonly #encoder = new TextEncoder();
  #handlers: TransportHandlers | undefined;
  #socket: Bun.Socket | undefined;
  #phase: Phase = "new";
  #keepsAlive = true;
  /** What the kernel has not taken: Bun buffers nothing. */
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;

  constructor(path: string, options: BunPipeOptions = {}) {
    this.endpoint = path;
    this.#onAbsent = options.onAbsent;
    this.#reader = pipeReader(options);
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  open(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    this.#dial().catch((error: unknown) => {
      const isAbsent = error instanceof Error && "code" in error && absentCodes.has(error.code);
      if (isAbsent) this.#onAbsent?.();
      this.#end(error instanceof Error ? error : new Error(`${error}`));
    });
  }

  send(data: string | Uint8Array): void {
    const bytes = typeof data === "string" ? this.#encoder.encode(data) : data;
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    if (this.#unsent.length === 1) this.#flush();
  }

  close(): void {
    const isOpen = this.#phase === "open";
    this.#phase = isOpen && this.#unsentBytes > 0 ? "closing" : "over";
    if (this.#phase === "over") this.#socket?.end();
  }

  ref(): void {
    this.#keepsAlive = true;
    this.#socket?.ref();
  }

  unref(): void {
    this.#keepsAlive = false;
    this.#socket?.unref();
  }

  async #dial(): Promise<void> {
    checkSocketPath(this.endpoint);
    await Bun.connect({
      unix: this.endpoint,
      socket: {
        binaryType: "uint8array",
        open: (socket) => this.#opened(socket),
        data: (_, chunk) => {
          if (this.#phase === "open") this.#handlers?.onData((onMessage) => this.#reader.read(chunk, onMessage));
        },
        drain: () => this.#flush(),
        error: (_, error) => this.#end(error),
        close: () => this.#end(undefined),
      },
    });
  }

  #opened(socket: Bun.Socket): void {
    this.#socket = socket;
    if (this.#phase !== "new") {
      socket.end();
      return;
    }
    this.#phase = "open";
    if (!this.#keepsAlive) socket.unref();
    this.#handlers?.onOpen();
  }

  /** Hands on as much as the kernel takes. */
  #flush(): void {
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const taken = Math.max(0, this.#socket?.write(first) ?? 0);
      this.#unsentBytes -= taken;
      if (taken < first.length) {
        this.#unsent[0] = first.subarray(taken);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#phase === "closing") this.close();
  }

  #end(error: Error | undefined): void {
    const isOver = this.#phase === "closing" || this.#phase === "over";
    this.#phase = "over";
    if (!isOver) this.#handlers?.onClose(error);
  }
}

/** There is no such file, or nobody behind it. */
const absentCodes: ReadonlySet<unknown> = new Set(["ENOENT", "ECONNREFUSED"]);
