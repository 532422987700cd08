/**
 * The command table and the gates before it, always in the same order: known, authenticated, draining, then the handler.
 * The one place where a thrown error becomes a reply. Knows nothing of frames or of what a command does.
 */
import type { Awaitable } from "../engine/engine.ts";
import type { Command, CommandName, ErrorReply, Reply, Request } from "../protocol/commands.ts";
import { EphemeralError, type ErrorCode } from "../protocol/errors.ts";
import type { Invocation } from "./invocation.ts";
import { CommandLog } from "./log/command-log.ts";
import { type Log, reportInternal } from "./log/log.ts";
import type { Session } from "./sessions/session.ts";

/** One command's row in the table. */
export interface Row<Name extends CommandName> {
  /** `anyone` may say it before it has proved to know the secret; else `admitted`. */
  readonly access: "anyone" | "admitted";
  /** Whether a draining broker still serves it, as it does all that those who joined its run may need. */
  readonly whileDraining: "served" | "refused";
  readonly handle: (request: Request<Name>, invocation: Invocation) => Awaitable<Reply<Name>>;
}

/** A command without a handler is a compile error. */
export type CommandTable = { readonly [Name in CommandName]: Row<Name> };
export type Rows<Name extends CommandName> = Pick<CommandTable, Name>;

/** Plain numbers, read when somebody asks for metrics. */
export interface CommandCount {
  total: number;
  errors: number;
}

/** Which command an error belongs to, as far as it is known. */
export interface RefusedCommand {
  readonly id: number | undefined;
  readonly action?: CommandName;
  readonly session?: Session;
}

export class Dispatcher {
  readonly #table: CommandTable;
  readonly #counts = new Map<string, CommandCount>();
  readonly #refusals = new Map<ErrorCode, number>();
  readonly #handOvers = new Map<CommandName, number>();
  readonly #log: Log | undefined;
  readonly #isDraining: () => boolean;
  /** Undefined unless every command is to be told. */
  readonly #commandLog: CommandLog | undefined;

  constructor(options: {
    readonly table: CommandTable;
    readonly log: Log | undefined;
    /** Whether the broker is about to end. */
    readonly isDraining: () => boolean;
  }) {
    const { table, log, isDraining } = options;
    this.#table = table;
    this.#log = log;
    this.#isDraining = isDraining;
    this.#commandLog = log?.isDebugging ? new CommandLog(log) : undefined;
    for (const action of Object.keys(options.table)) this.#counts.set(action, { total: 0, errors: 0 });
  }

  get isDraining(): boolean {
    return this.#isDraining();
  }

  get counts(): ReadonlyMap<string, Readonly<CommandCount>> {
    return this.#counts;
  }

  /** Refusals so far, by code, those of commands that could not be read among them. */
  get refusals(): ReadonlyMap<ErrorCode, number> {
    return this.#refusals;
  }

  /** Commands that waited and got what they waited for, by action. */
  get handOvers(): ReadonlyMap<CommandName, number> {
    return this.#handOvers;
  }

  countHandOver(action: CommandName): void {
    this.#handOvers.set(action, (this.#handOvers.get(action) ?? 0) + 1);
  }

  /** Passes `command` through the gates and runs it.
   *  @throws {EphemeralError} what a gate or the handler refuses with */
  run(command: Command, invocation: Invocation): Awaitable<Reply<CommandName>> {
    if (this.#commandLog === undefined) return this.#run(command, invocation);
    return this.#commandLog.follow({ command, invocation }, () => this.#run(command, invocation));
  }

  #run(command: Command, invocation: Invocation): Awaitable<Reply<CommandName>> {
    const count = this.#counts.get(command.action);
    if (count !== undefined) count.total++;
    // The table pairs each action with the request of the same name; the compiler cannot follow the pair through the lookup.
    const row = this.#table[command.action] as Row<CommandName>;
    if (row.access === "admitted" && !invocation.isAdmitted) {
      throw new EphemeralError(
        "auth_failed",
        `Cannot run ${command.action}: this broker has a secret and no right proof came`,
      );
    }
    if (this.isDraining && row.whileDraining === "refused") {
      throw new EphemeralError("draining", `Cannot run ${command.action}: the broker is about to end`);
    }
    return row.handle(command.request, invocation);
  }

  /** What goes over the wire for `error`: a known code is kept, anything else is reported and answered `internal`. */
  refusal(error: unknown, about: RefusedCommand): ErrorReply {
    if (about.action !== undefined) {
      const count = this.#counts.get(about.action);
      if (count !== undefined) count.errors++;
    }
    if (!(error instanceof EphemeralError)) reportInternal(this.#log, { error, action: about.action });
    const known =
      error instanceof EphemeralError
        ? error
        : new EphemeralError("internal", `Cannot run ${about.action ?? "command"}: the broker failed inside`);
    this.#refusals.set(known.code, (this.#refusals.get(known.code) ?? 0) + 1);
    if (this.#log !== undefined) this.#tellRefusal(this.#log, known, about);
    return errorReply(known, about.id);
  }

  /** By its code alone: messages quote names, and of a command that could not be read nobody knows what they quote. */
  #tellRefusal(log: Log, { code }: EphemeralError, { id, action, session }: RefusedCommand): void {
    const about = { session: session?.id, pid: session?.peerPid, label: session?.label, id, action };
    if (code === "auth_failed") log.warning("authentication failed", about);
    else if (action === undefined) log.debug("command refused", { ...about, code });
  }
}

function errorReply(error: EphemeralError, id: number | undefined): ErrorReply {
  return {
    ...(id === undefined ? {} : { id }),
    ok: false,
    error: error.code,
    message: error.message,
    ...(error.retryable ? { retryable: true } : {}),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}
