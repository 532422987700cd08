/**
 * Many connections of one process to one broker: opened some at a time, written to however much the kernel takes, read or
 * not, dropped all at once. Knows how many lines and bytes came back on each, and the last of the lines.
 */
import type { Socket } from "bun";

type PeerSocket = Socket<undefined>;

/** Dialled at the same time: a burst past the backlog of the broker's socket would be refused by the kernel. */
const dialledAtOnceMax = 100;
const dialMsMax = 5000;
const refused = Buffer.from('"ok":false');

/** One connection. */
export class Peer {
  receivedBytes = 0;
  writtenBytes = 0;
  lines = 0;
  /** Lines that were refusals, as far as they came in one piece. */
  refusals = 0;
  /** The last line that came, as far as it came in one piece. */
  lastLine = "";
  isClosed = false;
  #socket: PeerSocket | undefined;
  #unsent: Uint8Array[] = [];
  #changed = Promise.withResolvers<void>();

  async dial(pipe: string): Promise<this> {
    const deadline = performance.now() + dialMsMax;
    for (;;) {
      try {
        this.#socket = await this.#connect(pipe);
        return this;
      } catch (error) {
        // The runtime's name for EAGAIN: there is no room behind those who have dialled and are not let in yet.
        if (performance.now() > deadline) throw error;
        await Bun.sleep(1);
      }
    }
  }

  #connect(pipe: string): Promise<PeerSocket> {
    return Bun.connect({
      unix: pipe,
      allowHalfOpen: true,
      socket: {
        data: (_socket, chunk) => this.#received(chunk),
        drain: () => this.#flush(),
        end: () => this.#ended(),
        close: () => this.#ended(),
        error: () => this.#ended(),
      },
    });
  }

  /** Writes what the kernel takes, now and whenever it takes more. */
  write(data: string | Uint8Array): void {
    this.#unsent.push(typeof data === "string" ? Buffer.from(data) : data);
    this.#flush();
  }

  say(command: object): void {
    this.write(`${JSON.stringify(command)}\n`);
  }

  /** Resolves when the broker has closed the connection. */
  async closed(): Promise<void> {
    while (!this.isClosed) await this.#changed.promise;
  }

  /** Resolves when `condition` holds of this peer, looked at whenever something comes. Rejects when it is closed before. */
  async until(condition: (peer: this) => boolean): Promise<this> {
    while (!condition(this)) {
      if (this.isClosed) throw new Error(`the broker closed the connection; its last line: ${this.lastLine}`);
      await this.#changed.promise;
    }
    return this;
  }

  /** Says `command` on a connection of which every answer is a line, and resolves to the answer. */
  async ask(command: object): Promise<Record<string, unknown>> {
    const lines = this.lines + 1;
    this.say(command);
    await this.until((peer) => peer.lines >= lines);
    return JSON.parse(this.lastLine) as Record<string, unknown>;
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Closes our half. */
  finish(): void {
    this.#socket?.shutdown();
  }

  drop(): void {
    this.#unsent = [];
    this.#socket?.terminate();
  }

  #received(chunk: Uint8Array): void {
    this.receivedBytes += chunk.length;
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.lines++;
      if (Buffer.from(chunk.buffer, chunk.byteOffset + start, end - start).includes(refused)) this.refusals++;
      if (end === chunk.length - 1) this.lastLine = Buffer.from(chunk.subarray(start, end)).toString();
      start = end + 1;
    }
    this.#tell();
  }

  #flush(): void {
    for (let bytes = this.#unsent[0]; bytes !== undefined && !this.isClosed; bytes = this.#unsent[0]) {
      const written = Math.max(this.#socket?.write(bytes) ?? 0, 0);
      this.writtenBytes += written;
      if (written < bytes.length) {
        this.#unsent[0] = bytes.subarray(written);
        return;
      }
      this.#unsent.shift();
    }
    this.#tell();
  }

  #ended(): void {
    this.isClosed = true;
    this.#tell();
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** `count` open connections, dropped together at the end of their scope. */
export async function openCrowd(pipe: string, count: number): Promise<readonly Peer[] & Disposable> {
  const peers: Peer[] = [];
  while (peers.length < count) {
    const batch = Math.min(dialledAtOnceMax, count - peers.length);
    peers.push(...(await Promise.all(Array.from({ length: batch }, () => new Peer().dial(pipe)))));
  }
  return Object.assign(peers, { [Symbol.dispose]: () => dropAll(peers) });
}

function dropAll(peers: readonly Peer[]): void {
  for (const peer of peers) peer.drop();
}
