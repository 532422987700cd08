/**
 * The commands of one connection that are not answered yet: numbered ones run side by side, those without a number one
 * after another, all of them bounded, each of them cancellable. Knows nothing of bytes; answers leave through its owner.
 */
import type { Awaitable } from "../engine/engine.ts";
import type { Command, CommandName, ErrorReply, Reply } from "../protocol/commands.ts";
import { EphemeralError } from "../protocol/errors.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Invocation } from "./invocation.ts";
import type { Session } from "./session.ts";
import { TaskLine } from "./task-line.ts";

export interface CommandsInFlightOptions {
  readonly dispatcher: Dispatcher;
  readonly commandsMax: number;
  /** Whose commands these are at the moment. */
  readonly session: () => Session;
  /** Sends the reply to command `id`.
   *  @throws what the codec throws for a reply it cannot write */
  readonly answer: (id: number | undefined, reply: object) => void;
  /** Sends a refusal. */
  readonly refuse: (refusal: ErrorReply) => void;
  /** Whether commands without a number must wait, because too much of what was answered is unread. */
  readonly isHeldBack: () => boolean;
  /** Told when a peer failed to prove itself. */
  readonly authFailed: (action: CommandName) => void;
}

export class CommandsInFlight {
  readonly #options: CommandsInFlightOptions;
  readonly #numbered = new Map<number, Invocation>();
  readonly #ordered: TaskLine;
  /** Every command that waits, with a number or without. */
  readonly #waiting = new Set<Invocation>();

  constructor(options: CommandsInFlightOptions) {
    this.#options = options;
    this.#ordered = new TaskLine({
      hasRoom: () => this.size < options.commandsMax,
      isHeldBack: options.isHeldBack,
      refuse: () => options.refuse(this.#refusal(this.#tooMany(), undefined)),
    });
  }

  get size(): number {
    return this.#numbered.size + this.#ordered.length;
  }

  /** Runs `command`, now or in its turn, and sees that it is answered exactly once. */
  run(command: Command, invocation: Invocation): void {
    const { id } = command;
    if (id === undefined) this.#ordered.run(() => this.#run(command, invocation));
    else if (this.size >= this.#options.commandsMax) this.#options.refuse(this.#refusal(this.#tooMany(), id));
    else if (this.#numbered.has(id)) this.#options.refuse(this.#refusal(duplicateId(id), id));
    else this.#runNumbered(command, invocation, id);
  }

  /** Refuses what could not even be read as a command; without a number in its turn among those without one. */
  refuse(error: unknown, id: number | undefined): void {
    const refusal = this.#refusal(error, id);
    if (id === undefined) this.#ordered.run(() => this.#options.refuse(refusal));
    else this.#options.refuse(refusal);
  }

  /** Takes the wait of command `id` out of its queue. False when it was answered already. */
  cancel(id: number): boolean {
    const reason = new EphemeralError("cancelled", `Cannot finish command ${id}: it was cancelled`);
    return this.#numbered.get(id)?.cancel?.(reason) ?? false;
  }

  /** Takes up the commands that were held back. */
  goOn(): void {
    this.#ordered.goOn();
  }

  /** Ends every wait and forgets what has not started: waits leave their queues with their connection, whatever becomes of
   *  the session. */
  endAll(): void {
    this.#ordered.clear();
    const reason = new EphemeralError("cancelled", "Cannot go on waiting: the connection is closed");
    for (const invocation of [...this.#waiting]) invocation.cancel?.(reason);
  }

  #runNumbered(command: Command, invocation: Invocation, id: number): void {
    const running = this.#run(command, invocation);
    if (!(running instanceof Promise)) return;
    this.#numbered.set(id, invocation);
    void running.then(() => this.#numbered.delete(id));
  }

  /** Runs one command and answers it; a promise, which never rejects, only while it waits. */
  #run(command: Command, invocation: Invocation): Awaitable<void> {
    let result: Awaitable<Reply<CommandName>>;
    try {
      result = this.#options.dispatcher.run(command, invocation);
    } catch (error) {
      this.#fail(error, command);
      return;
    }
    if (!(result instanceof Promise)) {
      this.#answer(result, command);
      return;
    }
    this.#waiting.add(invocation);
    // What only takes the broker a while has nothing to cancel.
    const waits = invocation.cancel !== undefined;
    return result.then(
      (reply) => {
        this.#waiting.delete(invocation);
        if (waits) this.#options.dispatcher.countHandOver(command.action);
        this.#answer(reply, command);
      },
      (error) => {
        this.#waiting.delete(invocation);
        this.#fail(error, command);
      },
    );
  }

  #answer(reply: object, command: Command): void {
    try {
      this.#options.answer(command.id, reply);
    } catch (error) {
      this.#fail(error, command);
    }
  }

  #fail(error: unknown, { id, action }: Command): void {
    const { dispatcher, refuse, session } = this.#options;
    refuse(dispatcher.refusal(error, { id, action, session: session() }));
    if (error instanceof EphemeralError && error.code === "auth_failed") this.#options.authFailed(action);
  }

  #refusal(error: unknown, id: number | undefined): ErrorReply {
    return this.#options.dispatcher.refusal(error, { id, session: this.#options.session() });
  }

  #tooMany(): EphemeralError {
    const { commandsMax } = this.#options;
    return new EphemeralError("too_many_commands", `Cannot run command: ${commandsMax} are unanswered, the limit`, {
      details: { commandsInFlightMax: commandsMax },
    });
  }
}

function duplicateId(id: number): EphemeralError {
  return new EphemeralError("bad_command", `Cannot run command: another one with id ${id} is unanswered still`);
}
