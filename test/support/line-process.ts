/**
 * A program of a test's in a process of its own, that is told and answers one JSON object a line, and is killed at the end
 * of its scope or before. Owns the process; knows nothing of what is said.
 */
import { join } from "node:path";

export type Said = Record<string, unknown>;

export interface LineProcess extends AsyncDisposable {
  readonly pid: number;
  say(message: object): void;
  /** The next object it says; undefined when it has ended. */
  next(): Promise<Said | undefined>;
  /** Says `message` and reads the next. */
  ask(message: object): Promise<Said | undefined>;
  readonly exited: Promise<number>;
}

/** Starts `program`, a file of this folder. */
export function lineProcess(program: string, args: readonly string[]): LineProcess {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, program), ...args], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = linesOf(child.stdout);
  const say = (message: object): void => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    child.stdin.flush();
  };
  const next = async (): Promise<Said | undefined> => {
    const { value } = await lines.next();
    // What a program of ours says is an object.
    return value === undefined ? undefined : (JSON.parse(value) as Said);
  };
  return {
    pid: child.pid,
    say,
    next,
    ask: (message) => {
      say(message);
      return next();
    },
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return undefined;
}
