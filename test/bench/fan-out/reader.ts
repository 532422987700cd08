/** One socket that reads what is fanned out: counts the marks, and reads the time behind each when it is asked to. */
import type { Socket } from "bun";
import { type Dialect, mark, upgradeRequest, webSocketFrame } from "./dialect.ts";
import { FrameHeaders } from "./frame-headers.ts";

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
  /** What it reads; with none it only writes. */
  readonly channels: readonly string[];
  /** Told how many messages a read brought. */
  readonly received: (messages: number) => void;
  /** Told all that a read brought. */
  readonly said?: (text: string) => void;
  /** Told when each was sent, where somebody wants to know. */
  readonly sentAt?: (microseconds: number) => void;
}

const markByte = mark.charCodeAt(0);
/** Digits behind the mark. */
export const timeDigits = 14;
const headEnd = "\r\n\r\n";

export class Reader {
  readonly #options: ReaderOptions;
  #socket: Socket | undefined;
  #isUpgraded: boolean;
  /** Of a message that a read has cut. */
  #rest = Buffer.alloc(0);
  #unsent: Buffer[] = [];
  readonly #upgraded = Promise.withResolvers<void>();
  readonly #greeted = Promise.withResolvers<void>();
  readonly #headers = new FrameHeaders();
  #hasPaused = false;
  count = 0;
  isClosed = false;
  /** Whether it was told that messages for it were dropped. */
  knowsOfLoss = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#isUpgraded = options.dialect.upgradePath === undefined;
  }

  async open(): Promise<void> {
    const { dialect, address } = this.#options;
    const handlers = {
      data: (_socket: Socket, chunk: Buffer) => this.#receive(chunk),
      drain: () => this.#flush(),
      close: () => {
        this.isClosed = true;
        if (!this.#isUpgraded) this.#upgraded.reject(new Error("closed before it was upgraded"));
      },
    };
    this.#socket =
      address.path === undefined
        ? await Bun.connect({ hostname: "127.0.0.1", port: address.port ?? 0, socket: handlers })
        : await Bun.connect({ unix: address.path, socket: handlers });
    if (!this.#isUpgraded) {
      this.#socket.write(upgradeRequest(dialect, address.port ?? 0));
      await this.#upgraded.promise;
    }
    this.#greet();
    if (dialect.greetedMark !== undefined) await this.#greeted.promise;
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#hasPaused = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  publish(texts: readonly string[]): void {
    const { separator, publish } = this.#options.dialect;
    const said = texts.map(publish);
    this.#say(separator === undefined ? said : [said.join(separator)]);
  }

  #greet(): void {
    const { dialect, address, channels } = this.#options;
    const text = dialect.greet({ secret: address.secret ?? "", channels });
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
    if (this.#isUpgraded) {
      this.#read(chunk);
      return;
    }
    const end = chunk.indexOf(headEnd);
    if (end === -1 || !chunk.includes(" 101 ")) {
      this.#upgraded.reject(new Error(`not upgraded: ${chunk}`));
      return;
    }
    this.#isUpgraded = true;
    this.#upgraded.resolve();
    this.#read(chunk.subarray(end + headEnd.length));
  }

  #read(chunk: Buffer): void {
    const { dialect, received, said, sentAt } = this.#options;
    said?.(chunk.toString());
    if (this.count === 0 && dialect.greetedMark !== undefined && chunk.includes(dialect.greetedMark))
      this.#greeted.resolve();
    if (this.#hasPaused && dialect.lossMark !== undefined) this.knowsOfLoss ||= chunk.includes(dialect.lossMark);
    let messages = dialect.upgradePath === undefined ? 0 : -this.#headers.count(chunk, markByte);
    for (let at = chunk.indexOf(markByte); at !== -1; at = chunk.indexOf(markByte, at + 1)) messages++;
    this.count += messages;
    if (sentAt !== undefined) this.#readTimes(chunk, sentAt);
    if (messages > 0) received(messages);
  }

  #readTimes(chunk: Buffer, sentAt: (microseconds: number) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = bytes.indexOf(markByte);
    while (at !== -1 && at + timeDigits < bytes.length) {
      const atUs = Number(bytes.toString("latin1", at + 1, at + 1 + timeDigits));
      // Not one that stands in a header.
      if (!Number.isNaN(atUs)) sentAt(atUs);
      at = bytes.indexOf(markByte, at + 1);
    }
    this.#rest = at === -1 ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  }
}
