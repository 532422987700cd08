/**
 * A worker process with a connection of its own, driven line by line from a test, and killed at the end of its scope or
 * before. Owns the process; knows nothing of commands.
 */
import { join } from "node:path";

export interface Worker extends AsyncDisposable {
  readonly pid: number;
  say(command: object): void;
  /** The next line it was told, as an object; undefined when it has ended. */
  next(): Promise<Record<string, unknown> | undefined>;
  ask(command: object): Promise<Record<string, unknown> | undefined>;
  readonly exited: Promise<number>;
}

export function startWorker(pipe: string): Worker {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "relay-main.ts"), pipe], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = linesOf(child.stdout);
  const say = (command: object): void => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    child.stdin.flush();
  };
  const next = async (): Promise<Record<string, unknown> | undefined> => {
    const { value } = await lines.next();
    return value === undefined ? undefined : (JSON.parse(value) as Record<string, unknown>);
  };
  return {
    pid: child.pid,
    say,
    next,
    ask: (command) => {
      say(command);
      return next();
    },
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return undefined;
}
