/**
 * A broker in a process of its own, for tests that measure its memory, kill what talks to it or try to end it. Owns the
 * process and its directory. Knows nothing of what is said to it.
 */
import { join } from "node:path";
import type { BrokerOptions } from "../../src/broker/config.ts";
import { temporaryDirectory } from "./broker.ts";
import { readProc } from "./processes.ts";

export interface BrokerProcess extends AsyncDisposable {
  readonly pipe: string;
  /** Of its web door, where it has one. */
  readonly url: string | undefined;
  readonly pid: number;
  readonly runRoot: string;
  /** Undefined while the process lives. */
  readonly exitCode: number | null;
  /** What it has said on stderr. Ends the process. */
  stop(): Promise<{ readonly status: number; readonly stderr: string }>;
  /** Memory it has now, and the most it ever had, in bytes. */
  memory(): { readonly nowBytes: number; readonly mostBytes: number };
}

export async function brokerProcess(options: Partial<BrokerOptions> = {}): Promise<BrokerProcess> {
  const directory = temporaryDirectory();
  const { runRoot = join(directory.path, "run") } = options;
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "broker-main.ts"), JSON.stringify({ ...options, runRoot })],
    {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const stderr = child.stderr.text();
  const line = await firstLine(child.stdout);
  if (line === undefined) throw new Error(`the broker did not start: ${await stderr}`);
  const { pipe, url } = JSON.parse(line) as { pipe: string; url?: string };
  const field = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readProc(child.pid, "status"))?.[1]);
  return {
    pipe,
    url,
    pid: child.pid,
    runRoot,
    get exitCode() {
      return child.exitCode;
    },
    async stop() {
      child.stdin.end();
      return { status: await child.exited, stderr: await stderr };
    },
    memory: () => ({ nowBytes: field("VmRSS"), mostBytes: field("VmHWM") }),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      directory[Symbol.dispose]();
    },
  };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | undefined> {
  let text = "";
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    text += decoder.decode(read.value, { stream: true });
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
  return undefined;
}
