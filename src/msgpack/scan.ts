/**
 * Looks a MessagePack frame over before anything is decoded: one pass over the markers, nothing allocated. A 15 KB bomb of
 * nested arrays would take a decoder gigabytes; here it is refused for what it says of itself.
 */
import { EphemeralError } from "../protocol/errors.ts";
import { nestingMax } from "../protocol/sizes.ts";

/** Items still to come of each map and array that is open, outermost first; a map counts keys and values. */
const itemsLeft = new Float64Array(nestingMax + 1);
/** 1 where the open thing is a map. */
const isMap = new Uint8Array(nestingMax + 1);

/** What follows a marker: so many bytes of a number, or a count of so many bytes and then what is counted. */
type Kind = readonly [what: "fixed" | "float" | "integer" | "bytes" | "text" | "array" | "map", bytes: number];

/** The markers 0xc0 to 0xdf (msgpack.org, the specification's table of formats). Extension types are missing on purpose. */
const markers: readonly (Kind | undefined)[] = [
  ["fixed", 0], // nil
  undefined,
  ["fixed", 0], // false
  ["fixed", 0], // true
  ["bytes", 1],
  ["bytes", 2],
  ["bytes", 4],
  ...Array<undefined>(3),
  ["float", 4],
  ["float", 8],
  ["fixed", 1], // uint 8, 16, 32, 64
  ["fixed", 2],
  ["fixed", 4],
  ["integer", 8],
  ["fixed", 1], // int 8, 16, 32, 64
  ["fixed", 2],
  ["fixed", 4],
  ["integer", 8],
  ...Array<undefined>(5),
  ["text", 1],
  ["text", 2],
  ["text", 4],
  ["array", 2],
  ["array", 4],
  ["map", 2],
  ["map", 4],
];

/** Checks one frame at a time; kept and used again, so that a scan allocates nothing. */
class Scanner {
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #depth = 0;

  scan(frame: Uint8Array): void {
    this.skipMap(frame);
    if (this.#left > 0) throw invalidMessagePack(`${this.#left} bytes follow the map`);
  }

  /** Reads past the map at the beginning and returns its bytes' number. */
  skipMap(frame: Uint8Array): number {
    this.#view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    this.#at = 0;
    this.#depth = 0;
    const first = this.#view.byteLength === 0 ? 0 : this.#view.getUint8(0);
    if (!((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf)) throw invalidMessagePack("it is no map");
    do this.#item();
    while (this.#depth > 0);
    return this.#at;
  }

  get #left(): number {
    return this.#view.byteLength - this.#at;
  }

  /** Reads past one item: a scalar whole, of a map or array only its head. */
  #item(): void {
    const marker = this.#take(1);
    const isText = (marker & 0xe0) === 0xa0 || (marker >= 0xd9 && marker <= 0xdb);
    const isKey = isMap[this.#depth] === 1 && (itemsLeft[this.#depth] ?? 0) % 2 === 0;
    if (this.#depth > 0) {
      if (isKey && !isText) throw invalidMessagePack("a map has a key that is no text");
      itemsLeft[this.#depth] = (itemsLeft[this.#depth] ?? 0) - 1;
    }
    this.#body(marker);
    while (this.#depth > 0 && itemsLeft[this.#depth] === 0) this.#depth--;
  }

  #body(marker: number): void {
    if (marker <= 0x7f || marker >= 0xe0) return;
    if (marker <= 0x8f) this.#open(marker & 0x0f, true);
    else if (marker <= 0x9f) this.#open(marker & 0x0f, false);
    else if (marker <= 0xbf) this.#text(marker & 0x1f);
    else this.#marked(markers[marker - 0xc0], marker);
  }

  #marked(kind: Kind | undefined, marker: number): void {
    if (kind === undefined) throw invalidMessagePack("it holds an extension type or an unused marker");
    const [what, bytes] = kind;
    if (what === "fixed") this.#skip(bytes);
    else if (what === "float") this.#float(bytes);
    else if (what === "integer") this.#integer(marker === 0xd3);
    else if (what === "bytes") this.#skip(this.#take(bytes));
    else if (what === "text") this.#text(this.#take(bytes));
    else this.#open(this.#take(bytes), what === "map");
  }

  /** Opens a map or an array of `count` entries, each of which takes at least a byte. */
  #open(count: number, asMap: boolean): void {
    const items = asMap ? 2 * count : count;
    if (items > this.#left) throw invalidMessagePack("a count is larger than the bytes left");
    if (++this.#depth > nestingMax) throw invalidMessagePack(`nesting is over ${nestingMax}`);
    itemsLeft[this.#depth] = items;
    isMap[this.#depth] = asMap ? 1 : 0;
  }

  /** The next 1, 2 or 4 bytes as an unsigned number. */
  #take(bytes: number): number {
    this.#skip(bytes);
    const at = this.#at - bytes;
    if (bytes === 1) return this.#view.getUint8(at);
    return bytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #skip(bytes: number): void {
    if (bytes > this.#left) throw invalidMessagePack("a length is larger than the bytes left");
    this.#at += bytes;
  }

  #float(bytes: number): void {
    this.#skip(bytes);
    const at = this.#at - bytes;
    if (!Number.isFinite(bytes === 4 ? this.#view.getFloat32(at) : this.#view.getFloat64(at))) {
      throw invalidMessagePack("it holds NaN or an infinity");
    }
  }

  #integer(isSigned: boolean): void {
    this.#skip(8);
    const at = this.#at - 8;
    const high = isSigned ? this.#view.getInt32(at) : this.#view.getUint32(at);
    if (!Number.isSafeInteger(high * 2 ** 32 + this.#view.getUint32(at + 4))) {
      throw invalidMessagePack("it holds an integer beyond 2^53-1");
    }
  }

  /** Well-formed UTF-8 of `bytes` bytes (RFC 3629: no overlong forms, no surrogates, nothing over U+10FFFF). */
  #text(bytes: number): void {
    const end = this.#at + bytes;
    const start = this.#at;
    this.#skip(bytes);
    let at = start;
    while (at < end) {
      const lead = this.#view.getUint8(at);
      at = lead < 0x80 ? at + 1 : this.#afterCharacter(at, end);
    }
  }

  #afterCharacter(at: number, end: number): number {
    const lead = this.#view.getUint8(at);
    const length = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) === 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
    if (length === 0 || at + length > end) throw notUtf8();
    const second = this.#view.getUint8(at + 1);
    const secondMin = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const secondMax = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < secondMin || second > secondMax) throw notUtf8();
    for (let index = at + 2; index < at + length; index++) {
      if ((this.#view.getUint8(index) & 0xc0) !== 0x80) throw notUtf8();
    }
    return at + length;
  }
}

const scanner = new Scanner();

/** Refuses what no message may hold: anything but one whole map, counts and lengths larger than the bytes left, nesting over
 *  64, extension types, integers beyond ±(2^53−1), NaN and infinities, text that is no UTF-8, map keys that are no text.
 *  Keys that stand twice, and the key `__proto__`, are the reader's to refuse.
 *  @throws {EphemeralError} `invalid_json` saying which */
export function scanMessagePack(frame: Uint8Array): void {
  scanner.scan(frame);
}

/** How many bytes the map at the beginning of `bytes` has; undefined when none stands there that `scanMessagePack` passes. */
export function leadingMapBytes(bytes: Uint8Array): number | undefined {
  try {
    return scanner.skipMap(bytes);
  } catch {
    return undefined;
  }
}

export function invalidMessagePack(actual: string): EphemeralError {
  return new EphemeralError("invalid_json", `Cannot read frame: as MessagePack ${actual}`);
}

function notUtf8(): EphemeralError {
  return invalidMessagePack("it holds text that is no UTF-8");
}
