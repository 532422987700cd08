/**
 * One connection: bytes in, commands run, answers out in the order the protocol promises, all of it bounded. It owns the
 * session of its peer and ends it when it closes. Knows neither what commands do nor what kind of socket carries them.
 */
import type { CancelAlarm, Clock } from "../engine/clock.ts";
import type { Awaitable } from "../engine/engine.ts";
import type { Codec } from "../protocol/codec.ts";
import type { Command, CommandName, Push, Reply } from "../protocol/commands.ts";
import { closeCodes, EphemeralError } from "../protocol/errors.ts";
import { FrameDecoder } from "../protocol/frame.ts";
import { authFailuresMax, badFramesInARowMax, type Limits } from "../protocol/limits.ts";
import { parseCommand, readCommandId } from "../protocol/parse.ts";
import type { SecretAuthentication } from "./auth.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { Invocation } from "./invocation.ts";
import { type ByteSink, Outbox } from "./outbox.ts";
import type { Session } from "./session.ts";
import type { Carrier } from "./sessions.ts";
import { TaskLine } from "./task-line.ts";

/** The socket as a connection uses it. */
export interface Socket extends ByteSink {
  /** Stops and restarts the reading of bytes. */
  pause(): void;
  resume(): void;
  /** Closes; bytes that were written still arrive. */
  end(): void;
}

/** What a connection is handed by the broker. */
export interface ConnectionParts {
  readonly limits: Limits;
  readonly clock: Clock;
  /** The first byte of a connection chooses between them. */
  readonly codecs: { readonly json: Codec; readonly msgpack: Codec };
  readonly dispatcher: Dispatcher;
  /** Undefined where no secret is asked for. */
  readonly authentication: SecretAuthentication | undefined;
  /** Told once that the connection is gone. What its session held is free, or lingers, when this returns. */
  readonly disconnected: (connection: Connection) => void;
}

export class Connection implements Carrier {
  #session: Session;
  readonly #parts: ConnectionParts;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #decoder: FrameDecoder;
  /** Numbered commands that have not been answered. */
  readonly #inFlight = new Map<number, Invocation>();
  /** Every command that waits, with a number or without. */
  readonly #waiting = new Set<Invocation>();
  /** Those without a number, answered strictly in order. */
  readonly #ordered: TaskLine;
  #state: "open" | "paused" | "closing" | "closed" = "open";
  /** What came while paused, or behind the frame that paused us. */
  #heldBytes: Uint8Array[] = [];
  #cancelStallAlarm: CancelAlarm | undefined;
  #hasWorked = false;
  #badFramesInARow = 0;
  #authFailures = 0;
  #isAuthenticated: boolean;
  /** The challenge that was given and not answered yet. */
  #nonce: string | undefined;

  constructor(parts: ConnectionParts, peer: { readonly socket: Socket; readonly session: Session }) {
    this.#parts = parts;
    this.#socket = peer.socket;
    this.#session = peer.session;
    this.#outbox = new Outbox(peer.socket);
    this.#decoder = new FrameDecoder({ frameBytesMax: parts.limits.frameBytesMax, framing: "detect" });
    this.#isAuthenticated = parts.authentication === undefined;
    this.#ordered = new TaskLine({
      tasksMax: parts.limits.commandsInFlightMax,
      refuse: () => this.#say(this.#tooManyCommands(undefined)),
    });
  }

  /** Numbered and unnumbered commands that are not answered yet. */
  get inFlight(): number {
    return this.#inFlight.size + this.#ordered.length;
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

  /** What this connection speaks. Nothing is said before its first byte has chosen. */
  get codec(): Codec {
    const { json, msgpack } = this.#parts.codecs;
    return this.#decoder.framing === "prefixed" ? msgpack : json;
  }

  /** Whether any command but `hello` and `challenge` has come. */
  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  /** Takes what the socket brought. Nothing in it can do more than end this connection. */
  receive(chunk: Uint8Array): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    if (this.#state === "paused") {
      this.#heldBytes.push(chunk.slice());
      return;
    }
    try {
      const taken = this.#decoder.push(chunk, this.#receiveFrame);
      // Assigned by what the frames did; the compiler still believes "open".
      const state = this.#state as string;
      if (taken < chunk.length && state === "paused") this.#heldBytes.push(chunk.slice(taken));
    } catch (error) {
      this.#say(this.#parts.dispatcher.refusal(error, { id: undefined }));
      this.close(closeCodes.badRequest, "a frame could not be read");
    }
  }

  /** The socket has room again. */
  drained(): void {
    const unsentBytes = this.#outbox.flush();
    if (this.#state === "closing" && unsentBytes === 0) this.#end();
    if (this.#state === "paused" && unsentBytes <= this.#parts.limits.outboxBytesMax) this.#resume();
  }

  /** The socket is gone: waits leave their queues and the session ends, now. */
  disconnected(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelStallAlarm?.();
    this.#heldBytes = [];
    this.#outbox.clear();
    this.#ordered.clear();
    this.#endWaits();
    this.#parts.disconnected(this);
  }

  /** Says why, lets what was said leave, and closes. A peer that does not read is cut off after `stallMs`. */
  close(code: number, reason: string): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    if (!this.session.isAnonymous) this.push({ push: "closing", code, reason });
    this.#state = "closing";
    this.#endWaits();
    this.#heldBytes = [];
    if (this.#outbox.flush() === 0) this.#end();
    else this.#armStallAlarm();
  }

  /** Waits belong to the connection: they leave their queues with it, whatever becomes of the session. */
  #endWaits(): void {
    const reason = new EphemeralError("cancelled", "Cannot go on waiting: the connection is closed");
    for (const invocation of [...this.#waiting]) invocation.cancel?.(reason);
  }

  push(push: Push): void {
    if (this.#state !== "closed") this.#outbox.enqueue(this.codec.encode(push));
  }

  /** Takes the wait of command `target` out of its queue. False when it was answered already. */
  cancel(target: number): boolean {
    const reason = new EphemeralError("cancelled", `Cannot finish command ${target}: it was cancelled`);
    return this.#inFlight.get(target)?.cancel?.(reason) ?? false;
  }

  /** Remembers the nonce of the one outstanding challenge. */
  challenge(nonce: string): void {
    this.#nonce = nonce;
  }

  /** The outstanding nonce, which serves once. */
  takeNonce(): string | undefined {
    const nonce = this.#nonce;
    this.#nonce = undefined;
    return nonce;
  }

  authenticated(): void {
    this.#isAuthenticated = true;
  }

  readonly #receiveFrame = (frame: Uint8Array): boolean => {
    try {
      const message = this.codec.decode(frame);
      this.#badFramesInARow = 0;
      this.#receiveMessage(message, this.#isAuthenticated || (this.#parts.authentication?.isSealed(frame) ?? true));
    } catch (error) {
      this.#sayInOrder(this.#parts.dispatcher.refusal(error, { id: undefined }));
      if (++this.#badFramesInARow >= badFramesInARowMax) {
        this.close(closeCodes.badRequest, `${badFramesInARowMax} frames in a row could not be read`);
      }
    }
    return this.#state === "open";
  };

  #receiveMessage(message: Record<string, unknown>, isAdmitted: boolean): void {
    const id = readCommandId(message);
    let command: Command;
    try {
      command = parseCommand(message, this.#parts.limits);
    } catch (error) {
      this.#sayInOrder(this.#parts.dispatcher.refusal(error, { id }));
      return;
    }
    if (!this.#hasWorked && command.action !== "hello" && command.action !== "challenge") this.#beginWork();
    const invocation = new Invocation(this, isAdmitted);
    if (id === undefined) this.#ordered.run(() => this.#run(command, invocation));
    else if (this.inFlight >= this.#parts.limits.commandsInFlightMax) this.#say(this.#tooManyCommands(id));
    else if (this.#inFlight.has(id)) this.#say(this.#duplicateId(id));
    else this.#runNumbered(command, invocation, id);
  }

  #beginWork(): void {
    this.#hasWorked = true;
    this.session.confirmSecret();
  }

  #runNumbered(command: Command, invocation: Invocation, id: number): void {
    const running = this.#run(command, invocation);
    if (!(running instanceof Promise)) return;
    this.#inFlight.set(id, invocation);
    void running.then(() => this.#inFlight.delete(id));
  }

  /** Runs one command and answers it; a promise only while it waits. */
  #run(command: Command, invocation: Invocation): Awaitable<void> {
    let result: Awaitable<Reply<CommandName>>;
    try {
      result = this.#parts.dispatcher.run(command, invocation);
    } catch (error) {
      this.#refuse(error, command);
      return;
    }
    if (!(result instanceof Promise)) {
      this.#answer(command.id, result);
      return;
    }
    this.#waiting.add(invocation);
    return result.then(
      (reply) => {
        this.#waiting.delete(invocation);
        this.#answer(command.id, reply);
      },
      (error) => {
        this.#waiting.delete(invocation);
        this.#refuse(error, command);
      },
    );
  }

  #answer(id: number | undefined, reply: object): void {
    if (this.#state === "closed") return;
    this.#outbox.enqueue(this.codec.encodeReply(id, reply));
    this.#holdBack();
  }

  #refuse(error: unknown, command: Command): void {
    this.#say(this.#parts.dispatcher.refusal(error, { id: command.id, action: command.action }));
    if (!(error instanceof EphemeralError) || error.code !== "auth_failed") return;
    if (command.action === "hello" || ++this.#authFailures >= authFailuresMax) {
      this.close(closeCodes.authFailed, "authentication failed");
    }
  }

  #say(message: object): void {
    if (this.#state === "closed") return;
    this.#outbox.enqueue(this.codec.encode(message));
    this.#holdBack();
  }

  /** A refusal without a number takes its turn among the answers without one. */
  #sayInOrder(message: { readonly id?: number }): void {
    if (message.id !== undefined) this.#say(message);
    else this.#ordered.run(() => this.#say(message));
  }

  #tooManyCommands(id: number | undefined): object {
    const max = this.#parts.limits.commandsInFlightMax;
    const error = new EphemeralError(
      "too_many_commands",
      `Cannot run command: ${max} are unanswered already, the limit`,
      {
        details: { commandsInFlightMax: max },
      },
    );
    return this.#parts.dispatcher.refusal(error, { id });
  }

  #duplicateId(id: number): object {
    const error = new EphemeralError(
      "bad_command",
      `Cannot run command: another one with id ${id} is unanswered still`,
    );
    return this.#parts.dispatcher.refusal(error, { id });
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
    const held = this.#heldBytes;
    this.#heldBytes = [];
    for (const bytes of held) this.receive(bytes);
    // Assigned by what was received; the compiler still believes "open".
    if ((this.#state as string) === "open") this.#socket.resume();
  }

  #armStallAlarm(): void {
    this.#cancelStallAlarm?.();
    const { clock, limits } = this.#parts;
    this.#cancelStallAlarm = clock.schedule(clock.nowMs() + limits.stallMs, () => {
      if (this.#state === "paused") this.close(closeCodes.slow, "replies were not read in time");
      this.#end();
    });
  }

  #end(): void {
    this.#socket.end();
    this.disconnected();
  }
}
