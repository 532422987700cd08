/**
 * Commands in the log, at `debug`: what each was about, how it ended and how long it took, tied together by session and
 * command id. Exists only while somebody reads that level; a broker without it pays one comparison a command.
 */
import type { Awaitable } from "../../engine/engine.ts";
import type { Command, CommandName, Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Invocation } from "../invocation.ts";
import type { Log, LogFields } from "./log.ts";

/** All that is said of a request or of a reply. A field that is not listed is not told: it may hold a value or a proof. */
const toldOfRequests: ReadonlySet<string> = new Set(
  (
    "key workerId prefix limit ttl if version refresh overflow ttlIfNew size waitMs scope fence cacheMs target lingerMs " +
    "pool grant owner count windowMs cost forMs parties queue job ackMs delayMs closes join pass channel method " +
    "request event stop serial since history presence group exceptSelf"
  ).split(" "),
);
const toldOfReplies: ReadonlySet<string> = new Set(
  (
    "version fence leader deleted released cancelled unwatched receivers responded kicked " +
    "unsubscribed offset recovered"
  ).split(" "),
);

export class CommandLog {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Runs one command and tells how it went. Its result, or its failure, is passed on as it is. */
  follow(
    { command, invocation }: { readonly command: Command; readonly invocation: Invocation },
    run: () => Awaitable<Reply<CommandName>>,
  ): Awaitable<Reply<CommandName>> {
    const { action, id } = command;
    const about = { session: invocation.session.id, id, action, ...told(command.request, toldOfRequests) };
    const startedAtUs = this.#log.nowUs();
    const done = (outcome: LogFields): void =>
      this.#log.debug("command done", { ...about, ...outcome, us: this.#log.nowUs() - startedAtUs });
    try {
      const result = run();
      if (!(result instanceof Promise)) {
        done(outcomeOf(result));
        return result;
      }
      if (invocation.cancel !== undefined) this.#log.debug("command waits", about);
      result.then(
        (reply) => done(outcomeOf(reply)),
        (error) => done(outcomeOfError(error)),
      );
      return result;
    } catch (error) {
      done(outcomeOfError(error));
      throw error;
    }
  }
}

function outcomeOf(reply: object): LogFields {
  return { outcome: "ok", ...prefixed(told(reply, toldOfReplies)) };
}

function outcomeOfError(error: unknown): LogFields {
  return { outcome: error instanceof EphemeralError ? error.code : "internal" };
}

/** A request's field and a reply's may have one name. */
function prefixed(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [`reply.${name}`, field]));
}

function told(message: object, names: ReadonlySet<string>): LogFields {
  const fields = Object.entries(message).filter(([name, field]) => names.has(name) && isPlain(field));
  // Only plain fields are left.
  return Object.fromEntries(fields) as LogFields;
}

function isPlain(field: unknown): boolean {
  return typeof field === "string" || typeof field === "number" || typeof field === "boolean";
}
