/**
 * The connections that are open, whatever door they came by: makes them, bounds their number, closes them all at the end.
 */
import { EphemeralError } from "../protocol/errors.ts";
import { Connection, type ConnectionParts, type Socket } from "./connection.ts";
import type { Door } from "./session.ts";
import type { Sessions } from "./sessions.ts";

export type ConnectionsParts = Omit<ConnectionParts, "disconnected"> & { readonly sessions: Sessions };

export class Connections {
  readonly #parts: ConnectionsParts;
  readonly #open = new Set<Connection>();

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Commands that are not answered yet. */
  get inFlight(): number {
    let commands = 0;
    for (const connection of this.#open) commands += connection.inFlight;
    return commands;
  }

  /** The connection of a peer that has dialled, with a session of its own; undefined when there are too many, which the
   *  peer is told. */
  open(socket: Socket, peer: { readonly door: Door; readonly pid: number | undefined }): Connection | undefined {
    const { limits, sessions, codecs, dispatcher } = this.#parts;
    if (this.#open.size >= limits.connectionsMax) {
      const text = `Cannot connect: ${this.#open.size} connections are open, the limit`;
      const error = new EphemeralError("too_many_connections", text);
      const line = codecs.json.encode(dispatcher.refusal(error, { id: undefined }));
      socket.write(Buffer.from(line));
      return undefined;
    }
    const session = sessions.begin(peer);
    const connection = new Connection(
      { ...this.#parts, disconnected: (closed) => this.#disconnected(closed) },
      { socket, session },
    );
    this.#open.add(connection);
    sessions.carry(session, connection);
    return connection;
  }

  closeAll(code: number, reason: string): void {
    for (const connection of [...this.#open]) connection.close(code, reason);
  }

  #disconnected(connection: Connection): void {
    this.#open.delete(connection);
    this.#parts.sessions.disconnected(connection.session, connection);
  }
}
