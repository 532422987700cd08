/**
 * A worker process with a connection of its own, driven line by line from a test, and killed at the end of its scope or
 * before. Knows nothing of commands.
 */
import { type LineProcess, lineProcess } from "./line-process.ts";

export type Worker = LineProcess;

export function startWorker(pipe: string): Worker {
  return lineProcess("relay-main.ts", [pipe]);
}
