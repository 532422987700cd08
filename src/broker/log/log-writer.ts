/**
 * Lines on their way to a file descriptor: written beside the event loop, one write at a time, so that a reader who stops
 * reading stops nobody. Bounded; what finds no room is counted and told once there is room again. Knows no format.
 */
import { write } from "node:fs";

export interface LogWriterOptions {
  readonly descriptor: number;
  /** Bytes that may wait to be written. */
  readonly pendingBytesMax: number;
  /** Told how many lines found no room or could not be written, once lines get through again. */
  readonly lost: (lines: number) => void;
}

/** How long `flush` waits for a reader who does not read. */
const flushMsMax = 1000;
/** A descriptor that somebody made non-blocking says that it is full; it does not say when it no longer is. */
const retryMs = 20;

export class LogWriter {
  readonly #options: LogWriterOptions;
  #pending: string[] = [];
  #pendingBytes = 0;
  #lostLines = 0;
  /** The bytes being written, and the lines in them. */
  #writing: { readonly bytes: Buffer; readonly lines: number } | undefined;
  #flushed: (() => void)[] = [];

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Takes one line, its line feed included. Never waits and never throws. */
  write(line: string): void {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    const bytesAtMost = line.length * 3;
    if (this.#pendingBytes + bytesAtMost > this.#options.pendingBytesMax) {
      this.#lostLines++;
      return;
    }
    this.#pending.push(line);
    this.#pendingBytes += bytesAtMost;
    if (this.#writing === undefined) this.#writeNext();
  }

  /** Resolves once nothing is pending, or after a second. */
  flush(): Promise<void> {
    if (this.#writing === undefined) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, flushMsMax);
    this.#flushed.push(() => {
      clearTimeout(timer);
      resolve();
    });
    return promise;
  }

  #writeNext(): void {
    const lines = this.#pending;
    if (lines.length === 0) {
      this.#writing = undefined;
      for (const flushed of this.#flushed.splice(0)) flushed();
      return;
    }
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#writing = { bytes: Buffer.from(lines.join("")), lines: lines.length };
    this.#writeFrom(0);
  }

  #writeFrom(offset: number): void {
    const { bytes, lines } = this.#writing ?? { bytes: Buffer.alloc(0), lines: 0 };
    write(this.#options.descriptor, bytes, offset, bytes.length - offset, null, (error, written) => {
      if (error?.code === "EAGAIN") setTimeout(() => this.#writeFrom(offset), retryMs).unref();
      else if (error !== null) this.#gaveUp(lines);
      else if (offset + written < bytes.length) this.#writeFrom(offset + written);
      else this.#wrote();
    });
  }

  #gaveUp(lines: number): void {
    this.#lostLines += lines;
    this.#writeNext();
  }

  #wrote(): void {
    const lost = this.#lostLines;
    this.#lostLines = 0;
    if (lost > 0) this.#options.lost(lost);
    this.#writeNext();
  }
}
