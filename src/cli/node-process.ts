/**
 * A Node process that becomes another program: replaced by it where Node can do that (22.15, 23.11 and newer), else standing
 * in front of it: passes signals on and ends as the program ends. Knows nothing of what the program does.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { exitStatuses } from "./failure.ts";
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
  const ignored = signalsIgnoredAtStart();
  const [file, ...rest] = ignored.size === 0 ? command : underTrap(command, ignored);
  const child = spawn(file, rest, { stdio: "inherit" });
  const heeded = supervisedSignals.filter((signal) => !ignored.has(constants.signals[signal]));
  for (const signal of heeded) process.on(signal, () => passOn(signal, child));
  child.on("error", ({ message }) => {
    process.stderr.write(`ephemeral: Cannot run ${command[0]}: ${message}\n`);
    process.exitCode = exitStatuses.internal;
  });
  child.on("exit", (status, signal) => {
    if (signal === null) process.exit(status ?? exitStatuses.internal);
    for (const name of heeded) process.removeAllListeners(name);
    process.kill(process.pid, signal);
    // The kernel lets nobody die of a signal who is the first process of a container; a shell would say it so.
    setTimeout(() => process.exit(128 + constants.signals[signal]), diesWithinMs);
  });
}

/** The program decides what a signal means; what a terminal sent to the whole group it has already. */
function passOn(signal: NodeJS.Signals, child: ChildProcess): void {
  const isFromKeys = signal === "SIGINT" || signal === "SIGQUIT";
  if (isFromKeys && (process.platform === "linux" ? isForegroundByProc() : isForegroundByPs())) return;
  child.kill(signal);
}

/** Numbers of the signals this process was told to ignore, as by `nohup`; Node tells only where there is /proc. */
function signalsIgnoredAtStart(): ReadonlySet<number> {
  if (process.platform !== "linux") return new Set();
  const mask = BigInt(`0x${/^SigIgn:\s*(\w+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0"}`);
  const numbers = supervisedSignals.map((signal) => constants.signals[signal]);
  return new Set(numbers.filter((number) => mask & (1n << BigInt(number - 1))));
}

/** Node gives a child every signal's default back; a shell hands "ignored" on. */
function underTrap(command: Command, ignored: ReadonlySet<number>): Command {
  return ["/bin/sh", "-c", `trap '' ${[...ignored].join(" ")}; exec "$@"`, "sh", ...command];
}
