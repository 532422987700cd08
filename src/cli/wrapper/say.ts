/**
 * What the wrapper itself has to say while somebody else's command has the streams: one line on stderr, and never a failure
 * because nobody reads it.
 */
import { writeSync } from "node:fs";

export function say(message: string): void {
  try {
    writeSync(2, `ephemeral: ${message}\n`);
  } catch {
    // A closed stderr must not change how we end.
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
