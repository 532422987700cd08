/** The headers of a server's WebSocket frames, as they pass by in chunks cut anywhere: lengths may look like anything that is
 *  searched for in what the frames hold. */

const lengthInTwoBytes = 126;
const lengthInEightBytes = 127;

export class FrameHeaders {
  /** The header that is being read, byte by byte. */
  #header: number[] = [];
  /** Bytes of the frame's content that are still to come. */
  #contentLeft = 0;

  /** How often `wanted` stands in the headers within the next `chunk`. */
  count(chunk: Uint8Array, wanted: number): number {
    let found = 0;
    let at = this.#contentLeft;
    for (; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (byte === wanted) found++;
      this.#header.push(byte);
      const length = lengthIn(this.#header);
      if (length === undefined) continue;
      this.#header = [];
      at += length;
    }
    this.#contentLeft = at - chunk.length;
    return found;
  }
}

/** How long the content is; undefined while the header is not whole. Servers mask nothing. */
function lengthIn(header: readonly number[]): number | undefined {
  const [, short, ...long] = header;
  if (short === undefined) return undefined;
  const longBytes = short === lengthInTwoBytes ? 2 : short === lengthInEightBytes ? 8 : 0;
  if (long.length < longBytes) return undefined;
  return longBytes === 0 ? short : long.reduce((length, byte) => length * 256 + byte, 0);
}
