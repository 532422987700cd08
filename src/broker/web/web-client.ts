/**
 * One WebSocket: the runtime's as a connection uses it, and the doorkeeper of that connection. Writes are taken whole or not
 * at all, and nothing is dropped: what the runtime has not sent yet bounds what it is given.
 */
import type { ServerWebSocket } from "bun";
import { closeCodes } from "../../protocol/errors.ts";
import type { Connection } from "../connections/connection.ts";
import type { Closing, Socket } from "../connections/socket.ts";
import type { Wire } from "../connections/wire.ts";
import type { Doorkeeper } from "../gates/doorkeeper.ts";
import type { Gate } from "../gates/gate.ts";
import type { FailedAddresses } from "./failed-addresses.ts";
import type { LastText } from "./last-text.ts";
import type { Watched, Watchman } from "./watchman.ts";

/** The same for all of a door. */
export interface WebClientParts {
  readonly watchman: Watchman;
  readonly failed: FailedAddresses;
  readonly lastText: LastText;
  readonly frameBytesMax: number;
}

/** Text or maps, how they are read, what lets them in, and from where they come. */
export interface WebClientOptions {
  readonly wire: Wire;
  readonly gate: Gate;
  readonly address: string;
}

export type WebSocketOf = ServerWebSocket<WebClient>;

/** The runtime holds at most this and one write more. */
const unsentBytesMax = 256 * 1024;
const normalClosure = 1000;

export class WebClient implements Socket, Doorkeeper, Watched {
  readonly wire: Wire;
  readonly gate: Gate;
  readonly #address: string;
  readonly #parts: WebClientParts;
  #socket: WebSocketOf | undefined;
  #connection: Connection | undefined;
  /** While the runtime holds our ping: what it was given before, and what of all the kernel had taken at the last look. */
  #ping: { readonly behindBytes: number; takenBytes: number } | undefined;

  constructor(parts: WebClientParts, { wire, gate, address }: WebClientOptions) {
    this.#parts = parts;
    this.wire = wire;
    this.gate = gate;
    this.#address = address;
  }

  /** The upgrade is done. `connect` makes the connection of this client; undefined refuses it. */
  opened(socket: WebSocketOf, connect: (client: WebClient) => Connection | undefined): void {
    this.#socket = socket;
    this.#connection = connect(this);
    if (this.#connection === undefined) this.end({ code: closeCodes.connectionLimit, reason: "too many connections" });
    else this.#parts.watchman.opened(this);
  }

  received(message: string | Uint8Array): void {
    const isText = typeof message === "string";
    if (isText !== this.#speaksText) {
      this.#connection?.close(
        closeCodes.badRequest,
        `frames of ${this.wire.codec.name} are ${this.#speaksText ? "text" : "binary"}`,
      );
    } else if (isText) {
      // A message is whole: its last line need not have an end of its own.
      this.#connection?.receive(Buffer.from(`${message}\n`));
    } else this.#connection?.receive(message);
  }

  drained(): void {
    this.#seePingOff();
    this.#connection?.drained();
  }

  closed(): void {
    this.#parts.watchman.left(this);
    this.#connection?.disconnected();
  }

  get #speaksText(): boolean {
    return this.wire.codec.name === "json";
  }

  write(data: string | Uint8Array): number {
    const socket = this.#socket;
    if (socket === undefined || socket.getBufferedAmount() > unsentBytesMax) return 0;
    if (this.#ping !== undefined) this.#seePingOff();
    const bytes = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    return this.#send(socket, data) === 0 ? 0 : bytes;
  }

  #send(socket: WebSocketOf, data: string | Uint8Array): number {
    return this.#speaksText ? socket.sendText(this.#parts.lastText.of(data)) : socket.sendBinary(Buffer.from(data));
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  end(why?: Closing): void {
    this.#parts.watchman.leaving(this);
    this.#socket?.close(why?.code ?? normalClosure, why?.reason);
  }

  greeted(): void {
    this.wire.decoder.frameBytesMax = this.#parts.frameBytesMax;
    this.#parts.watchman.greeted(this);
  }

  answered(): void {
    this.#parts.watchman.answered(this);
  }

  authFailed(): void {
    this.#parts.failed.add(this.#address);
  }

  /** Before all that waits in the outbox: whoever reads slowly would hear it too late. */
  ping(): void {
    if (this.#socket === undefined) return;
    this.#send(this.#socket, this.wire.codec.encode({ push: "ping" }));
    this.#ping = { behindBytes: this.#givenBytes, takenBytes: this.#takenBytes };
    this.#seePingOff();
  }

  cannotAnswer(): boolean {
    if (this.#connection?.isPaused === true) return true;
    if (this.#ping === undefined) return false;
    const before = this.#ping.takenBytes;
    this.#ping.takenBytes = this.#takenBytes;
    return this.#ping.takenBytes > before;
  }

  get #givenBytes(): number {
    return this.#connection?.tally.sentBytes ?? 0;
  }

  /** At least: what the runtime holds has the heads of its messages, too. */
  get #takenBytes(): number {
    return this.#givenBytes - (this.#socket?.getBufferedAmount() ?? 0);
  }

  #seePingOff(): void {
    if (this.#ping === undefined || this.#takenBytes < this.#ping.behindBytes) return;
    this.#ping = undefined;
    this.#parts.watchman.pinged(this);
  }

  cut(code: number, reason: string): void {
    this.#connection?.cut(code, reason);
  }

  terminate(): void {
    this.#socket?.terminate();
  }
}
