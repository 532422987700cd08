/**
 * Turns MessagePack bytes that the scan has passed into plain values. Nothing it returns is a view of those bytes: a
 * connection's buffer is used again for its next frame, while a command may still wait for its turn.
 */
import { invalidMessagePack } from "./scan.ts";

// A byte order mark at the beginning of a text belongs to the text.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
/** The same few member names come in every command: remembering them makes reading twice as fast. Longer ones, and those
 *  that are not all ASCII, are read anew each time. */
const rememberedBytesMax = 16;
const placesOfNames = 256;

/** Reads one value at a time; kept and used again. */
class Reader {
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #names = new Array<string | undefined>(placesOfNames).fill(undefined);

  read(bytes: Uint8Array): unknown {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    return this.#value();
  }

  /** The next value. The scan has bounded how deep this can call itself. */
  #value(): unknown {
    const marker = this.#count(1);
    if (marker <= 0x7f) return marker;
    if (marker <= 0x8f) return this.#map(marker & 0x0f);
    if (marker <= 0x9f) return this.#array(marker & 0x0f);
    if (marker <= 0xbf) return this.#text(marker & 0x1f);
    return marker >= 0xe0 ? marker - 0x100 : this.#marked(marker);
  }

  #marked(marker: number): unknown {
    if (marker >= 0xd9) return this.#counted(marker);
    if (marker >= 0xca) return this.#number(marker);
    if (marker >= 0xc4) return this.#binary(this.#count(2 ** (marker - 0xc4)));
    return marker === 0xc0 ? null : marker === 0xc3;
  }

  #counted(marker: number): unknown {
    if (marker <= 0xdb) return this.#text(this.#count(2 ** (marker - 0xd9)));
    if (marker <= 0xdd) return this.#array(this.#count(marker === 0xdc ? 2 : 4));
    return this.#map(this.#count(marker === 0xde ? 2 : 4));
  }

  #number(marker: number): number {
    if (marker <= 0xcb) return this.#float(marker === 0xca ? 4 : 8);
    if (marker <= 0xce) return this.#count(2 ** (marker - 0xcc));
    if (marker === 0xcf) return this.#count(4) * 2 ** 32 + this.#count(4);
    if (marker === 0xd3) return (this.#count(4) | 0) * 2 ** 32 + this.#count(4);
    const unsigned = this.#count(2 ** (marker - 0xd0));
    if (marker === 0xd0) return (unsigned << 24) >> 24;
    return marker === 0xd1 ? (unsigned << 16) >> 16 : unsigned | 0;
  }

  #float(bytes: number): number {
    const at = this.#skip(bytes);
    return bytes === 4 ? this.#view.getFloat32(at) : this.#view.getFloat64(at);
  }

  /** The next 1, 2 or 4 bytes as an unsigned number. */
  #count(bytes: number): number {
    const at = this.#skip(bytes);
    if (bytes === 1) return this.#view.getUint8(at);
    return bytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  /** Goes on by so many bytes and returns where they begin. */
  #skip(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    return at;
  }

  #binary(length: number): Uint8Array {
    const at = this.#skip(length);
    return this.#bytes.slice(at, at + length);
  }

  #text(length: number): string {
    const at = this.#skip(length);
    return utf8.decode(this.#bytes.subarray(at, at + length));
  }

  #array(length: number): unknown[] {
    const items: unknown[] = [];
    for (let index = 0; index < length; index++) items.push(this.#value());
    return items;
  }

  #map(size: number): Record<string, unknown> {
    const members: Record<string, unknown> = {};
    for (let index = 0; index < size; index++) {
      const key = this.#key();
      if (Object.hasOwn(members, key)) throw invalidMessagePack("it has a map in which a key stands twice");
      members[key] = this.#value();
    }
    return members;
  }

  #key(): string {
    const length = (this.#bytes[this.#at] ?? 0) - 0xa0;
    // The scan has seen that every key is text.
    const key = length > 0 && length <= rememberedBytesMax ? this.#shortKey(length) : (this.#value() as string);
    if (key === "__proto__") throw invalidMessagePack("it has a map with the key __proto__");
    return key;
  }

  /** A key of so many bytes behind the next one, from the remembered ones when it is there. */
  #shortKey(length: number): string {
    const at = this.#skip(1 + length) + 1;
    const first = this.#bytes[at] ?? 0;
    const last = this.#bytes[at + length - 1] ?? 0;
    const place = (31 * first + 7 * last + length) % placesOfNames;
    const remembered = this.#names[place];
    if (remembered !== undefined && this.#isAt(at, length, remembered)) return remembered;
    const key = utf8.decode(this.#bytes.subarray(at, at + length));
    // As many characters as bytes: all of it is ASCII, and comparing code units to bytes is right.
    if (key.length === length) this.#names[place] = key;
    return key;
  }

  #isAt(at: number, length: number, ascii: string): boolean {
    if (ascii.length !== length) return false;
    for (let index = 0; index < length; index++) {
      if (ascii.charCodeAt(index) !== this.#bytes[at + index]) return false;
    }
    return true;
  }
}

const reader = new Reader();

/** The value that `bytes` hold. They must have passed the scan, or have been written by the encoder.
 *  @throws {EphemeralError} `invalid_json` for a key that stands twice in its map and for the key `__proto__` */
export function readMessagePack(bytes: Uint8Array): unknown {
  return reader.read(bytes);
}
