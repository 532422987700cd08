/**
 * Answers requests of one method with a command: for each it takes a lane, of which there are so many, gives the command what
 * was asked and the asker what it printed. A signal ends the serving and is told to the commands. How a single command runs,
 * `wrapping.ts` knows.
 */
import { writeSync } from "node:fs";
import { constants } from "node:os";
import { basename } from "node:path";
import type { Connection } from "../../client/connection/connection.ts";
import { DirectMessages } from "../../client/requests/direct-messages.ts";
import { connectionTo } from "../call.ts";
import { usageError } from "../failure.ts";
import { MemoryFile } from "../memory-file.ts";
import { dataOfBytes } from "../message-data.ts";
import { shownValue } from "../output.ts";
import { type ClientSettings, type Flags, processEnvironment } from "../settings/settings.ts";
import { commandEnvironment } from "../turns/turn.ts";
import { turnSettings } from "../turns/turn-flags.ts";
import type { Ending } from "../wrapper/child.ts";
import { findExecutable } from "../wrapper/executable.ts";
import {
  endBySignal,
  restoreDefault,
  SignalInbox,
  type SignalName,
  signalsIgnoredAtStart,
} from "../wrapper/own-signals.ts";
import { say } from "../wrapper/say.ts";
import { supervisedSignals } from "../wrapper/supervision.ts";
import { heeded, runWrapped } from "../wrapper/wrapping.ts";
import { type Lane, openLane } from "./lane.ts";

export interface ServiceOptions {
  readonly method: string;
  /** The program and its arguments, as typed. */
  readonly command: readonly string[];
  /** Commands that run at a time. */
  readonly lanesCount: number;
}

/** Ends this process: by the signal that ended the serving, 127 and 126 when there is no such command or it cannot be run.
 *  @throws {EphemeralError} what the broker refuses, `unavailable` when it has gone */
export async function runService(flags: Flags, options: ServiceOptions): Promise<never> {
  const [name] = options.command;
  if (name === undefined) throw usageError("Cannot serve: there is no command", "Write it behind --");
  const ignored = signalsIgnoredAtStart();
  if (ignored.has(constants.signals.SIGCHLD)) restoreDefault(constants.signals.SIGCHLD);
  const executable = findExecutable(name, processEnvironment.PATH);
  if (executable.kind === "refused") {
    say(executable.message);
    process.exit(executable.status);
  }
  const { settings, graceMs } = turnSettings(flags);
  const label = processEnvironment.EPHEMERAL_LABEL || `${basename(name)} (pid ${process.pid})`;
  const { connection, absence } = connectionTo({ ...settings, label });
  const run = new ServiceRun({ ...options, connection, settings, graceMs, ignored, path: executable.path });
  const signal = await Promise.race([run.untilSignal(), absence]).finally(() => connection.close());
  endBySignal(constants.signals[signal]);
}

interface ServiceParts extends ServiceOptions {
  readonly connection: Connection;
  readonly settings: ClientSettings;
  readonly graceMs: number;
  readonly ignored: ReadonlySet<number>;
  /** The program, as it was found. */
  readonly path: string;
}

class ServiceRun {
  readonly #parts: ServiceParts;
  readonly #free: Lane[];
  /** Requests without a lane, in the order they came; told undefined when they get none. */
  readonly #waiting: ((lane: Lane | undefined) => void)[] = [];
  /** Of the commands that run. */
  readonly #inboxes = new Set<SignalInbox>();
  readonly #answering = new Set<Promise<unknown>>();
  readonly #ended = Promise.withResolvers<SignalName>();
  #signal: SignalName | undefined;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#free = Array.from({ length: parts.lanesCount }, () => openLane(parts.settings.pipe));
  }

  /** Serves until a signal ends it, and resolves to that once all who asked are answered.
   *  @throws {EphemeralError} what the broker refuses, `unavailable` when it has gone */
  async untilSignal(): Promise<SignalName> {
    const { connection, method, ignored } = this.#parts;
    new SignalInbox(heeded(supervisedSignals, ignored)).open((signal) => this.#receive(signal));
    const service = await new DirectMessages(connection).serve(method, (data, { from }) => this.#answer(data, from), {
      onLost: this.#ended.reject,
    });
    try {
      const signal = await this.#ended.promise;
      await service.stop();
      while (this.#answering.size > 0) await Promise.allSettled(this.#answering);
      // Behind the answers: when this is answered they have been heard. Where it cannot be, nobody hears them.
      await connection.call({ command: { action: "ping" } }).catch(() => {});
      return signal;
    } finally {
      for (const { reaper } of this.#free) reaper?.dismiss();
    }
  }

  #receive(signal: SignalName): void {
    if (signal !== "SIGUSR1" && signal !== "SIGUSR2") {
      this.#signal ??= signal;
      this.#ended.resolve(signal);
      for (const refuse of this.#waiting.splice(0)) refuse(undefined);
    }
    for (const inbox of this.#inboxes) inbox.deliver(signal);
  }

  #answer(data: unknown, from: string): Promise<unknown> {
    const answering = this.#inLane((lane) => this.#run({ data, from, lane }));
    this.#answering.add(answering);
    const done = (): void => void this.#answering.delete(answering);
    answering.then(done, done);
    return answering;
  }

  /** Does `work` in the next lane that is free, for those who wait in the order they came. */
  async #inLane(work: (lane: Lane) => Promise<unknown>): Promise<unknown> {
    const free = this.#signal === undefined ? this.#free.pop() : undefined;
    const lane = free ?? (await this.#freeLane());
    if (lane === undefined) throw this.#over();
    try {
      return await work(lane);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(lane);
      else next(lane);
    }
  }

  #freeLane(): Promise<Lane | undefined> | undefined {
    return this.#signal === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : undefined;
  }

  /** Runs the command and resolves to what it printed.
   *  @throws {Error} saying how it failed */
  async #run({ data, from, lane }: { data: unknown; from: string; lane: Lane }): Promise<unknown> {
    const { settings, method, command, path, ignored, graceMs } = this.#parts;
    using input = new MemoryFile(Buffer.from(shownValue(data)));
    using output = new MemoryFile();
    using complaints = new MemoryFile();
    const inbox = new SignalInbox([]);
    this.#inboxes.add(inbox);
    const environment = { ...commandEnvironment(settings), EPHEMERAL_METHOD: method, EPHEMERAL_FROM: from };
    const streams = { stdin: input.descriptor, stdout: output.descriptor, stderr: complaints.descriptor };
    const wrapping = { path, command, environment, ignoredSignals: ignored, inbox, graceMs, ...lane, ...streams };
    const ending = await runWrapped(wrapping).finally(() => this.#inboxes.delete(inbox));
    const said = complaints.bytes();
    passOn(said);
    if (ending.kind === "exited" && ending.status === 0) return dataOfBytes(output.bytes());
    throw this.#signal === undefined ? new Error(failureOf(ending, said)) : this.#over();
  }

  #over(): Error {
    return new Error(`${this.#signal} ended its responder`);
  }
}

/** The last line of what it complained of, and how it ended where it said nothing. */
function failureOf(ending: Ending, said: Uint8Array): string {
  const last = new TextDecoder().decode(said).trimEnd().split("\n").at(-1)?.trim();
  if (last) return last;
  return ending.kind === "exited" ? `exit status ${ending.status}` : `killed by signal ${ending.signal}`;
}

function passOn(bytes: Uint8Array): void {
  try {
    writeSync(2, bytes);
  } catch {
    // Nobody reads stderr: who asked is answered all the same.
  }
}
