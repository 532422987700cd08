/**
 * One connection: bytes in, commands run, answers out in the order the protocol promises, all of it bounded. It owns the
 * session of its peer and ends it when it closes. Knows neither what commands do nor what kind of socket carries them.
 */
import type { CancelAlarm, Clock } from "../../engine/clock.ts";
import type { Codec } from "../../protocol/codec.ts";
import type { CommandName } from "../../protocol/commands.ts";
import { closeCodes } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import type { Push } from "../../protocol/pushes.ts";
import type { Dispatcher } from "../dispatcher.ts";
import { Admission } from "../gates/admission.ts";
import type { Doorkeeper } from "../gates/doorkeeper.ts";
import type { Gate } from "../gates/gate.ts";
import type { Log } from "../log/log.ts";
import type { Session } from "../sessions/session.ts";
import type { Carrier } from "../sessions/sessions.ts";
import { CommandReader } from "./command-reader.ts";
import { type CommandsHost, CommandsInFlight } from "./commands-in-flight.ts";
import { Inbox, type InboxHost } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import type { PushStream, StreamOptions } from "./push-stream.ts";
import type { Closing, Socket } from "./socket.ts";
import { Streams, type StreamsHost } from "./streams.ts";
import type { Tally } from "./tally.ts";
import type { Turns } from "./turns.ts";
import type { Wire } from "./wire.ts";

/** What a connection is handed by the broker. */
export interface ConnectionParts {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly turns: Turns;
  readonly dispatcher: Dispatcher;
  readonly log: Log | undefined;
  /** Told once that the connection is gone. What its session held is free, or lingers, when this returns. */
  readonly disconnected: (connection: Connection) => void;
}

/** How long clients are told to stay away from a broker that ends: whatever starts it again takes a moment. */
const comeBackMs = 1000;

/** Who is at the other end, and how it is spoken to. */
export interface ConnectionPeer {
  readonly socket: Socket;
  readonly session: Session;
  readonly wire: Wire;
  readonly gate: Gate;
  readonly doorkeeper?: Doorkeeper;
}

export class Connection implements Carrier {
  // Once for all connections: functions made for each of them would be half of what an idle one costs.
  static readonly #inboxHost: InboxHost<Connection> = {
    isStopped: (connection) => connection.#state !== "open",
    frame: (connection, frame) => connection.#reader.read(frame),
    goOn: (connection) => connection.#commands.goOn(),
    workedOff: (connection) => connection.#endWithPeer(),
    failed: (connection, error) => connection.#cannotRead(error),
  };
  static readonly #commandsHost: CommandsHost = {
    answer: (connection, id, reply) => connection.#answer(id, reply),
    refuse: (connection, refusal) => connection.#say(refusal),
    isHeldBack: (connection) => !connection.#inbox.mayGoOn(),
    isUnread: (connection) => connection.isPaused,
    authFailed: (connection, action) => connection.#authFailed(action),
  };
  static readonly #streamsHost: StreamsHost = {
    isOver: (connection) => connection.isOver,
    close: (connection) => queueMicrotask(() => connection.close(closeCodes.slow, "pushes were not read in time")),
    fellBehind: (connection) => connection.#parts.log?.warning("reader is behind", { session: connection.#session.id }),
  };

  /** Whether what this peer says may be done. */
  readonly admission: Admission;
  /** Undefined for a door that keeps no watch. */
  readonly doorkeeper: Doorkeeper | undefined;
  readonly openedAtMs: number;
  /** Why we close or have closed it; undefined when the peer does. */
  closing: Closing | undefined;
  #session: Session;
  readonly #parts: ConnectionParts;
  readonly wire: Wire;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox<Connection>;
  readonly #commands: CommandsInFlight;
  readonly #reader: CommandReader;
  #streams: Streams | undefined;
  #state: "open" | "paused" | "closing" | "closed" = "open";
  #cancelStallAlarm: CancelAlarm | undefined;
  #receivedBytes = 0;
  #hasPeerEnded = false;

  constructor(parts: ConnectionParts, peer: ConnectionPeer) {
    this.#parts = parts;
    this.wire = peer.wire;
    this.doorkeeper = peer.doorkeeper;
    this.#socket = peer.socket;
    this.#session = peer.session;
    this.#outbox = new Outbox(peer.socket);
    const { turns, dispatcher, limits } = parts;
    const { decoder } = peer.wire;
    this.#inbox = new Inbox<Connection>(this, { decoder, turns, socket: peer.socket, host: Connection.#inboxHost });
    this.admission = new Admission(peer.gate);
    this.openedAtMs = parts.clock.nowMs();
    this.#commands = new CommandsInFlight(this, { dispatcher, limits, host: Connection.#commandsHost });
    this.#reader = new CommandReader(this, { commands: this.#commands, limits });
  }

  /** Commands that are not answered yet. */
  get inFlight(): number {
    return this.#commands.size;
  }

  get tally(): Tally {
    return {
      commands: this.#reader.commandsRead,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#outbox.sentBytes,
    };
  }

  get session(): Session {
    return this.#session;
  }

  /** Goes on with a session that was resumed. */
  adopt(session: Session): void {
    this.#session = session;
  }

  /** Another connection carries our session from now on. */
  takenOver(): void {
    this.close(closeCodes.kicked, "taken over by another connection");
  }

  /** It is being closed or gone, whoever closes it: what it is told from now on is not said. */
  get isOver(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  /** Nothing it says is read, for at most `stallMs`. */
  get isPaused(): boolean {
    return this.#state === "paused";
  }

  /** What this connection speaks. */
  get codec(): Codec {
    return this.wire.codec;
  }

  /** Whether any command but `hello` and `challenge` has come. */
  get hasWorked(): boolean {
    return this.#reader.hasWorked;
  }

  /** Takes what the socket brought. Nothing in it can do more than end this connection. */
  receive(chunk: Uint8Array): void {
    this.#receivedBytes += chunk.length;
    this.#inbox.receive(chunk);
  }

  /** The socket has room again. */
  drained(): void {
    const unsentBytes = this.#outbox.flush();
    if (this.#outbox.isBroken || (this.#state === "closing" && unsentBytes === 0)) this.#end();
    this.#streams?.drained();
    if (this.isPaused && unsentBytes <= this.#parts.limits.outboxBytesMax) this.#resume();
  }

  /** The peer says nothing more: it has died, which the next write tells, or has closed its half and still reads. What it said
   *  before is worked off and what we said to it leaves, and that is the end. */
  peerEnded(): void {
    this.#hasPeerEnded = true;
    this.#endWithPeer();
  }

  #endWithPeer(): void {
    if (!this.#hasPeerEnded || this.isOver || !this.#inbox.isEmpty) return;
    this.#finish();
  }

  /** The socket is gone: waits leave their queues and the session ends, now. */
  disconnected(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelStallAlarm?.();
    this.#inbox.close();
    this.#streams?.clear();
    this.#outbox.clear();
    this.#commands.endAll();
    this.#parts.disconnected(this);
  }

  /** Says why, lets what was said leave, and closes. A peer that does not read is cut off after `stallMs`. */
  close(code: number, reason: string): void {
    if (this.isOver) return;
    this.closing = { code, reason };
    if (!this.session.isAnonymous || this.#streams !== undefined) this.push(this.#farewell(code, reason));
    this.#finish();
  }

  /** A pipe's client finds out by itself whether there is a broker again, and that costs nothing. */
  #farewell(code: number, reason: string): Push {
    const waits = code === closeCodes.shutdown && this.doorkeeper !== undefined;
    return { push: "closing", code, reason, ...(waits ? { retryAfterMs: comeBackMs } : {}) };
  }

  /** Closes without waiting for a peer that may be gone: what its socket does not take now is lost. */
  cut(code: number, reason: string): void {
    this.close(code, reason);
    if (this.#state === "closing") this.#end();
  }

  /** Begins nothing more, and ends once what was said has left. */
  #finish(): void {
    this.#state = "closing";
    this.#commands.endAll();
    this.#inbox.close();
    if (this.#outbox.flush() === 0 || this.#outbox.isBroken) this.#end();
    else this.#armStallAlarm();
  }

  push(push: Push): void {
    if (this.#state !== "closed") this.#outbox.enqueue(this.codec.encode(push));
  }

  /** A way for the pushes of one subscription, with what is done when this reader is slow. */
  openStream(options: StreamOptions): PushStream {
    const { limits } = this.#parts;
    this.#streams ??= new Streams(this, { outbox: this.#outbox, limits, host: Connection.#streamsHost });
    return this.#streams.open(options);
  }

  /** Takes the wait of command `target` out of its queue. False when it was answered already. */
  cancel(target: number): boolean {
    return this.#commands.cancel(target);
  }

  #cannotRead(error: unknown): void {
    this.#say(this.#parts.dispatcher.refusal(error, { id: undefined }));
    this.close(closeCodes.badRequest, "a frame could not be read");
  }

  #answer(id: number | undefined, reply: object): void {
    if (this.#state === "closed") return;
    this.#outbox.enqueue(this.codec.encodeReply(id, reply));
    this.#holdBack();
  }

  #say(message: object): void {
    if (this.#state === "closed") return;
    this.#outbox.enqueue(this.codec.encode(message));
    this.#holdBack();
  }

  #authFailed(action: CommandName): void {
    this.doorkeeper?.authFailed();
    if (this.admission.failed(action)) this.close(closeCodes.authFailed, "authentication failed");
  }

  /** Stops reading while more replies are unsent than the outbox may hold. A paused socket does not see its peer die, so
   *  the pause is bounded by `stallMs`. */
  #holdBack(): void {
    const { outboxBytesMax } = this.#parts.limits;
    if (this.#outbox.bytesAtMost <= outboxBytesMax || this.#state !== "open") return;
    if (this.#outbox.flush() <= outboxBytesMax) return;
    this.#state = "paused";
    this.#socket.pause();
    this.#armStallAlarm();
  }

  #resume(): void {
    this.#state = "open";
    this.#cancelStallAlarm?.();
    this.#inbox.goOn();
  }

  #armStallAlarm(): void {
    this.#cancelStallAlarm?.();
    const { clock, limits } = this.#parts;
    this.#cancelStallAlarm = clock.schedule(clock.nowMs() + limits.stallMs, () => {
      if (this.isPaused) this.close(closeCodes.slow, "replies were not read in time");
      this.#end();
    });
  }

  #end(): void {
    this.#socket.end(this.closing);
    this.disconnected();
  }
}
