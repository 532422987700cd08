/**
 * A WebSocket, by the class that browsers, Bun and Node from 22 on have, or one that is handed in. Silence is its death: a
 * broker asks regularly whether we are there, and a network may be gone without a word. Knows nothing of commands.
 */
import type { WebFraming } from "../../protocol/codec.ts";
import { mayReconnect } from "../../protocol/errors.ts";
import { EphemeralError } from "../client.ts";
import type { CancelTimer, ClientClock } from "../client-clock.ts";
import { closeOf } from "../connection/loss.ts";
import type { Transport, TransportHandlers } from "./transport.ts";

/** What we use of the class. */
export type WebSocketClass = new (url: string, subprotocols: string[]) => WebSocketLike;

/** What we use of a WebSocket; `ws` has it, too. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
}

/** @internal */
export interface WebSocketParts {
  readonly url: string;
  readonly WebSocket: WebSocketClass;
  readonly framing: WebFraming;
  readonly clock: ClientClock;
  /** How long the broker may be silent; Infinity before it has told. */
  readonly silenceMsMax: () => number;
}

/** Silence is looked for this often at least, until the broker has told how often it asks. */
const lookMsMax = 10_000;

/** @internal */
export class WebSocketTransport implements Transport {
  readonly endpoint: string;
  readonly #parts: WebSocketParts;
  #socket: WebSocketLike | undefined;
  #handlers: TransportHandlers | undefined;
  #heardAtMs = 0;
  #stopLooking: CancelTimer | undefined;

  constructor(parts: WebSocketParts) {
    this.endpoint = parts.url;
    this.#parts = parts;
  }

  get unsentBytes(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  open(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    const { url, WebSocket, framing } = this.#parts;
    let reason: string | undefined;
    const socket = this.#dial(() => new WebSocket(url, [framing.subprotocol]));
    if (socket === undefined) return;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#hear();
      this.#look();
      this.#handlers?.onOpen();
    };
    socket.onmessage = ({ data }: { readonly data: string | ArrayBuffer }) => {
      this.#hear();
      this.#handlers?.onData((onMessage) => framing.read(data, onMessage));
    };
    // Browsers say nothing of what went wrong.
    socket.onerror = ({ message }: { readonly message?: string }) => {
      reason = message;
    };
    socket.onclose = (event: { readonly code: number; readonly reason: string }) => this.#closed(event, reason);
  }

  send(data: string | Uint8Array): void {
    for (const message of this.#parts.framing.messages(data)) this.#socket?.send(message);
  }

  /** Answers the broker's question whether we are there. */
  pong(): void {
    this.#socket?.send(this.#parts.framing.pong);
  }

  close(): void {
    this.#handlers = undefined;
    this.#stopLooking?.();
    this.#socket?.close();
  }

  /** No class has a way to let the process end with an open WebSocket: it is closed for that. */
  ref(): void {}

  unref(): void {}

  /** A URL that is none is refused where it is dialled. */
  #dial(make: () => WebSocketLike): WebSocketLike | undefined {
    try {
      return make();
    } catch (error) {
      const refusal = new EphemeralError("bad_command", `Cannot connect to ${this.#parts.url}: ${error}`);
      queueMicrotask(() => this.#handlers?.onClose(refusal));
      return undefined;
    }
  }

  #hear(): void {
    this.#heardAtMs = this.#parts.clock.nowMs();
  }

  /** Compares clocks: a page in the background has few timers, and late ones. */
  #look(): void {
    const { clock, silenceMsMax } = this.#parts;
    const leftMs = this.#heardAtMs + silenceMsMax() - clock.nowMs();
    if (leftMs > 0) {
      const alarm = (): void => this.#look();
      this.#stopLooking = clock.after(Math.min(leftMs, lookMsMax), { alarm, keepsAlive: false });
      return;
    }
    const handlers = this.#handlers;
    this.close();
    handlers?.onClose(new Error(`the broker has been silent for ${silenceMsMax()} ms`));
  }

  #closed({ code, reason }: { readonly code: number; readonly reason: string }, error: string | undefined): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.#stopLooking?.();
    if (code >= 3000 && code < 4000) handlers?.onClose(closeOf({ code, reason }).error, !mayReconnect(code));
    else handlers?.onClose(new Error(error || `the WebSocket was closed: ${reason || code}`));
  }
}
