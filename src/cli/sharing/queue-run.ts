/**
 * Drains a queue with commands: so many lanes side by side, each of which takes a job, runs the command for it and acks it or
 * gives it back. A signal ends the taking and is told to the commands; what they had goes back unharmed. How a single command
 * runs, `wrapping.ts` knows; how it goes is shown elsewhere.
 */
import { constants } from "node:os";
import { basename } from "node:path";
import { systemClientClock } from "../../client/client-clock.ts";
import type { Connection } from "../../client/connection/connection.ts";
import type { Job } from "../../client/sharing/job.ts";
import { Jobs } from "../../client/sharing/jobs.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { QueueInfo } from "../../protocol/sharing.ts";
import { isStdoutBroken } from "../broken-stdout.ts";
import { connectionTo } from "../call.ts";
import { exitStatuses, usageError } from "../failure.ts";
import { printJson } from "../output.ts";
import { type ClientSettings, type Environment, type Flags, processEnvironment } from "../settings/settings.ts";
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
import { textOfData } from "./queue-items.ts";
import { type Outcome, QueueProgress } from "./queue-progress.ts";

export interface QueueRunOptions {
  readonly queue: string;
  /** The program and its arguments, as typed. */
  readonly command: readonly string[];
  /** Commands that run at a time. */
  readonly lanesCount: number;
  /** How long to wait for a next job, −1 for as long as the queue is open. */
  readonly waitMs: number;
  readonly retryAfterMs: number | undefined;
  readonly isJson: boolean;
}

/** Stands for the job in the words of the command. */
const placeholder = "{}";

/** Ends this process: 0 when all jobs of the queue are done, 1 when some are dead, by the signal that ended the run, 127 and 126
 *  when there is no such command or it cannot be run; nothing has been taken then.
 *  @throws {EphemeralError} what the broker refuses, `unavailable` when it has gone */
export async function runQueue(flags: Flags, options: QueueRunOptions): Promise<never> {
  const [name] = options.command;
  if (name === undefined) throw usageError("Cannot run a queue: there is no command", "Write it behind --");
  const ignored = signalsIgnoredAtStart();
  if (ignored.has(constants.signals.SIGCHLD)) restoreDefault(constants.signals.SIGCHLD);
  if (!name.includes(placeholder)) {
    const executable = findExecutable(name, processEnvironment.PATH);
    if (executable.kind === "refused") {
      say(executable.message);
      process.exit(executable.status);
    }
  }
  const { settings, graceMs } = turnSettings(flags);
  const label = processEnvironment.EPHEMERAL_LABEL || `${basename(name)} (pid ${process.pid})`;
  const { connection, absence } = connectionTo({ ...settings, label });
  const run = new QueueRun({ ...options, connection, absence, settings, graceMs, ignored });
  const signal = await run.drain();
  connection.close();
  if (signal !== undefined) endBySignal(constants.signals[signal]);
  process.exit(run.hasDead ? exitStatuses.refused : 0);
}

interface QueueRunParts extends QueueRunOptions {
  readonly connection: Connection;
  /** Fails when nobody listens there. */
  readonly absence: Promise<never>;
  readonly settings: ClientSettings;
  readonly graceMs: number;
  readonly ignored: ReadonlySet<number>;
}

class QueueRun {
  readonly #parts: QueueRunParts;
  readonly #jobs: Jobs<unknown>;
  readonly #progress: QueueProgress;
  readonly #stopped = new AbortController();
  /** Of the commands that run. */
  readonly #inboxes = new Set<SignalInbox>();
  #signal: SignalName | undefined;
  #hasDead = false;

  constructor(parts: QueueRunParts) {
    const { connection, queue: name, waitMs } = parts;
    const options = { waitMs, signal: this.#stopped.signal };
    this.#parts = parts;
    this.#jobs = new Jobs({ connection, clock: systemClientClock, name, options });
    this.#progress = new QueueProgress(name, () => this.#info());
  }

  /** Whether jobs of the queue were dead at the end. */
  get hasDead(): boolean {
    return this.#hasDead;
  }

  /** Resolves when nothing is left to do, or with the signal that ended it.
   *  @throws what made it impossible to go on, once no command runs any more */
  async drain(): Promise<SignalName | undefined> {
    const { absence, lanesCount, ignored, isJson } = this.#parts;
    absence.catch((error: unknown) => this.#stop(error));
    new SignalInbox(heeded(supervisedSignals, ignored)).open((signal) => this.#receive(signal));
    this.#progress.start(await this.#info());
    const lanes = Array.from({ length: lanesCount }, () => this.#lane());
    const endings = await Promise.allSettled(lanes);
    this.#progress.stop();
    const failed = endings.find((ending) => ending.status === "rejected");
    if (failed !== undefined && this.#signal === undefined) throw failed.reason;
    // Asked even when we were told to end: a job that came while we said so is back by its answer.
    const after = await this.#info();
    this.#hasDead = after.dead > 0;
    if (isJson) await printJson({ ...after, here: this.#progress.here });
    else this.#progress.sum(after);
    return this.#signal;
  }

  /** No more jobs, because of `reason`. */
  #stop(reason: unknown): void {
    this.#stopped.abort(reason);
  }

  #info(): Promise<QueueInfo> {
    return Promise.race([this.#jobs.info(), this.#parts.absence]);
  }

  #receive(signal: SignalName): void {
    if (signal !== "SIGUSR1" && signal !== "SIGUSR2") {
      this.#signal ??= signal;
      this.#stop(new EphemeralError("cancelled", `${signal} came`));
    }
    for (const inbox of this.#inboxes) inbox.deliver(signal);
  }

  /** One job after another. Fails with the first failure that is no command's, and stops the others then. */
  async #lane(): Promise<void> {
    const lane = openLane(this.#parts.settings.pipe);
    try {
      for await (const job of this.#jobs.all()) {
        this.#progress.began();
        const ending = await this.#perform(job, lane);
        this.#progress.ended(await this.#settle(job, ending));
      }
    } catch (error) {
      if (this.#parts.waitMs >= 0 && error instanceof EphemeralError && error.code === "timeout") return;
      this.#stop(error);
      throw error;
    } finally {
      lane.reaper?.dismiss();
    }
  }

  async #perform(job: Job, lane: Lane): Promise<Ending | undefined> {
    if (this.#stopped.signal.aborted) return undefined;
    const { settings, command, ignored, graceMs } = this.#parts;
    const text = textOfData(job.data);
    const words = command.map((word) => word.replaceAll(placeholder, () => text));
    const executable = findExecutable(words[0] ?? "", processEnvironment.PATH);
    if (executable.kind === "refused") {
      say(executable.message);
      return { kind: "exited", status: executable.status };
    }
    job.lost.addEventListener("abort", () => say(`${job.lost.reason.message}; its command goes on`));
    const inbox = new SignalInbox([]);
    this.#inboxes.add(inbox);
    const environment = { ...commandEnvironment(settings), ...variablesOf(job, text) };
    const { path } = executable;
    const wrapping = { path, command: words, environment, ignoredSignals: ignored, inbox, graceMs, ...lane };
    return await runWrapped({ ...wrapping, stdin: "ignore" }).finally(() => this.#inboxes.delete(inbox));
  }

  /** Says what became of the job. One that was ended with us, or never began, has not failed. */
  async #settle(job: Job, ending: Ending | undefined): Promise<Outcome> {
    if (ending?.kind === "exited" && ending.status === 0) return (await job.ack()) ? "done" : "lost";
    // As a pipeline ends when its reader does: each job that is left would only die of it.
    if (ending?.kind === "killed" && ending.signal === constants.signals.SIGPIPE && isStdoutBroken())
      this.#receive("SIGPIPE");
    if (ending === undefined || this.#signal !== undefined) return (await job.giveBack()) ? "givenBack" : "lost";
    const reason = ending.kind === "exited" ? `exit status ${ending.status}` : `killed by signal ${ending.signal}`;
    return (await job.nack({ reason, delayMs: this.#parts.retryAfterMs })) ? "failed" : "lost";
  }
}

function variablesOf({ id, attempt, fence }: Job, text: string): Environment {
  return {
    EPHEMERAL_JOB: text,
    EPHEMERAL_JOB_ID: id,
    EPHEMERAL_JOB_ATTEMPT: `${attempt}`,
    EPHEMERAL_FENCE: `${fence}`,
  };
}
