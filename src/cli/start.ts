/**
 * `ephemeral start`: a broker for as long as a command runs, and then the command's own ending as ours. Without a command
 * a broker until it is told to end. Orders the steps; what each of them is, the parts know.
 */

import { writeSync } from "node:fs";
import { constants } from "node:os";
import { type RunningBroker, startBroker } from "../broker/broker.ts";
import type { BrokerConfig } from "../broker/config.ts";
import { Child, type Ending } from "./child.ts";
import { cannotRunStatus, findExecutable } from "./executable.ts";
import { endBySignal, restoreDefault, SignalInbox, type SignalName, signalsIgnoredAtStart } from "./own-signals.ts";
import { Reaper } from "./reaper.ts";
import { supervise, supervisedSignals } from "./supervision.ts";
import { isInForeground } from "./terminal.ts";

export interface StartOptions {
  readonly config: BrokerConfig;
  /** The program and its arguments, exactly as typed; empty for a broker without a command. */
  readonly command: readonly string[];
  /** How long the command may take to end after SIGTERM or SIGHUP before it is killed, in milliseconds. */
  readonly graceMs: number;
  /** The command's whole environment, PATH included; EPHEMERAL_PIPE is added here. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** How long the broker may take to say goodbye to its clients. Past it the reaper removes what is left. */
const stopMsMax = 5000;

/**
 * Runs `command` beside a broker and ends this process as the command ended: with its exit status, or by the signal that
 * killed it. 127 when there is no such command, 126 when it cannot be run, each with one line on stderr.
 *
 * Without a command the socket's path is the only line on stdout, and SIGTERM, SIGINT and SIGHUP end the broker with
 * status 0: being told to stop is how such a broker ends, for a service manager as for a shell.
 * @throws {EphemeralError} what `startBroker` throws; nothing has been run and nothing is left then
 */
export async function start(options: StartOptions): Promise<never> {
  const ignored = signalsIgnoredAtStart();
  if (ignored.has(constants.signals.SIGCHLD)) restoreDefault(constants.signals.SIGCHLD);
  const ending = options.command.length === 0 ? await serve(options, ignored) : await run(options, ignored);
  if (ending.kind === "killed") endBySignal(ending.signal);
  process.exit(ending.status);
}

async function run(options: StartOptions, ignored: ReadonlySet<number>): Promise<Ending> {
  const { command, environment, graceMs } = options;
  const executable = findExecutable(command[0] ?? "", environment.PATH);
  if (executable.kind === "refused") {
    say(executable.message);
    return { kind: "exited", status: executable.status };
  }
  const inbox = new SignalInbox(heeded(supervisedSignals, ignored));
  const { path } = executable;
  return beside(options, async ({ pipe }, reaper) => {
    let child: Child;
    try {
      child = new Child({ path, command, environment, pipe, ignoredSignals: ignored });
    } catch (error) {
      say(`Cannot run "${command[0]}": ${spawnFailure(error)}`);
      return { kind: "exited", status: cannotRunStatus };
    }
    reaper?.watch(child.pid);
    const ending = await supervise(child, { inbox, graceMs, isInForeground });
    reaper?.forget();
    return ending;
  });
}

async function serve(options: StartOptions, ignored: ReadonlySet<number>): Promise<Ending> {
  const inbox = new SignalInbox(heeded(["SIGTERM", "SIGINT", "SIGHUP"], ignored));
  return beside(options, async ({ pipe }) => {
    writeSync(1, `${pipe}\n`);
    const { promise: told, resolve } = Promise.withResolvers<void>();
    if (inbox.open(() => resolve()).length === 0) await told;
    return { kind: "exited", status: 0 };
  });
}

/** Does `work` with a broker and a reaper there, and leaves nothing of either behind. */
async function beside(
  { config, environment, graceMs }: StartOptions,
  work: (broker: RunningBroker, reaper: Reaper | undefined) => Promise<Ending>,
): Promise<Ending> {
  const broker = await startBroker(config);
  const reaper = startReaper(broker, { graceMs, searchPath: environment.PATH });
  try {
    return await work(broker, reaper);
  } finally {
    if (await stopInTime(broker)) reaper?.dismiss();
  }
}

function startReaper(
  { directory, pipe }: RunningBroker,
  options: { readonly graceMs: number; readonly searchPath: string | undefined },
): Reaper | undefined {
  try {
    return new Reaper({ directory, pipe, ...options });
  } catch (error) {
    say(`Nothing will clean up if this process is killed by SIGKILL: cannot run /bin/sh: ${reasonOf(error)}`);
    return undefined;
  }
}

/** Whether the broker has stopped. One that fails to is the reaper's to clean up, and does not change our ending. */
async function stopInTime(broker: RunningBroker): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), stopMsMax);
  const stopped = broker.stop().then(
    () => true,
    (error: unknown) => {
      say(`Cannot stop broker cleanly: ${reasonOf(error)}`);
      return false;
    },
  );
  const isStopped = await Promise.race([stopped, late]);
  clearTimeout(timer);
  return isStopped;
}

function heeded(signals: readonly SignalName[], ignored: ReadonlySet<number>): readonly SignalName[] {
  return signals.filter((signal) => !ignored.has(constants.signals[signal]));
}

/** One line on stderr. Nobody may be reading it. */
function say(message: string): void {
  try {
    writeSync(2, `ephemeral: ${message}\n`);
  } catch {
    // A closed stderr must not change how we end.
  }
}

/** The file was there and executable: when the kernel misses something, it is what the script's first line names. */
function spawnFailure(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" ? "the interpreter its first line names does not exist" : `${code ?? reasonOf(error)}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
