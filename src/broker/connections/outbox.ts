/**
 * What one connection has been told and its kernel has not taken: everything said in one turn leaves in one write, short
 * writes are kept and continued, and the amount is known in bytes. Knows nothing of frames, sessions or policies.
 */

/** The sending half of a socket. */
export interface ByteSink {
  /** Takes what the kernel takes now, text as UTF-8, and says how many bytes; 0 when there is no room, less when there is
   *  nobody who could ever read them. */
  write(data: string | Uint8Array): number;
}

/** Frames that are bytes are joined for one write up to this size. */
const joinedBytesMax = 256 * 1024;

export class Outbox {
  /** Bytes the kernel has taken so far. */
  sentBytes = 0;
  /** The kernel has said that the peer is gone: to a socket that is paused it says so in no other way. */
  isBroken = false;
  readonly #sink: ByteSink;
  /** Text said in this turn, joined, not yet bytes. */
  #text = "";
  /** Bytes the kernel has not taken, oldest first. */
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #isScheduled = false;
  /** After a short write, until the kernel says that there is room. */
  #isBlocked = false;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Says one frame, at the end of this turn. */
  enqueue(frame: string | Uint8Array): void {
    if (typeof frame === "string") this.#text += frame;
    else {
      this.#encodeText();
      this.#keep(frame);
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Made each time: kept, it would be there for every connection that says nothing.
    queueMicrotask(() => this.#flushAtEndOfTurn());
  }

  /** At least the bytes held; text not yet encoded counts as three bytes a character, its worst case. */
  get bytesAtMost(): number {
    return this.#unsentBytes + this.#text.length * 3;
  }

  get isEmpty(): boolean {
    return this.#unsentBytes === 0 && this.#text === "";
  }

  /** Hands the kernel what it takes. Call again when the socket has room. Returns the bytes still held. */
  flush(): number {
    this.#isBlocked = false;
    if (this.#unsentBytes === 0 && this.#text !== "") this.#writeText();
    else {
      this.#encodeText();
      this.#writeUnsent();
    }
    return this.#unsentBytes;
  }

  /** The common case: all that was said in this turn is text, and nothing is before it. The socket encodes it cheaper than
   *  we could, and no dearer than into a buffer that is kept for it. */
  #writeText(): void {
    const text = this.#text;
    this.#text = "";
    const bytes = Buffer.byteLength(text);
    const written = this.#write(text);
    if (written === bytes) return;
    this.#isBlocked = true;
    this.#keep(Buffer.from(text).subarray(written));
  }

  #writeUnsent(): void {
    // Frames of one turn leave together; joining what has waited longer would only copy it again and again.
    if (this.#unsent.length > 1 && this.#unsentBytes <= joinedBytesMax) this.#unsent = [Buffer.concat(this.#unsent)];
    let taken = 0;
    for (const bytes of this.#unsent) {
      const written = this.#write(bytes);
      this.#unsentBytes -= written;
      if (written < bytes.length) {
        this.#unsent[taken] = bytes.subarray(written);
        this.#isBlocked = true;
        break;
      }
      taken++;
    }
    if (taken > 0) this.#unsent.splice(0, taken);
  }

  #write(data: string | Uint8Array): number {
    const written = this.#sink.write(data);
    if (written < 0) this.isBroken = true;
    this.sentBytes += Math.max(written, 0);
    return Math.max(written, 0);
  }

  /** Forgets everything: the peer is gone. */
  clear(): void {
    this.#text = "";
    this.#unsent = [];
    this.#unsentBytes = 0;
  }

  #flushAtEndOfTurn(): void {
    this.#isScheduled = false;
    // A write before the kernel has room would only be refused.
    if (this.#isBlocked) this.#encodeText();
    else this.flush();
  }

  #encodeText(): void {
    if (this.#text === "") return;
    this.#keep(Buffer.from(this.#text));
    this.#text = "";
  }

  #keep(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
  }
}
