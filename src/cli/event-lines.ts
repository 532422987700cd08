/**
 * Lines for a reader who may be slow: kept in their order while it reads what came before, up to a bound; past that they are
 * dropped, and counted in a line of their own. Knows nothing of what they tell.
 */
import { MiB } from "../protocol/sizes.ts";
import { print } from "./output.ts";

/** What is kept for a slow reader. */
const charactersMax = 4 * MiB;

export class EventLines {
  /** Rejects when the lines cannot be written. */
  readonly failed: Promise<never>;
  readonly #gapLine: (dropped: number) => string;
  readonly #fail: (error: unknown) => void;
  readonly #write: (text: string) => Promise<void>;
  #text = "";
  #dropped = 0;
  #writing: Promise<void> | undefined;

  /** `gapLine` says that so many lines are missing. `write` is stdout unless told. */
  constructor(gapLine: (dropped: number) => string, write: (text: string) => Promise<void> = print) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.#gapLine = gapLine;
    this.#fail = reject;
    this.#write = write;
  }

  add(line: string): void {
    if (this.#text.length + line.length > charactersMax) this.#dropped++;
    else this.#text += this.#dropped > 0 ? `${this.#takeGap()}${line}` : line;
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when all that was added is written, or cannot be. */
  async written(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#text !== "" || this.#dropped > 0) {
        const text = this.#dropped > 0 ? `${this.#text}${this.#takeGap()}` : this.#text;
        this.#text = "";
        await this.#write(text);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#writing = undefined;
  }

  #takeGap(): string {
    const line = this.#gapLine(this.#dropped);
    this.#dropped = 0;
    return line;
  }
}
