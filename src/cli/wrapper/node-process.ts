/**
 * A Node process that becomes another program: replaced by it where Node can do that (22.15, 23.11 and newer), else standing
 * in front of it: passes signals on and ends as the program ends. Knows nothing of what the program does. Node gives every
 * signal its default back when it starts, so that what `nohup` set is lost here, either way.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { exitStatuses } from "../failure.ts";
import { isForegroundByProc, isForegroundByPs } from "./foreground-group.ts";
import { supervisedSignals } from "./supervision.ts";

type Command = readonly [file: string, ...rest: string[]];
type Variables = Readonly<Record<string, string | undefined>>;

/** How long the kernel may take to end us by a signal we sent ourselves. */
const diesWithinMs = 1000;

/** Runs `command` as this process, from here on. */
export function become(command: Command, variables: Variables): void {
  if (process.execve === undefined || process.platform === "win32") {
    standInFor(command);
    return;
  }
  const present = Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined);
  process.execve(command[0], [...command], Object.fromEntries(present));
}

function standInFor(command: Command): void {
  const [file, ...rest] = command;
  const child = spawn(file, rest, { stdio: "inherit" });
  for (const signal of supervisedSignals) process.on(signal, () => passOn(signal, child));
  child.on("error", ({ message }) => {
    process.stderr.write(`ephemeral: Cannot run ${file}: ${message}\n`);
    process.exitCode = exitStatuses.internal;
  });
  child.on("exit", (status, signal) => {
    if (signal === null) process.exit(status ?? exitStatuses.internal);
    endBy(signal);
  });
}

/** Ends this process by `signal`, as far as the kernel lets it: the first process of a container dies of none. */
function endBy(signal: NodeJS.Signals): void {
  // Taking a listener off gives the signal its default action back, also where Node ignored it.
  if (signal !== "SIGKILL" && signal !== "SIGSTOP") process.on(signal, () => undefined).removeAllListeners(signal);
  process.kill(process.pid, signal);
  setTimeout(() => process.exit(128 + constants.signals[signal]), diesWithinMs);
}

/** The program decides what a signal means; what a terminal sent to the whole group it has already. */
function passOn(signal: NodeJS.Signals, child: ChildProcess): void {
  const isFromKeys = signal === "SIGINT" || signal === "SIGQUIT";
  if (isFromKeys && (process.platform === "linux" ? isForegroundByProc() : isForegroundByPs())) return;
  child.kill(signal);
}
