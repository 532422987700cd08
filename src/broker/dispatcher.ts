/**
 * The command table and the gates before it, always in the same order: known, authenticated, draining, then the handler.
 * The one place where a thrown error becomes a reply. Knows nothing of frames or of what a command does.
 */
import type { Awaitable } from "../engine/engine.ts";
import type { Command, CommandName, ErrorReply, Reply, Request } from "../protocol/commands.ts";
import { EphemeralError } from "../protocol/errors.ts";
import type { Invocation } from "./invocation.ts";

/** One command's row in the table. */
export interface Row<Name extends CommandName> {
  /** `anyone` may say it before it has proved to know the secret; else `admitted`. */
  readonly access: "anyone" | "admitted";
  /** Whether a draining broker still serves it: what looks, lets go or finishes. */
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

export class Dispatcher {
  readonly #table: CommandTable;
  readonly #counts = new Map<string, CommandCount>();
  readonly #reportInternal: (error: unknown, action: CommandName | undefined) => void;
  isDraining = false;

  constructor(options: {
    readonly table: CommandTable;
    /** Told of every error that is not ours, with its stack, before it is answered `internal`. */
    readonly reportInternal: (error: unknown, action: CommandName | undefined) => void;
  }) {
    this.#table = options.table;
    this.#reportInternal = options.reportInternal;
    for (const action of Object.keys(options.table)) this.#counts.set(action, { total: 0, errors: 0 });
  }

  get counts(): ReadonlyMap<string, Readonly<CommandCount>> {
    return this.#counts;
  }

  /** Passes `command` through the gates and runs it.
   *  @throws {EphemeralError} what a gate or the handler refuses with */
  run(command: Command, invocation: Invocation): Awaitable<Reply<CommandName>> {
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
  refusal(error: unknown, about: { readonly id: number | undefined; readonly action?: CommandName }): ErrorReply {
    if (about.action !== undefined) {
      const count = this.#counts.get(about.action);
      if (count !== undefined) count.errors++;
    }
    if (error instanceof EphemeralError) return errorReply(error, about.id);
    this.#reportInternal(error, about.action);
    return errorReply(
      new EphemeralError("internal", `Cannot run ${about.action ?? "command"}: the broker failed inside`),
      about.id,
    );
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
