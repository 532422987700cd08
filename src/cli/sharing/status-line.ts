/**
 * The last row of a terminal, kept for one line of ours while commands write above it as they like: the rest of the screen is
 * made its scrolling region, so what they write needs not pass through us and they see a terminal. Knows nothing of what the
 * line says, and uses no colours.
 */
import { writeSync } from "node:fs";
import { processEnvironment } from "../settings/settings.ts";

const saveCursor = "\x1b7";
const restoreCursor = "\x1b8";
const wholeScreen = "\x1b[r";
const clearLine = "\x1b[2K";

/** Fewer rows, or columns, are not worth one of them. */
const rowsMin = 4;
const columnsMin = 20;

interface Size {
  readonly rows: number;
  readonly columns: number;
}

export class StatusLine {
  /** The rows the screen had when the last of them was kept; 0 while none is. */
  #rows = 0;

  /** Undefined when stderr is no terminal, or one that cannot do it. */
  static onTerminal(): StatusLine | undefined {
    return process.stderr.isTTY && processEnvironment.TERM !== "dumb" && sizeOf() !== undefined
      ? new StatusLine()
      : undefined;
  }

  private constructor() {}

  draw(text: string): void {
    const size = sizeOf();
    if (size === undefined) return;
    if (size.rows !== this.#rows) this.#keep(size);
    // The last column stays empty: a full row would scroll.
    const shown = text.slice(0, size.columns - 1);
    write(`${saveCursor}\x1b[${size.rows};1H${clearLine}${shown}${restoreCursor}`);
  }

  /** Gives the row back, empty, with the cursor where the commands left it. */
  remove(): void {
    if (this.#rows > 0) write(`${saveCursor}${wholeScreen}\x1b[${this.#rows};1H${clearLine}${restoreCursor}`);
    this.#rows = 0;
  }

  /** Makes room where the cursor stands in the last row, and lets only the rows above it scroll. */
  #keep({ rows }: Size): void {
    this.remove();
    // Setting the region moves the cursor to its corner.
    write(`\n\x1b[1A${saveCursor}\x1b[1;${rows - 1}r${restoreCursor}`);
    this.#rows = rows;
  }
}

function sizeOf(): Size | undefined {
  const [columns, rows] = process.stderr.getWindowSize();
  return rows < rowsMin || columns < columnsMin ? undefined : { rows, columns };
}

function write(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // A terminal that has gone must not change how we end.
  }
}
