/**
 * One open connection, from the first byte to the last: greets, numbers and sends calls, hands replies to them, and tells
 * how it ended. All said in one turn leaves in one write. It never comes back; `connection.ts` makes the next one.
 */
import type { ClientCodec, MessageHandler } from "../../protocol/codec.ts";
import type { EncodedValue, Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { HelloReply } from "../../protocol/greeting.ts";
import { MiB } from "../../protocol/sizes.ts";
import type { ClientClock } from "../client-clock.ts";
import { json } from "../json-codec.ts";
import type { Transport } from "../transports/transport.ts";
import { Call, errorOfReply, type Outgoing } from "./call.ts";
import { CallsInFlight } from "./calls-in-flight.ts";
import { helloCommand, type Introduction } from "./greeting.ts";
import { assumedLimits } from "./known-limits.ts";
import { closeOf, type Farewell } from "./loss.ts";

export interface LinkOptions {
  readonly transport: Transport;
  /** JSON unless told. */
  readonly codec?: ClientCodec;
  readonly clock: ClientClock;
  /** How long opening and greeting may take. */
  readonly greetingMs: number;
  readonly secret: string | undefined;
  readonly introduction: Introduction;
}

/** Each names the link it comes from: one that was left behind has nothing to say. */
export interface LinkEvents {
  /** There is room for calls, or more of it. */
  onRoom(): void;
  /** What the broker says unasked, but for its farewell. */
  onPush?(push: Readonly<Record<string, unknown>>): void;
  onGreeted(hello: HelloReply): void;
  /** Gone; trying again can help. Not said after `close`. */
  onLost(loss: Error): void;
  /** Gone; the broker, or our own check of it, says to stay away. */
  onRefused(error: EphemeralError): void;
  /** A good reply came, and its caller took it or has failed before; or, undefined, we are told that what the call ends is not
   *  ours. */
  onAnswered(call: Call, reply: object | undefined): void;
}

const greetings: readonly string[] = ["challenge", "hello"];
/** Past this many bytes that the kernel has not taken, calls are held back. A call with so many is answered at some time. */
const unsentBytesMax = 4 * MiB;
/** Of the commands that may be unanswered, one part in this many is kept for `cancel`. */
const cancelShare = 8;

export class Link {
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #codec: ClientCodec;
  /** What was sent and is not answered. */
  readonly #unanswered = new CallsInFlight();
  /** Calls with higher numbers were not handed to the transport yet. */
  #lastSentId = 0;
  #outgoing: EncodedValue[] = [];
  #phase: "opening" | "greeting" | "writable" | "leaving" | "over" = "opening";
  #limits = assumedLimits;
  #loss: Error | undefined;
  #stopGreetingTimer: (() => void) | undefined;

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#codec = options.codec ?? json;
  }

  /** Whether another call may be sent now. */
  get hasRoom(): boolean {
    if (this.#phase !== "writable") return false;
    const { commandsInFlightMax } = this.#limits;
    // So many publications are remembered by a broker, to be said again; more in flight bring nothing.
    const inFlightMax = Math.min(commandsInFlightMax, assumedLimits.commandsInFlightMax);
    const callsMax = inFlightMax - Math.ceil(inFlightMax / cancelShare);
    return this.#unanswered.size < callsMax && this.#options.transport.unsentBytes < unsentBytesMax;
  }

  get isWritable(): boolean {
    return this.#phase === "writable";
  }

  open(): void {
    const { transport, clock, greetingMs } = this.#options;
    const alarm = (): void =>
      this.#break(
        new EphemeralError(
          "unavailable",
          `Cannot greet the broker at ${transport.endpoint}: no answer in ${greetingMs} ms`,
        ),
      );
    this.#stopGreetingTimer = clock.after(greetingMs, { alarm, keepsAlive: false });
    transport.open({
      onOpen: () => this.#greet(),
      onData: (read) => this.#receive(read),
      onClose: (error, isFinal) => this.#closedByPeer(error, isFinal),
    });
  }

  send(call: Call): void {
    const id = this.#unanswered.add(call);
    this.#enqueue(call.frame(id, this.#options.clock));
  }

  /** Asks the broker to give up a wait. */
  cancel(call: Call): void {
    this.#say({ action: "cancel", target: call.id });
  }

  /** Tells the broker that we go for good: the session ends with the link. Does nothing before `hello` was said. */
  bye(): void {
    const { secret } = this.#options;
    if (this.#phase !== "writable" && (this.#phase !== "greeting" || secret !== undefined)) return;
    this.#say({ action: "bye" });
  }

  /** Calls without an answer, in the order sent, callers that have gone left out. */
  unanswered(): readonly Call[] {
    return this.#unanswered.inOrder().filter((call) => !call.isSettled && !greetings.includes(call.action));
  }

  /** Whether the transport got `call`, so that the broker may have run it. */
  wasSent(call: Call): boolean {
    return call.id !== 0 && call.id <= this.#lastSentId;
  }

  ref(): void {
    this.#options.transport.ref();
  }

  unref(): void {
    this.#options.transport.unref();
  }

  /** Sends what was said in this turn, then closes. */
  close(): void {
    if (this.#phase === "over") return;
    this.#flush();
    this.#end();
    this.#options.transport.close();
  }

  #end(): void {
    this.#phase = "over";
    this.#stopGreetingTimer?.();
  }

  /** Says what nobody waits for an answer to. */
  #say(command: Outgoing<"bye" | "cancel">): void {
    const id = this.#unanswered.add(undefined);
    this.#enqueue(this.#codec.frame(this.#codec.prepare(command), { id }));
  }

  #enqueue(frame: EncodedValue): void {
    if (this.#outgoing.push(frame) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#outgoing.length === 0 || this.#phase === "over") return;
    const frames = this.#outgoing;
    this.#outgoing = [];
    this.#lastSentId = this.#unanswered.lastId;
    this.#options.transport.send(this.#codec.join(frames));
  }

  /** Calls may follow `hello` at once, but not where there is a secret, before the broker has proved itself, nor in a session that
   *  lingers: until the reply we could not resume it, and what it holds would stay held. */
  #greet(): void {
    this.#phase = "greeting";
    const { transport, secret, introduction } = this.#options;
    if (secret !== undefined) {
      this.#authenticate({ endpoint: transport.endpoint, secret }).then(
        (hello) => this.#greeted(hello),
        (error: unknown) => this.#greetingFailed(error),
      );
      return;
    }
    this.#exchange(helloCommand(introduction), (hello) => this.#greeted(hello));
    if (introduction.lingerMs !== undefined) return;
    this.#phase = "writable";
    this.#events.onRoom();
  }

  /** Settles only while the link lasts. */
  async #authenticate(who: { readonly endpoint: string; readonly secret: string }): Promise<HelloReply> {
    const { authenticate } = await import("./authentication.ts");
    return authenticate(who, {
      challenge: () => new Promise((resolve) => this.#exchange<"challenge">({ action: "challenge" }, resolve)),
      hello: (auth) =>
        new Promise((resolve) => this.#exchange(helloCommand(this.#options.introduction, auth), resolve)),
    });
  }

  /** A command of the greeting itself. What it says counts before the next frame is read. */
  #exchange<Name extends "challenge" | "hello">(command: Outgoing<Name>, resolve: (reply: Reply<Name>) => void): void {
    if (this.#phase === "over") return;
    const request = { command, read: resolve };
    const reject = (error: unknown): void => this.#greetingFailed(error);
    const times = { nowMs: 0, deadlineMs: Number.POSITIVE_INFINITY };
    this.send(new Call<Name, void>(request, { resolve() {}, reject, onSettled() {}, codec: this.#codec, ...times }));
  }

  #greeted(hello: HelloReply): void {
    if (this.#phase === "over") return;
    this.#stopGreetingTimer?.();
    this.#limits = { ...assumedLimits, ...hello.limits };
    if (this.#phase === "greeting") this.#phase = "writable";
    this.#events.onGreeted(hello);
    this.#events.onRoom();
  }

  #greetingFailed(error: unknown): void {
    if (this.#phase === "over") return;
    const failure = error instanceof Error ? error : new Error(`${error}`);
    if (failure instanceof EphemeralError && !failure.retryable) this.#refuse(failure);
    else this.#break(failure);
  }

  #receive(read: (onMessage: MessageHandler) => void): void {
    try {
      read(this.#onMessage);
    } catch (error) {
      this.#break(error instanceof Error ? error : new Error(`${error}`));
    }
    if (this.hasRoom) this.#events.onRoom();
  }

  readonly #onMessage = (message: Readonly<Record<string, unknown>>): boolean => {
    // What it is of the protocol's shapes, `id` and `push` tell; the peer is the broker that owns our socket.
    if (typeof message.id === "number") this.#answer(message.id, message);
    else if (message.push === "closing") this.#closing(message as unknown as Farewell);
    else if (message.push !== undefined) this.#events.onPush?.(message);
    // It could not read something of ours, and cannot say what: whoever waits for that would wait in vain.
    else if (message.ok === false) this.#break(errorOfReply(message));
    return this.#phase !== "over";
  };

  #answer(id: number, message: Readonly<Record<string, unknown>>): void {
    const call = this.#unanswered.take(id);
    if (call === undefined) return;
    if (message.ok === true) {
      call.succeed(message);
      this.#events.onAnswered(call, message);
    } else {
      // Of a release by several names some may be ours all the same.
      if (message.error === "not_owner" && call.action !== "release") this.#events.onAnswered(call, undefined);
      call.fail(errorOfReply(message));
    }
  }

  /** The broker is about to close: what is not sent yet waits for the next link, or for none. */
  #closing(farewell: Farewell): void {
    const { error, mayReturn } = closeOf(farewell);
    if (!mayReturn) {
      this.#refuse(error);
      return;
    }
    this.#loss = error;
    this.#phase = "leaving";
  }

  #closedByPeer(error: Error | undefined, isFinal = this.#phase === "opening"): void {
    if (this.#phase === "over") return;
    this.#end();
    if (isFinal && error instanceof EphemeralError) this.#events.onRefused(error);
    else this.#events.onLost(this.#loss ?? error ?? new Error("the broker closed the connection"));
  }

  #break(error: Error): void {
    this.#end();
    this.#options.transport.close();
    this.#events.onLost(error);
  }

  #refuse(error: EphemeralError): void {
    this.#end();
    this.#options.transport.close();
    this.#events.onRefused(error);
  }
}
