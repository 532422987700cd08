/**
 * `ephemeral start`: a broker for as long as a command runs, and then the command's own ending as ours. Without a command
 * a broker until it is told to end. Orders the steps; what each of them is, the parts know.
 */
import { writeSync } from "node:fs";
import { constants } from "node:os";
import { basename } from "node:path";
import type { BrokerConfig } from "../../broker/config.ts";
import { exitStatuses } from "../failure.ts";
import type { Ending } from "./child.ts";
import { findExecutable } from "./executable.ts";
import { endBySignal, restoreDefault, SignalInbox, signalsIgnoredAtStart } from "./own-signals.ts";
import { type Owner, ownerGone } from "./owner.ts";
import { type Place, type PlaceOptions, takePlace } from "./place.ts";
import { say } from "./say.ts";
import { supervisedSignals } from "./supervision.ts";
import { heeded, runWrapped } from "./wrapping.ts";

export interface StartOptions {
  readonly config: BrokerConfig;
  /** The program and its arguments, exactly as typed; empty for a broker without a command. */
  readonly command: readonly string[];
  /** Whose run to join, if any. */
  readonly join: PlaceOptions["join"];
  /** Whose end is that of a broker without a command. */
  readonly owner: Owner | undefined;
  /** How long the command may take to end after SIGTERM or SIGHUP before it is killed, and those who joined our run after
   *  its end, in milliseconds. */
  readonly graceMs: number;
  /** Where the port of the web door is written; undefined for nowhere. */
  readonly portFile: string | undefined;
  /** What is run when the run ends, each by a shell. */
  readonly hooks: readonly string[];
  /** Whether clients may add to these. */
  readonly takesHooks: boolean;
  /** The command's whole environment, PATH included; EPHEMERAL_PIPE and the run's mark are added here. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs `command` beside a broker, or in the run of another one, and ends this process as the command ended: with its exit
 * status, or by the signal that killed it. 127 when there is no such command, 126 when it cannot be run, each with one line
 * on stderr.
 *
 * Without a command the socket's path is the only line on stdout, but for the URL of its web door, and SIGTERM, SIGINT, SIGHUP, the owner's end, a time
 * without connections and `ephemeral stop` end the broker with status 0: being told to stop is how such a broker ends.
 * @throws {EphemeralError} what `takePlace` throws; nothing has been run and nothing is left then
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
  const place = await takePlace(placeOptions(options), inbox);
  if (typeof place === "string") return { kind: "killed", signal: constants.signals[place] };
  return within(place, { options, inbox }, () => {
    // Who ends the broker ends the command it is there for, as SIGTERM to us does.
    void place.endAsked.then(() => inbox.deliver("SIGTERM"));
    void place.lost.then((reason) => say(`The broker at ${place.pipe} has gone, the command goes on: ${reason}`));
    const { mark, reaper } = place;
    const { path } = executable;
    return runWrapped({ path, command, environment, mark, ignoredSignals: ignored, inbox, graceMs, reaper });
  });
}

async function serve(options: StartOptions, ignored: ReadonlySet<number>): Promise<Ending> {
  const inbox = new SignalInbox(heeded(["SIGTERM", "SIGINT", "SIGHUP"], ignored));
  const place = await takePlace(placeOptions(options), inbox);
  if (typeof place === "string") return { kind: "exited", status: 0 };
  return within(place, { options, inbox }, async () => {
    writeSync(1, place.url === undefined ? `${place.pipe}\n` : `${place.pipe}\n${place.url}\n`);
    const ends: Promise<unknown>[] = [signalled(inbox), place.endAsked];
    if (options.owner !== undefined) ends.push(ownerGone(options.owner));
    const lost = place.lost.then((reason) => {
      say(`The broker at ${place.pipe} has gone: ${reason}`);
      return exitStatuses.unavailable;
    });
    const status = await Promise.race([lost, ...ends.map((end) => end.then(() => 0))]);
    return { kind: "exited", status };
  });
}

interface Run {
  readonly options: StartOptions;
  readonly inbox: SignalInbox;
}

/** Does `work` in `place` and leaves it; signals that come once the work is done make that quick. */
async function within(place: Place, { options, inbox }: Run, work: () => Promise<Ending>): Promise<Ending> {
  try {
    for (const hook of options.hooks) await place.onEnd({ argv: ["sh", "-c", hook], cwd: process.cwd() });
    return await work();
  } finally {
    await place.leave(signalled(inbox));
  }
}

function signalled(inbox: SignalInbox): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (inbox.open(() => resolve()).length > 0) resolve();
  return promise;
}

function placeOptions(options: StartOptions): PlaceOptions {
  const { config, join, graceMs, environment, command, takesHooks, portFile } = options;
  const label = environment.EPHEMERAL_LABEL || `join ${basename(command[0] ?? "")}`.trimEnd();
  return { config, join, graceMs, label, environment, takesHooks, portFile };
}
