/**
 * One way through a bad line: takes what one socket says and gives it to the other, in its order, after what the faults of
 * this direction have done to it. Reads no faster than the other side takes it.
 */
import type { Socket } from "node:net";
import type { Direction, Fault } from "./fault-proxy.ts";
import type { Random } from "./random.ts";

export interface LaneOptions {
  readonly direction: Direction;
  readonly from: Socket;
  readonly to: Socket;
  /** Those of the whole connection. */
  readonly faults: readonly Fault[];
  readonly random: Random;
  /** Ends the connection on both sides. */
  readonly cut: () => void;
  readonly count: (kind: Fault["kind"]) => void;
}

type FaultOf<Kind extends Fault["kind"]> = Extract<Fault, { readonly kind: Kind }>;
/** Those that happen once, at a place in the stream. */
type Strike = Extract<Fault, { readonly afterBytes: number }>;

/** In no UTF-8 text, and no beginning of anything we speak. */
const noText = 0xff;
const lineFeed = 0x0a;
/** What may be on its way before the reading stops. */
const queuedBytesMax = 1024 * 1024;

export class Lane {
  readonly #options: LaneOptions;
  readonly #faults: readonly Fault[];
  /** What is still to be done once, each at its place in the stream. */
  #due: readonly Strike[];
  #seenBytes = 0;
  #isWithinLine = false;
  #queue: { readonly bytes: Buffer; readonly atMs: number }[] = [];
  #queuedBytes = 0;
  #isMoving = false;
  #isStalled = false;
  #isSwallowing = false;
  #hasEnded = false;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#faults = options.faults.filter((fault) => fault.kind !== "refuse" && fault.direction === options.direction);
    this.#due = this.#faults.filter((fault): fault is Strike => "afterBytes" in fault);
    options.from.on("data", (chunk) => typeof chunk !== "string" && this.#take(chunk));
    options.from.on("end", () => {
      this.#hasEnded = true;
      this.#move();
    });
    options.to.on("drain", () => this.#move());
  }

  #take(chunk: Buffer): void {
    let rest = chunk;
    for (const fault of [...this.#due].sort((one, other) => one.afterBytes - other.afterBytes)) {
      const place = Math.max(0, fault.afterBytes - this.#seenBytes);
      if (place >= rest.length) break;
      rest = this.#strike(fault, { bytes: rest, place });
    }
    this.#say(rest);
  }

  /** Does what `fault` asks at `place` of `bytes`, and returns what of them is still to be said. */
  #strike(fault: Strike, { bytes, place }: { bytes: Buffer; place: number }): Buffer {
    const end = fault.kind === "duplicate" ? bytes.indexOf(lineFeed, place) : place;
    const start = fault.kind === "duplicate" ? bytes.lastIndexOf(lineFeed, end - 1) + 1 : 0;
    // A line that is not whole here: another one will be.
    if (fault.kind === "duplicate" && (end === -1 || (start === 0 && this.#isWithinLine))) return bytes;
    this.#due = this.#due.filter((other) => other !== fault);
    this.#options.count(fault.kind);
    switch (fault.kind) {
      case "cut":
        this.#say(bytes.subarray(0, place));
        this.#flush();
        this.#options.cut();
        return Buffer.alloc(0);
      case "half-open":
        this.#say(bytes.subarray(0, place));
        this.#isSwallowing = true;
        setTimeout(this.#options.cut, fault.forMs);
        return Buffer.alloc(0);
      case "stall":
        this.#isStalled = true;
        this.#options.from.pause();
        setTimeout(() => this.#resume(), fault.forMs);
        return bytes;
      case "corrupt":
        return Buffer.concat([bytes.subarray(0, place), Buffer.of(noText), bytes.subarray(place + 1)]);
      case "duplicate":
        return Buffer.concat([bytes.subarray(0, end + 1), bytes.subarray(start)]);
    }
  }

  #resume(): void {
    this.#isStalled = false;
    this.#readOn();
    this.#move();
  }

  #readOn(): void {
    if (!this.#isStalled && this.#queuedBytes <= queuedBytesMax) this.#options.from.resume();
  }

  #say(bytes: Buffer): void {
    this.#seenBytes += bytes.length;
    this.#isWithinLine = bytes.at(-1) !== lineFeed;
    if (this.#isSwallowing || bytes.length === 0) return;
    const atMs = performance.now() + this.#delayMs();
    for (const piece of this.#pieces(bytes)) this.#queue.push({ bytes: piece, atMs });
    this.#queuedBytes += bytes.length;
    if (this.#queuedBytes > queuedBytesMax) this.#options.from.pause();
    this.#move();
  }

  #delayMs(): number {
    const fault = this.#faults.find((one): one is FaultOf<"delay"> => one.kind === "delay");
    if (fault === undefined) return 0;
    this.#options.count("delay");
    return fault.delayMs + (fault.jitterMs > 0 ? this.#options.random.integer(fault.jitterMs) : 0);
  }

  #pieces(bytes: Buffer): readonly Buffer[] {
    const fault = this.#faults.find((one): one is FaultOf<"split"> => one.kind === "split");
    if (fault === undefined) return [bytes];
    this.#options.count("split");
    const pieces: Buffer[] = [];
    for (let start = 0; start < bytes.length; ) {
      const length = 1 + this.#options.random.integer(fault.bytesMax);
      pieces.push(bytes.subarray(start, start + length));
      start += length;
    }
    return pieces;
  }

  /** Gives on what is due, one piece a turn of the loop where it comes in pieces. */
  #move(): void {
    if (this.#isMoving || this.#isStalled) return;
    const [first] = this.#queue;
    if (first === undefined) {
      if (this.#hasEnded) this.#options.to.end();
      return;
    }
    if (this.#options.to.writableNeedDrain) return;
    const waitMs = first.atMs - performance.now();
    const isSplit = this.#faults.some(({ kind }) => kind === "split");
    if (waitMs <= 0 && !isSplit) {
      this.#flush();
      return;
    }
    this.#isMoving = true;
    const goOn = (): void => {
      this.#isMoving = false;
      if (performance.now() >= first.atMs) this.#give();
      this.#move();
    };
    if (waitMs > 0) setTimeout(goOn, waitMs);
    else setImmediate(goOn);
  }

  /** All that is due, at once. */
  #flush(): void {
    while (this.#queue[0] !== undefined && this.#queue[0].atMs <= performance.now()) this.#give();
    this.#move();
  }

  #give(): void {
    const piece = this.#queue.shift();
    if (piece === undefined) return;
    this.#queuedBytes -= piece.bytes.length;
    if (!this.#options.to.destroyed) this.#options.to.write(piece.bytes);
    this.#readOn();
  }
}
