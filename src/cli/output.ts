/**
 * What leaves the program: the answer on stdout and nothing else there, failures on stderr, as text for people or as one
 * JSON document for programs. Knows no command.
 */
import { EphemeralError } from "../protocol/errors.ts";
import { jsonText } from "../protocol/json-values.ts";
import { codeOf, hintOf } from "./failure.ts";
import { type Environment, wantsColours } from "./settings/settings.ts";

/** Wraps a text in the escape codes of one look, or leaves it alone. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
}

/** The looks a stream can show. `descriptor` is 1 for stdout, 2 for stderr.
 *  `node:tty` is loaded only here: it costs 3 ms, and most answers have no look. */
export async function paintFor(descriptor: 1 | 2, environment: Environment): Promise<Paint> {
  const { isatty } = await import("node:tty");
  const coloured = wantsColours({ environment, isTerminal: () => isatty(descriptor) });
  const look = (on: number, off: number) => (text: string) => (coloured ? `\x1b[${on}m${text}\x1b[${off}m` : text);
  return { bold: look(1, 22), dim: look(2, 22), red: look(31, 39) };
}

/** What a shell shows for a program that SIGPIPE ended; Bun ignores that signal. */
const brokenPipeStatus = 141;

/** Writes to stdout. When nobody reads any more (`| head`), ends the program without a word.
 *  Not `process.stdout`: making that stream costs 8 ms of a thin command's start-up. */
export async function print(answer: string | Uint8Array): Promise<void> {
  if (answer.length === 0) return;
  try {
    await Bun.write(Bun.stdout, answer);
  } catch (error) {
    if (isBrokenPipe(error)) process.exit(brokenPipeStatus);
    throw new EphemeralError("internal", `Cannot write the answer: ${error instanceof Error ? error.message : error}`);
  }
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

/** A value for people and pipes: bytes as bytes, a string as it is and anything else as JSON, each of them a line. */
export function shownValue(value: unknown): string | Uint8Array {
  if (value instanceof Uint8Array) return value;
  return `${typeof value === "string" ? value : jsonText(value)}\n`;
}

/** One document and a line feed. Bytes stand as `{"$binary":"<base64>"}`, as on the wire. */
export function printJson(document: unknown): Promise<void> {
  return print(`${jsonText(document)}\n`);
}

/** Tells a failure on stderr: a line that says what, a line that says what to do; with `json` one document. */
export async function printFailure(
  error: unknown,
  { json, environment }: { json: boolean; environment: Environment },
): Promise<void> {
  const message = error instanceof Error ? error.message : `${error}`;
  const text = json ? `${JSON.stringify({ error: codeOf(error), message })}\n` : await failureLines(error, environment);
  try {
    await Bun.write(Bun.stderr, text);
  } catch {
    // Nobody reads stderr: the exit status says the rest.
  }
}

async function failureLines(error: unknown, environment: Environment): Promise<string> {
  const paint = await paintFor(2, environment);
  if (!(error instanceof EphemeralError)) {
    const stack = error instanceof Error ? error.stack : `${error}`;
    return `${paint.red("ephemeral:")} Internal error, please report it\n${stack}\n`;
  }
  return `${paint.red("ephemeral:")} ${printable(error.message)}\n${paint.dim(hintOf(error))}\n`;
}

/** Columns aligned by what a terminal shows; no spaces at the ends of lines. Empty without rows. */
export function table(rows: readonly (readonly string[])[], { header, paint }: TableLook): string {
  if (rows.length === 0) return "";
  const cells = (header === undefined ? rows : [header, ...rows]).map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, Bun.stringWidth(cell));
    }
  }
  const lines = cells.map((row) =>
    row
      .map((cell, column) => padded(cell, widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return lines.map((line, index) => `${header !== undefined && index === 0 ? paint.bold(line) : line}\n`).join("");
}

export interface TableLook {
  readonly header?: readonly string[];
  readonly paint: Paint;
}

function padded(cell: string, width: number): string {
  return cell + " ".repeat(width - Bun.stringWidth(cell));
}

/** Text of others without the characters that would move a terminal's cursor or change its colours. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (character) => JSON.stringify(character).slice(1, -1));
}
