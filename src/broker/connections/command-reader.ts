/**
 * What the peer of one connection says: frames become commands, which are handed on in their order, and what can be none is
 * refused and counted. Sees that `hello` comes first where the door wants it. Knows neither sockets nor what commands do.
 */
import type { Command } from "../../protocol/commands.ts";
import { closeCodes, EphemeralError } from "../../protocol/errors.ts";
import { badFramesInARowMax, type Limits } from "../../protocol/limits.ts";
import { parseCommand, readCommandId } from "../../protocol/parse.ts";
import type { Doorkeeper } from "../gates/doorkeeper.ts";
import { Invocation } from "../invocation.ts";
import type { CommandsInFlight } from "./commands-in-flight.ts";
import type { Connection } from "./connection.ts";

export class CommandReader {
  /** Commands that could be read. */
  commandsRead = 0;
  /** Whether any command but `hello` and `challenge` has come. */
  hasWorked = false;
  readonly #connection: Connection;
  readonly #commands: CommandsInFlight;
  readonly #limits: Limits;
  #badFramesInARow = 0;

  constructor(connection: Connection, options: { readonly commands: CommandsInFlight; readonly limits: Limits }) {
    this.#connection = connection;
    this.#commands = options.commands;
    this.#limits = options.limits;
  }

  read(frame: Uint8Array): void {
    try {
      const message = this.#connection.codec.decode(frame);
      this.#badFramesInARow = 0;
      this.#readMessage(message, frame);
    } catch (error) {
      this.#commands.refuse(error, undefined);
      if (++this.#badFramesInARow >= badFramesInARowMax) {
        this.#connection.close(closeCodes.badRequest, `${badFramesInARowMax} frames in a row could not be read`);
      }
    }
  }

  #readMessage(message: Record<string, unknown>, frame: Uint8Array): void {
    const connection = this.#connection;
    const { doorkeeper } = connection;
    if (doorkeeper !== undefined && this.#isForDoor(message, doorkeeper)) return;
    let command: Command;
    try {
      command = parseCommand(message, this.#limits);
    } catch (error) {
      this.#commands.refuse(error, readCommandId(message));
      return;
    }
    this.commandsRead++;
    if (!this.hasWorked && command.action !== "hello" && command.action !== "challenge") {
      this.hasWorked = true;
      connection.session.confirmSecret();
    }
    this.#commands.run(command, { invocation: new Invocation(connection, connection.admission.admits(frame)), frame });
  }

  /** Whether `message` is none for the commands: the answer to a ping, or what came before `hello`, which is the end. */
  #isForDoor(message: Record<string, unknown>, doorkeeper: Doorkeeper): boolean {
    const { action } = message;
    if (this.#connection.session.isAnonymous) {
      if (action === "hello" || action === "challenge") return false;
      const notGreeted = "Cannot run command: the first one of a WebSocket must be hello";
      this.#commands.refuse(new EphemeralError("bad_command", notGreeted), readCommandId(message));
      this.#connection.close(closeCodes.badRequest, "hello did not come first");
      return true;
    }
    if (action === "pong") doorkeeper.answered();
    return action === "pong";
  }
}
