/**
 * The connections that are open, whatever door they came by: makes them, bounds their number, closes them all at the end.
 */
import { closeCodes, EphemeralError } from "../../protocol/errors.ts";
import type { Hub } from "../channels/hub.ts";
import type { Collector } from "../collector.ts";
import type { Peer } from "../gates/doorkeeper.ts";
import type { Gate } from "../gates/gate.ts";
import { openGate } from "../gates/gate.ts";
import type { Log } from "../log/log.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Watches } from "../watches.ts";
import { Connection, type ConnectionParts } from "./connection.ts";
import type { Socket } from "./socket.ts";
import { addTallies, emptyTally, type Tally } from "./tally.ts";
import { PipeWire, type Wire } from "./wire.ts";

export type ConnectionsParts = Omit<ConnectionParts, "disconnected"> & {
  /** That of the pipe. */
  readonly gate: Gate;
  readonly sessions: Sessions;
  readonly watches: Watches;
  readonly hub: Hub;
  readonly collector: Collector;
  /** Told how many connections are open, whenever that changes. */
  readonly countChanged: (open: number) => void;
};

export class Connections {
  readonly #parts: ConnectionsParts;
  /** The same for all of them. */
  readonly #connectionParts: ConnectionParts;
  readonly #open = new Set<Connection>();
  #tallyOfClosed = emptyTally;
  #openedCount = 0;
  #refusedCount = 0;

  constructor(parts: ConnectionsParts) {
    this.#parts = parts;
    this.#connectionParts = { ...parts, disconnected: (closed) => this.#disconnected(closed) };
  }

  get size(): number {
    return this.#open.size;
  }

  get isFull(): boolean {
    return this.#open.size >= this.#parts.limits.connectionsMax;
  }

  /** Commands that are not answered yet. */
  get inFlight(): number {
    let commands = 0;
    for (const connection of this.#open) commands += connection.inFlight;
    return commands;
  }

  /** Connections opened so far, and those refused because there were too many. */
  get openedCount(): number {
    return this.#openedCount;
  }

  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** What all of them have done, those that are closed too. */
  get tally(): Tally {
    let tally = this.#tallyOfClosed;
    for (const connection of this.#open) tally = addTallies(tally, connection.tally);
    return tally;
  }

  /** The connection of a peer that has dialled, with a session of its own; undefined when there are too many, which the
   *  peer is told. */
  open(socket: Socket, peer: Peer): Connection | undefined {
    const { sessions, log, gate } = this.#parts;
    const wire = peer.wire ?? this.#pipeWire();
    if (this.isFull) {
      this.#refuse(socket, { wire, pid: peer.pid });
      return undefined;
    }
    const session = sessions.begin(peer);
    const connection = new Connection(this.#connectionParts, { gate, ...peer, socket, session, wire });
    this.#open.add(connection);
    this.#openedCount++;
    sessions.carry(session, connection);
    this.#parts.countChanged(this.#open.size);
    log?.debug("connection opened", { session: session.id, door: peer.door, pid: peer.pid, open: this.#open.size });
    return connection;
  }

  #pipeWire(): PipeWire {
    const { limits, gate } = this.#parts;
    const { frameBytesMax, helloBytesMax } = limits;
    const strangerBytesMax = gate === openGate ? frameBytesMax : Math.min(helloBytesMax, frameBytesMax);
    return new PipeWire({ frameBytesMax, strangerBytesMax });
  }

  /** Each hears what was published before. */
  closeAll(code: number, reason: string): void {
    this.#parts.hub.flush();
    for (const connection of [...this.#open]) connection.close(code, reason);
  }

  #refuse(socket: Socket, { wire, pid }: { readonly wire: Wire; readonly pid: number | undefined }): void {
    const { dispatcher, log } = this.#parts;
    const open = this.#open.size;
    const error = tooManyConnections(open);
    this.#refusedCount++;
    log?.warning("connection refused", { pid, open });
    socket.write(Buffer.from(wire.codec.encode(dispatcher.refusal(error, { id: undefined }))));
  }

  #disconnected(connection: Connection): void {
    this.#open.delete(connection);
    this.#parts.watches.end(connection);
    this.#parts.hub.end(connection);
    this.#tallyOfClosed = addTallies(this.#tallyOfClosed, connection.tally);
    this.#parts.collector.connectionClosed(connection.tally);
    if (this.#parts.log !== undefined) tellClosed(this.#parts.log, { connection, nowMs: this.#parts.clock.nowMs() });
    this.#parts.sessions.disconnected(connection.session, connection);
    this.#parts.countChanged(this.#open.size);
  }
}

export function tooManyConnections(open: number): EphemeralError {
  return new EphemeralError("too_many_connections", `Cannot connect: ${open} connections are open, the limit`);
}

/** What we closed because of what its peer did, or did not do, stands out. A connection of one request, as the seed's
 *  clients open them, does not. */
function tellClosed(log: Log, { connection, nowMs }: { connection: Connection; nowMs: number }): void {
  const { session, closing, openedAtMs, tally } = connection;
  const fields = {
    session: session.id,
    pid: session.peerPid,
    label: session.label,
    code: closing?.code,
    reason: closing?.reason ?? "the peer closed it",
    durationMs: nowMs - openedAtMs,
    ...tally,
  };
  if (closing !== undefined && closing.code !== closeCodes.shutdown) log.warning("connection closed", fields);
  else if (session.isAnonymous) log.debug("connection closed", fields);
  else log.info("connection closed", fields);
}
