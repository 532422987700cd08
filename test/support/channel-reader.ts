/**
 * A subscriber that keeps its place as the protocol tells it to, on sockets whose room a test decides: checks that every
 * message comes once and in order, and that every hole is told. Knows nothing of why one comes.
 */
import type { Connection } from "../../src/broker/connections/connection.ts";
import type { Connections } from "../../src/broker/connections/connections.ts";
import type { Overflow } from "../../src/protocol/pushes.ts";

interface Said {
  readonly id?: number;
  readonly ok?: boolean;
  readonly push?: string;
  readonly epoch?: string;
  readonly offset?: number;
  readonly from?: number;
  readonly to?: number;
  readonly data?: unknown;
  readonly recovered?: boolean;
  readonly messages?: readonly Said[];
  readonly more?: boolean;
}

/** Bytes a socket takes at once, before it is said to be full. */
const plentyBytes = 1_000_000;

export class ChannelReader {
  /** Messages it was told. */
  told = 0;
  /** What must not be. */
  readonly complaints: string[] = [];
  /** Messages that are missing, and that it knows of. */
  lost = 0;
  epoch: string | undefined;
  offset = 0;
  readonly #connections: Connections;
  readonly #overflow: Overflow;
  #connection: Connection | undefined;
  #room = plentyBytes;
  #text = "";
  /** What is pushed while pages are read. */
  #held: Said[] | undefined;
  /** Messages are numbered by their writer, too. */
  #lastNumber = 0;
  /** The last it had; what is after it, up to `offset`, was told to be missing, and may follow where it was kept. */
  #had = 0;

  constructor(options: { readonly connections: Connections; readonly overflow: Overflow }) {
    this.#connections = options.connections;
    this.#overflow = options.overflow;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Dials, if it is not there, and subscribes from where it stands. */
  connect(): void {
    if (this.isConnected) return;
    this.#text = "";
    this.#held = [];
    this.#room = plentyBytes;
    const socket = {
      write: (data: string | Uint8Array): number => this.#take(Buffer.from(data as string)),
      pause: () => {},
      resume: () => {},
      end: () => this.#gone(),
    };
    this.#connection = this.#connections.open(socket, { door: "pipe", pid: undefined });
    const recover = this.epoch === undefined ? undefined : { epoch: this.epoch, offset: this.offset };
    this.#say({ id: 1, action: "subscribe", channel: "c", overflow: this.#overflow, recover });
  }

  /** The connection is gone, with whatever is on its way. */
  cut(): void {
    const connection = this.#connection;
    this.#gone();
    connection?.disconnected();
  }

  /** Takes so many bytes more, and then none. */
  stall(bytes: number): void {
    this.#room = bytes;
  }

  readOn(): void {
    this.#room = plentyBytes;
    this.#connection?.drained();
  }

  #gone(): void {
    this.#connection = undefined;
  }

  #say(command: object): void {
    this.#connection?.receive(Buffer.from(`${JSON.stringify(command)}\n`));
  }

  #take(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.#room);
    this.#room -= taken.length;
    // All that is said here is ASCII: a byte is a character.
    const lines = (this.#text + Buffer.from(taken).toString()).split("\n");
    this.#text = lines.pop() ?? "";
    const connection = this.#connection;
    // Within a write nothing is answered.
    queueMicrotask(() => {
      for (const line of lines) if (this.#connection === connection) this.#hear(JSON.parse(line));
    });
    return taken.length;
  }

  #hear(said: Said): void {
    if (said.id === 1) this.#subscribed(said);
    else if (said.id === 2) this.#page(said);
    else if (said.push === "closing") this.cut();
    else if (this.#held !== undefined) this.#held.push(said);
    else this.#pushed(said);
  }

  #subscribed(reply: Said): void {
    const { epoch = "", offset = 0, recovered } = reply;
    if (recovered === true) {
      if (epoch !== this.epoch) this.complaints.push("recovered, but of another epoch");
      this.#page(reply);
      return;
    }
    if (reply.messages?.length !== 0) this.complaints.push("some of what was missed, not all or nothing");
    if (this.epoch !== undefined) this.lost++;
    this.epoch = epoch;
    this.offset = offset;
    this.#had = offset;
    this.#release();
  }

  #page({ messages = [], more, offset = 0 }: Said): void {
    // Between two pages some of them may have been forgotten: the hole is seen, which is all that can be done about it.
    this.#missing((messages[0]?.offset ?? offset + 1) - 1);
    for (const message of messages) this.#next(message);
    if (more) this.#say({ id: 2, action: "history", channel: "c", since: this.offset });
    else this.#release();
  }

  #missing(offset: number): void {
    this.lost += Math.max(0, offset - this.offset);
    this.offset = Math.max(this.offset, offset);
  }

  /** The last page may have had what was pushed meanwhile. */
  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    const paged = this.offset;
    for (const said of held) if (said.push !== "message" || (said.offset ?? 0) > paged) this.#pushed(said);
  }

  #pushed(said: Said): void {
    const { push, offset = 0, from = 0, to = 0 } = said;
    if (push === "gap") {
      if (from > this.offset + 1) this.complaints.push(`a hole before the gap: at ${this.offset}, gap from ${from}`);
      this.#missing(to);
    } else if (push !== "message") this.complaints.push(`unexpected: ${JSON.stringify(said)}`);
    else if (offset > this.#had && offset <= this.offset) {
      this.lost--;
      this.#note(said);
    } else this.#next(said);
  }

  /** What the next message has to be. */
  #next(said: Said): void {
    const { offset = 0 } = said;
    if (offset <= this.offset) this.complaints.push(`told twice, or out of order: ${offset} at ${this.offset}`);
    if (offset > this.offset + 1) this.complaints.push(`a hole nobody told of: ${offset} at ${this.offset}`);
    this.offset = offset;
    this.#note(said);
  }

  #note({ offset = 0, data }: Said): void {
    this.#had = offset;
    const number = Number.parseInt(String(data), 10);
    if (!(number > this.#lastNumber)) this.complaints.push(`number ${number} behind ${this.#lastNumber}`);
    this.#lastNumber = number;
    this.told++;
  }
}
