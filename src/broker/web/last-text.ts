/**
 * Frames as the text of a WebSocket message. What many are told comes as the same bytes for each of them, one behind another:
 * they are made text once. Knows nothing of sockets.
 */

const utf8 = new TextDecoder();

export class LastText {
  #bytes: Uint8Array | undefined;
  #text = "";

  /** Objects have an LF between them; the one behind the last is none of theirs. */
  of(frames: string | Uint8Array): string {
    if (typeof frames === "string") return frames.slice(0, -1);
    if (frames !== this.#bytes) {
      this.#bytes = frames;
      this.#text = utf8.decode(frames.subarray(0, -1));
    }
    return this.#text;
  }
}
