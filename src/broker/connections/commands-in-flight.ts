/**
 * The commands of one connection that are not answered yet: numbered ones run side by side, those without a number one
 * after another, all of them bounded, each of them cancellable. Knows nothing of bytes; answers leave through its owner.
 */
import type { Awaitable } from "../../engine/engine.ts";
import type { Command, CommandName, ErrorReply, Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import { parseCommand } from "../../protocol/parse.ts";
import type { Dispatcher } from "../dispatcher.ts";
import type { Invocation } from "../invocation.ts";
import type { Connection } from "./connection.ts";
import { type Task, TaskLine, type TaskLineHost } from "./task-line.ts";

/** What commands need of their connection, the same for all connections. */
export interface CommandsHost {
  /** Sends the reply to command `id`.
   *  @throws what the codec throws for a reply it cannot write */
  readonly answer: (connection: Connection, id: number | undefined, reply: object) => void;
  /** Sends a refusal. */
  readonly refuse: (connection: Connection, refusal: ErrorReply) => void;
  /** Whether nothing may be begun now, for whatever reason. `goOn` is to be called when that changes. */
  readonly isHeldBack: (connection: Connection) => boolean;
  /** Whether too much of what was answered is unread, so that even what is begun is not to be answered. */
  readonly isUnread: (connection: Connection) => boolean;
  /** Told when a peer failed to prove itself. */
  readonly authFailed: (connection: Connection, action: CommandName) => void;
}

export interface CommandsInFlightOptions {
  readonly dispatcher: Dispatcher;
  readonly limits: Limits;
  readonly host: CommandsHost;
}

/** An answer that waits until earlier ones have been read. It is not encoded yet: what it shows is shared. */
interface HeldAnswer {
  readonly reply: Reply<CommandName>;
  readonly command: Command;
}

export class CommandsInFlight {
  static readonly #lineHost: TaskLineHost<CommandsInFlight> = {
    hasRoom: (commands, bytes) => commands.#hasRoom(bytes),
    isHeldBack: (commands) => commands.#isHeldBack,
    refuse: (commands) => commands.#refuse(commands.#refusal(commands.#tooMany(), undefined)),
  };

  readonly #connection: Connection;
  readonly #dispatcher: Dispatcher;
  readonly #limits: Limits;
  readonly #host: CommandsHost;
  readonly #numbered = new Map<number, Invocation>();
  readonly #ordered: TaskLine<CommandsInFlight>;
  /** Every command that waits, with a number or without. */
  readonly #waiting = new Set<Invocation>();
  #heldAnswers: HeldAnswer[] = [];

  constructor(connection: Connection, { dispatcher, limits, host }: CommandsInFlightOptions) {
    this.#connection = connection;
    this.#dispatcher = dispatcher;
    this.#limits = limits;
    this.#host = host;
    this.#ordered = new TaskLine<CommandsInFlight>(this, CommandsInFlight.#lineHost);
  }

  get size(): number {
    return this.#numbered.size + this.#ordered.length + this.#heldAnswers.length;
  }

  /** Runs `command`, which came as `frame`, now or in its turn, and sees that it is answered exactly once. */
  run(command: Command, { invocation, frame }: { readonly invocation: Invocation; readonly frame: Uint8Array }): void {
    const { id } = command;
    if (id === undefined) {
      this.#ordered.run({
        bytes: frame.length,
        task: () => this.#run(command, invocation),
        kept: () => this.#keptTask(frame.slice(), invocation),
      });
    } else if (this.size >= this.#limits.commandsInFlightMax) this.#refuse(this.#refusal(this.#tooMany(), id));
    else if (this.#numbered.has(id)) this.#refuse(this.#refusal(duplicateId(id), id));
    else this.#runNumbered(command, invocation, id);
  }

  /** Refuses what could not even be read as a command; without a number in its turn among those without one. */
  refuse(error: unknown, id: number | undefined): void {
    const refusal = this.#refusal(error, id);
    const task = (): void => this.#refuse(refusal);
    if (id === undefined) this.#ordered.run({ bytes: 0, task, kept: () => task });
    else task();
  }

  /** Takes the wait of command `id` out of its queue. False when it was answered already. */
  cancel(id: number): boolean {
    const reason = new EphemeralError("cancelled", `Cannot finish command ${id}: it was cancelled`);
    return this.#numbered.get(id)?.cancel?.(reason) ?? false;
  }

  /** Takes up what was held back. */
  goOn(): void {
    while (this.#heldAnswers.length > 0 && !this.#isHeldBack) {
      const held = this.#heldAnswers.shift();
      if (held !== undefined) this.#answer(held.reply, held.command);
    }
    this.#ordered.goOn();
  }

  /** Ends every wait and forgets what has not started: waits leave their queues with their connection, whatever becomes of
   *  the session. */
  endAll(): void {
    this.#ordered.clear();
    this.#heldAnswers = [];
    // Most connections close with nothing waiting, and an error costs as much as a command.
    if (this.#waiting.size === 0) return;
    const reason = new EphemeralError("cancelled", "Cannot go on waiting: the connection is closed");
    for (const invocation of [...this.#waiting]) invocation.cancel?.(reason);
  }

  /** What waits is kept as it came: read, it can be twenty times as large. A function of its own, so that nothing else of its
   *  arrival is kept. */
  #keptTask(frame: Uint8Array, invocation: Invocation): Task {
    return () => this.#run(this.#read(frame), invocation);
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
      result = this.#dispatcher.run(command, invocation);
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
        if (waits) this.#dispatcher.countHandOver(command.action);
        if (this.#host.isUnread(this.#connection)) this.#heldAnswers.push({ reply, command });
        else this.#answer(reply, command);
      },
      (error) => {
        this.#waiting.delete(invocation);
        this.#fail(error, command);
      },
    );
  }

  #answer(reply: object, command: Command): void {
    try {
      this.#host.answer(this.#connection, command.id, reply);
    } catch (error) {
      this.#fail(error, command);
    }
  }

  #fail(error: unknown, { id, action }: Command): void {
    this.#refuse(this.#dispatcher.refusal(error, { id, action, session: this.#connection.session }));
    if (error instanceof EphemeralError && error.code === "auth_failed")
      this.#host.authFailed(this.#connection, action);
  }

  #hasRoom(bytes: number): boolean {
    const { commandsInFlightMax, commandsHeldBytesMax } = this.#limits;
    return this.size < commandsInFlightMax && this.#ordered.bytes + bytes <= commandsHeldBytesMax;
  }

  get #isHeldBack(): boolean {
    return this.#host.isHeldBack(this.#connection);
  }

  #refuse(refusal: ErrorReply): void {
    this.#host.refuse(this.#connection, refusal);
  }

  /** A frame that was read as a command before. */
  #read(frame: Uint8Array): Command {
    return parseCommand(this.#connection.codec.decode(frame), this.#limits);
  }

  #refusal(error: unknown, id: number | undefined): ErrorReply {
    return this.#dispatcher.refusal(error, { id, session: this.#connection.session });
  }

  #tooMany(): EphemeralError {
    const { commandsInFlightMax: commandsMax, commandsHeldBytesMax: heldBytesMax } = this.#limits;
    const actual = `${this.size} are unanswered, ${this.#ordered.bytes} bytes of them wait for their turn`;
    return new EphemeralError(
      "too_many_commands",
      `Cannot run command: ${actual}; the limits are ${commandsMax} and ${heldBytesMax} bytes`,
      { details: { commandsInFlightMax: commandsMax, commandsHeldBytesMax: heldBytesMax } },
    );
  }
}

function duplicateId(id: number): EphemeralError {
  return new EphemeralError("bad_command", `Cannot run command: another one with id ${id} is unanswered still`);
}
