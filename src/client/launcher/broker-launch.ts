/**
 * One broker in a process of its own: started, heard of, told to end. The process ends when our end of its stdin closes,
 * which the kernel sees to whatever becomes of us, and it never keeps us alive. Knows nothing of options.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { EphemeralError, type ErrorCode } from "../../protocol/errors.ts";

export interface LaunchOptions {
  /** The program and all its arguments. */
  readonly command: readonly [file: string, ...rest: string[]];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether it says where its web door is, too. */
  readonly hasWeb: boolean;
  /** Where the broker's stderr goes once it runs: its log. */
  readonly sayOnStderr: (text: string | Uint8Array) => void;
}

export interface LaunchedBroker {
  readonly pipe: string;
  readonly url: string | undefined;
  /** Settles when the process has ended, for whatever reason; only while somebody stops it does that keep us alive. */
  readonly ended: Promise<void>;
  /** Ends it and resolves when it has ended. */
  stop(): Promise<void>;
}

/** A broker is up in tens of milliseconds; a machine with too much to do gets time. */
const startMsMax = 20_000;
/** A broker says goodbye to its clients within 5 seconds; past that it is killed, and its reaper cleans up. */
const stopMsMax = 10_000;
/** What a process says before it is up is kept up to here. */
const saidCharactersMax = 16_000;

/** Exit statuses of the command line that say more than that it failed. */
const codeOfStatus = new Map<number | null, ErrorCode>([
  [64, "bad_command"],
  [69, "unavailable"],
  [77, "forbidden"],
]);

/** Runs `command` and resolves when it has said where it listens.
 *  @throws {EphemeralError} `timeout` after 20 s, else what the process said as it ended: `bad_command`, `unavailable`,
 *  `forbidden` or `internal` */
export async function launchBroker(options: LaunchOptions): Promise<LaunchedBroker> {
  const { command, environment, hasWeb, sayOnStderr } = options;
  const [file, ...rest] = command;
  // In a session of its own: a Ctrl-C at the terminal is for us, and our clients may need the broker while they end.
  const child = spawn(file, rest, { env: { ...environment }, stdio: ["pipe", "pipe", "pipe"], detached: true });
  // It may be gone before it has heard us.
  child.stdin.on("error", () => undefined);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const { lines, said } = await readLines(child, hasWeb ? 2 : 1);
  const [pipe = "", url] = lines;
  child.stdout.destroy();
  if (said !== "") sayOnStderr(said);
  child.stderr.on("data", sayOnStderr);
  letGo(child);
  return { pipe, url, ended, stop: () => stop(child, ended) };
}

interface Answer {
  readonly lines: readonly string[];
  readonly said: string;
}

/** The first lines of stdout, and what was said on stderr until then: if there were no such lines, that says why. */
function readLines(child: ChildProcessWithoutNullStreams, count: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let answer = "";
    let said = "";
    const onStdout = (chunk: Uint8Array): void => {
      answer += chunk;
      const lines = answer.split("\n");
      if (lines.length > count) settle(() => resolve({ lines: lines.slice(0, count), said }));
    };
    const onStderr = (chunk: Uint8Array): void => {
      said = (said + chunk).slice(-saidCharactersMax);
    };
    const onError = (error: Error): void => {
      settle(() => reject(new EphemeralError("unavailable", `Cannot start broker: ${error.message}`)));
    };
    const onClose = (status: number | null): void => settle(() => reject(failure(status, said)));
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      const text = `Cannot start broker: it has not said where it listens for ${startMsMax} ms: ${said}`;
      settle(() => reject(new EphemeralError("timeout", text)));
    }, startMsMax);
    const settle = (conclude: () => void): void => {
      clearTimeout(timer);
      child.stdout.off("data", onStdout);
      child.stderr.off("data", onStderr);
      child.off("error", onError).off("close", onClose);
      // A process that cannot be signalled tells so by this event as well.
      child.on("error", () => undefined);
      conclude();
    };
    child.stdout.on("data", onStdout);
    child.stderr.on("data", onStderr);
    child.on("error", onError).on("close", onClose);
  });
}

/** The line the command line ends with when it fails; a log may stand before it. */
function failure(status: number | null, said: string): EphemeralError {
  const [, line] = /^ephemeral: (.*)$/m.exec(said) ?? [];
  const text = line ?? `Cannot start broker: its process ended (${status ?? "killed"}) and gave no reason`;
  return new EphemeralError(codeOfStatus.get(status) ?? "internal", text);
}

/** From here on the process keeps nobody alive. */
function letGo(child: ChildProcessWithoutNullStreams): void {
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    if ("unref" in stream && typeof stream.unref === "function") stream.unref();
  }
}

async function stop(child: ChildProcessWithoutNullStreams, ended: Promise<void>): Promise<void> {
  child.ref();
  child.stdin.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
  await ended;
  clearTimeout(timer);
}
