/**
 * A command that runs in its turn: waits in line, says for whom after a while, runs the command, gives the turn back and ends
 * as the command ended. The turn hangs on this process's connection, so it is free the moment we are killed, whatever the
 * command has left running. What kind of turn it is, the caller knows.
 */
import { constants } from "node:os";
import { basename } from "node:path";
import type { Connection } from "../../client/connection/connection.ts";
import { EphemeralError, type ErrorCode } from "../../protocol/errors.ts";
import type { WhyReply } from "../../protocol/pools.ts";
import { connectionTo } from "../call.ts";
import { usageError } from "../failure.ts";
import { printFailure } from "../output.ts";
import { type ClientSettings, type Environment, processEnvironment } from "../settings/settings.ts";
import type { Ending } from "../wrapper/child.ts";
import { findExecutable } from "../wrapper/executable.ts";
import { endBySignal, restoreDefault, SignalInbox, signalsIgnoredAtStart } from "../wrapper/own-signals.ts";
import { startReaper } from "../wrapper/reaper.ts";
import { markOfTurn } from "../wrapper/run-mark.ts";
import { say } from "../wrapper/say.ts";
import { supervisedSignals } from "../wrapper/supervision.ts";
import { heeded, runWrapped } from "../wrapper/wrapping.ts";
import { whoInWords } from "./who.ts";

/** Runs the command with `variables` added to its environment; its stdout goes to `stdout`, or where ours goes. */
export type Run = (variables: Environment, stdout?: number) => Promise<Ending>;

export interface PassOptions<Turn> {
  readonly settings: ClientSettings;
  /** What is waited for, for `why`. */
  readonly name: string;
  readonly graceMs: number;
  /** Our exit status when the turn was not to be had. */
  readonly conflictStatus: number;
  readonly wait: (connection: Connection) => Promise<Turn>;
  /** For whom we wait, where it is not for those who hold something. */
  readonly inWords?: (why: WhyReply, nowMs: number) => string;
}

export interface TurnOptions<Turn> extends PassOptions<Turn> {
  /** The program and its arguments, exactly as typed. */
  readonly command: readonly string[];
  /** What is done in the turn. The turn is over when it resolves. */
  readonly perform: (turn: Turn, run: Run, connection: Connection) => Promise<Ending>;
}

/** After so long in line we say who is before us. */
const patienceMs = 5000;
/** The turn was not to be had: waited in vain, or told that waiting is in vain. */
const conflicts: ReadonlySet<ErrorCode> = new Set(["timeout", "pool_exhausted", "rate_limited", "deadlock"]);

/** Ends this process as the command ended, 127 when there is no such command, 126 when it cannot be run, and with
 *  `conflictStatus` when it did not come to its turn.
 *  @throws {EphemeralError} what else the broker refuses; nothing has been run then */
export async function takeTurn<Turn>(options: TurnOptions<Turn>): Promise<never> {
  const [name] = options.command;
  if (name === undefined)
    throw usageError("Cannot take a turn: there is no command", "Write the command to run behind --");
  const ignored = signalsIgnoredAtStart();
  if (ignored.has(constants.signals.SIGCHLD)) restoreDefault(constants.signals.SIGCHLD);
  const executable = findExecutable(name, processEnvironment.PATH);
  if (executable.kind === "refused") {
    say(executable.message);
    process.exit(executable.status);
  }
  const ending = await endingOf(options, { path: executable.path, ignored }).catch(conflict(options));
  if (ending.kind === "killed") endBySignal(ending.signal);
  process.exit(ending.status);
}

/** Returns when it is our turn, and leaves it at once; else ends this process with `conflictStatus`.
 *  @throws {EphemeralError} what else the broker refuses */
export async function passAlone<Turn>(options: PassOptions<Turn>): Promise<void> {
  const { connection, absence } = connectionTo({ ...options.settings, label: labelOf("ephemeral") });
  const passed = Promise.race([patiently(options, connection), absence]);
  await passed.catch(conflict(options)).finally(() => connection.close());
}

function conflict({ conflictStatus }: PassOptions<unknown>): (error: unknown) => Promise<never> {
  return async (error) => {
    if (!(error instanceof EphemeralError) || !conflicts.has(error.code)) throw error;
    await printFailure(error, { json: false, environment: processEnvironment });
    process.exit(conflictStatus);
  };
}

/** Who waits, as others are told. */
function labelOf(command: string): string {
  return processEnvironment.EPHEMERAL_LABEL || `${basename(command)} (pid ${process.pid})`;
}

interface Found {
  readonly path: string;
  readonly ignored: ReadonlySet<number>;
}

async function endingOf<Turn>(options: TurnOptions<Turn>, { path, ignored }: Found): Promise<Ending> {
  const { settings, command, graceMs } = options;
  const inbox = new SignalInbox(heeded(supervisedSignals, ignored));
  const { connection, absence } = connectionTo({ ...settings, label: labelOf(command[0] ?? "") });
  try {
    const signalled = inbox.first.then((): undefined => undefined);
    const waited = patiently(options, connection).then((turn) => ({ turn }));
    const served = await Promise.race([waited, absence, signalled]);
    // One that came together with the turn counts all the same.
    const [signal] = inbox.early;
    if (signal !== undefined || served === undefined) {
      waited.catch(() => {});
      return { kind: "killed", signal: constants.signals[signal ?? "SIGTERM"] };
    }
    const run: Run = (variables, stdout) => {
      const mark = markOfTurn(settings.pipe);
      // Whoever is next has the turn as soon as we are gone: the command must be gone, too.
      const reaper = startReaper({ mark: mark.entry, graceMs: 0, searchPath: processEnvironment.PATH });
      const environment = { ...commandEnvironment(settings), ...variables };
      const wrapping = { path, command, environment, mark, ignoredSignals: ignored, inbox, graceMs, reaper };
      return runWrapped(stdout === undefined ? wrapping : { ...wrapping, stdout }).finally(() => reaper?.dismiss());
    };
    return await options.perform(served.turn, run, connection);
  } finally {
    connection.close();
  }
}

/** Waits, and says once for whom. */
async function patiently<Turn>(options: PassOptions<Turn>, connection: Connection): Promise<Turn> {
  const { wait, name, inWords = whoInWords } = options;
  const timer = setTimeout(() => {
    const why = connection.call({ command: { action: "why", key: name }, read: (reply) => reply });
    // When it cannot be told, the wait itself will tell why.
    why.then((reply) => say(`Waiting for ${inWords(reply, Date.now())}`)).catch(() => {});
  }, patienceMs);
  return wait(connection).finally(() => clearTimeout(timer));
}

/** Clients of the command look for EPHEMERAL_SECRET, wherever we had it from. */
export function commandEnvironment({ secret }: ClientSettings): Environment {
  return secret === undefined ? processEnvironment : { ...processEnvironment, EPHEMERAL_SECRET: secret };
}
