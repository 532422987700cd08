/**
 * What one connection was sent and has not worked off: cuts it into frames, hands them on while that may go on, keeps the
 * rest, and lets the kernel bring no more meanwhile. Going on ends with the connection's turn, or when its owner stops it.
 * Knows nothing of what stands in a frame.
 */
import type { FrameDecoder } from "../../protocol/frame.ts";
import type { Socket } from "./socket.ts";
import type { Turns } from "./turns.ts";

/** What an inbox needs of its owner, the same for all owners. */
export interface InboxHost<Owner> {
  /** Whether nothing more is to be begun, until `goOn` is called. */
  readonly isStopped: (owner: Owner) => boolean;
  /** Handed each frame, valid only during the call. */
  readonly frame: (owner: Owner, frame: Uint8Array) => void;
  /** What was begun before may go on, ahead of what came later. */
  readonly goOn: (owner: Owner) => void;
  /** Everything that has come is worked off. */
  readonly workedOff: (owner: Owner) => void;
  /** The stream cannot be read any further. */
  readonly failed: (owner: Owner, error: unknown) => void;
}

export interface InboxOptions<Owner> {
  readonly decoder: FrameDecoder;
  readonly turns: Turns;
  readonly socket: Pick<Socket, "pause" | "resume">;
  readonly host: InboxHost<Owner>;
}

export class Inbox<Owner> {
  readonly #owner: Owner;
  readonly #decoder: FrameDecoder;
  readonly #turns: Turns;
  readonly #socket: Pick<Socket, "pause" | "resume">;
  readonly #host: InboxHost<Owner>;
  /** What came while nothing could be begun, or behind the frame that was the last of a turn. */
  #held: Uint8Array[] = [];
  #state: "open" | "waiting for a turn" | "closed" = "open";

  constructor(owner: Owner, { decoder, turns, socket, host }: InboxOptions<Owner>) {
    this.#owner = owner;
    this.#decoder = decoder;
    this.#turns = turns;
    this.#socket = socket;
    this.#host = host;
  }

  /** Whether one more frame, or one more command, may be begun. At the end of a turn it may not, and we stand in line for
   *  the next one. */
  mayGoOn(): boolean {
    if (!this.#isReading) return false;
    if (!this.#turns.isOver) return true;
    this.#state = "waiting for a turn";
    this.#socket.pause();
    this.#turns.wait(() => this.#takeTurn());
    return false;
  }

  /** Takes what the kernel brought. */
  receive(chunk: Uint8Array): void {
    this.#turns.begin();
    this.#take(chunk);
  }

  /** Takes up what was stopped. */
  goOn(): void {
    this.#turns.begin();
    if (this.#isReading) this.#workOff();
  }

  /** Whether everything that has come is worked off. */
  get isEmpty(): boolean {
    return this.#isReading && this.#held.length === 0;
  }

  /** Forgets what is held and takes nothing from now on. */
  close(): void {
    this.#state = "closed";
    this.#held = [];
  }

  get #isReading(): boolean {
    return this.#state === "open" && !this.#host.isStopped(this.#owner);
  }

  #takeTurn(): void {
    if (this.#state !== "waiting for a turn") return;
    this.#state = "open";
    if (this.#isReading) this.#workOff();
  }

  #workOff(): void {
    this.#host.goOn(this.#owner);
    const held = this.#held;
    this.#held = [];
    for (const bytes of held) this.#take(bytes);
    if (!this.#isReading) return;
    this.#socket.resume();
    this.#host.workedOff(this.#owner);
  }

  #take(chunk: Uint8Array): void {
    if (this.#state === "closed") return;
    if (!this.#isReading) {
      this.#held.push(chunk.slice());
      return;
    }
    try {
      const taken = this.#decoder.push(chunk, (frame) => this.#takeFrame(frame));
      if (taken < chunk.length) this.#keep(chunk.slice(taken));
    } catch (error) {
      this.#host.failed(this.#owner, error);
    }
  }

  /** What the frames did may have closed us. */
  #keep(rest: Uint8Array): void {
    if (this.#state !== "closed") this.#held.push(rest);
  }

  #takeFrame(frame: Uint8Array): boolean {
    this.#host.frame(this.#owner, frame);
    return this.mayGoOn();
  }
}
