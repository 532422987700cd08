/**
 * The seed's client as a child process on Node, driven call by call from a test. Owns the process and ends it.
 * Knows nothing of our own client or protocol: the package does all the talking.
 */
import { join } from "node:path";

/** What the seed's `Client` takes. */
export interface SeedOptions {
  readonly secret?: string;
  readonly timeout?: number;
  readonly debug?: boolean;
  readonly allowNoTtl?: boolean;
  readonly compression?: boolean;
}

/** What a call came to: the value it resolved to, or the message of the error it threw. */
export type SeedOutcome = { readonly value?: unknown } | { readonly error: string };

export interface SeedClient extends AsyncDisposable {
  /** Calls `method` of the seed's `Client`; resolves to its value, rejects with its error's message. */
  call(method: string, ...args: readonly unknown[]): Promise<unknown>;
  /** Resolves once the client has said `text` in debug mode. */
  said(text: string): Promise<void>;
}

/** Starts Node with the seed's client for `pipe`. */
export function startSeedClient(pipe: string, options: SeedOptions = {}): SeedClient {
  const child = Bun.spawn(["node", join(import.meta.dir, "seed-driver.mjs"), pipe, JSON.stringify(options)], {
    env: { PATH: process.env.PATH ?? "" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const outcomes = linesOf(child.stdout);
  const notes = linesOf(child.stderr);
  return {
    async call(method, ...args) {
      child.stdin.write(`${JSON.stringify({ method, args })}\n`);
      child.stdin.flush();
      const { value: line } = await outcomes.next();
      if (line === undefined) throw new Error(`the seed's client ended before it answered "${method}"`);
      const outcome: SeedOutcome = JSON.parse(line);
      if ("error" in outcome) throw new Error(outcome.error);
      return outcome.value;
    },
    async said(text) {
      for (;;) {
        const { value: line } = await notes.next();
        if (line === undefined) throw new Error(`the seed's client ended before it said "${text}"`);
        if (line.includes(text)) return;
      }
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
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
