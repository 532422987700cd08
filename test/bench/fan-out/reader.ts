/** One socket that reads what is fanned out: counts the marks, and reads the time behind each when it is asked to. */
import type { Socket } from "bun";
import { type Dialect, mark, upgradeRequest, webSocketFrame } from "./dialect.ts";

export interface Address {
  /** A unix socket, or a port of this machine. */
  readonly path?: string;
  readonly port?: number;
  /** What a greeting may need. */
  readonly secret?: string;
}

export interface ReaderOptions {
  readonly dialect: Dialect;
  readonly address: Address;
  /** Whether it reads; else it only writes. */
  readonly isReader: boolean;
  /** Told how many messages a read brought. */
  readonly received: (messages: number) => void;
  /** Told when each was sent, where somebody wants to know. */
  readonly sentAt?: (microseconds: number) => void;
}

const markByte = mark.charCodeAt(0);
/** Digits behind the mark. */
export const timeDigits = 14;

export class Reader {
  readonly #options: ReaderOptions;
  #socket: Socket | undefined;
  #isUpgraded: boolean;
  /** Of a message that a read has cut. */
  #rest = Buffer.alloc(0);
  #unsent: Buffer[] = [];
  count = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#isUpgraded = options.dialect.upgradePath === undefined;
  }

  async open(): Promise<void> {
    const { dialect, address } = this.#options;
    const handlers = {
      data: (_socket: Socket, chunk: Buffer) => this.#receive(chunk),
      drain: () => this.#flush(),
    };
    this.#socket =
      address.path === undefined
        ? await Bun.connect({ hostname: "127.0.0.1", port: address.port ?? 0, socket: handlers })
        : await Bun.connect({ unix: address.path, socket: handlers });
    if (this.#isUpgraded) this.#greet();
    else this.#socket.write(upgradeRequest(dialect, address.port ?? 0));
  }

  publish(texts: readonly string[]): void {
    this.#say(texts.map((text) => this.#options.dialect.publish(text)));
  }

  #greet(): void {
    const { dialect, address, isReader } = this.#options;
    const { secret = "" } = address;
    const text = isReader ? dialect.greetReader(secret) : dialect.greetWriter(secret);
    if (text !== "") this.#say([text]);
  }

  #say(texts: readonly string[]): void {
    const isWeb = this.#options.dialect.upgradePath !== undefined;
    this.#unsent.push(Buffer.concat(texts.map((text) => (isWeb ? webSocketFrame(text) : Buffer.from(text)))));
    this.#flush();
  }

  #flush(): void {
    for (let bytes = this.#unsent.shift(); bytes !== undefined; bytes = this.#unsent.shift()) {
      const written = Math.max(0, this.#socket?.write(bytes) ?? 0);
      if (written === bytes.length) continue;
      this.#unsent.unshift(bytes.subarray(written));
      return;
    }
  }

  #receive(chunk: Buffer): void {
    if (!this.#isUpgraded) {
      if (!chunk.includes("\r\n\r\n")) throw new Error(`not upgraded: ${chunk}`);
      this.#isUpgraded = true;
      this.#greet();
      return;
    }
    const { received, sentAt } = this.#options;
    let messages = 0;
    for (let at = chunk.indexOf(markByte); at !== -1; at = chunk.indexOf(markByte, at + 1)) messages++;
    this.count += messages;
    if (sentAt !== undefined) this.#readTimes(chunk, sentAt);
    if (messages > 0) received(messages);
  }

  #readTimes(chunk: Buffer, sentAt: (microseconds: number) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = bytes.indexOf(markByte);
    while (at !== -1 && at + timeDigits < bytes.length) {
      sentAt(Number(bytes.toString("latin1", at + 1, at + 1 + timeDigits)));
      at = bytes.indexOf(markByte, at + 1);
    }
    this.#rest = at === -1 ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  }
}
