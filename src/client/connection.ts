/**
 * A client's one connection, made when it is first needed and made again after each loss while calls wait for it. Decides
 * which calls are sent again, which fail and when; never which command they are. Only calls in progress keep the process
 * alive.
 */
import type { ClientCodec } from "../protocol/codec.ts";
import type { CommandName, HelloReply } from "../protocol/commands.ts";
import { EphemeralError } from "../protocol/errors.ts";
import { Backlog } from "./backlog.ts";
import { Call, type CallRequest, type Outgoing } from "./call.ts";
import type { ClientClock } from "./client-clock.ts";
import {
  type ConnectionEvent,
  type ConnectionState,
  nextState,
  pipeReconnectBounds,
  type ReconnectBounds,
} from "./connection-state.ts";
import { json } from "./json-codec.ts";
import { assumedLimits, Link } from "./link.ts";
import type { Loss } from "./loss.ts";
import type { Transport } from "./transport.ts";

export interface ConnectionOptions {
  readonly endpoint: string;
  /** Makes the transport of one attempt. */
  readonly dial: () => Transport;
  readonly clock: ClientClock;
  /** JSON unless told. */
  readonly codec?: ClientCodec | undefined;
  /** How long a call may wait for the connection and, unless it is a waiting command, for its answer. */
  readonly timeoutMs: number;
  readonly secret: string | undefined;
  readonly label: string | undefined;
  readonly reconnect?: ReconnectBounds;
  /** Told what the broker answers to each greeting, before it answers anything else. */
  readonly greeted?: (hello: HelloReply) => void;
}

/** What may run twice: a command that was sent and not answered is sent again only if it is one of these. */
const reads: ReadonlySet<CommandName> = new Set(["get", "list", "ping", "stats", "health", "metrics", "ps"]);

export class Connection {
  readonly codec: ClientCodec;
  readonly #options: ConnectionOptions;
  readonly #backlog = new Backlog();
  #state: ConnectionState = { name: "disconnected", attempt: 0 };
  #link: Link | undefined;
  /** Calls whose callers wait for an answer. */
  #pending = 0;
  #limits = assumedLimits;
  #lastLoss: Error | undefined;
  /** Why every call fails from now on. */
  #refusal: EphemeralError | undefined;
  #cancelReconnect: (() => void) | undefined;
  #cancelSweep: (() => void) | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.codec = options.codec ?? json;
  }

  get state(): ConnectionState["name"] {
    return this.#state.name;
  }

  /** Sends a command and resolves to what `request.read` makes of the reply. Commands are sent in the order of the calls.
   *  @throws {EphemeralError} what the broker answers; `unavailable` without a broker, and with `details.outcome` "unknown"
   *  when the connection was cut before the answer; `timeout` without an answer in time
   *  @throws the signal's reason, at once, when it aborts */
  call<Name extends CommandName, Result>(request: CallRequest<Name, Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      request.signal?.throwIfAborted();
      if (this.#refusal !== undefined) throw refusalOf(request.command.action, { refusal: this.#refusal });
      const nowMs = this.#options.clock.nowMs();
      const deadlineMs = nowMs + this.#options.timeoutMs;
      const call = new Call(request, {
        resolve,
        reject,
        onSettled: this.#onSettled,
        codec: this.codec,
        nowMs,
        deadlineMs,
      });
      this.#assertFits(call);
      this.#start(call);
      if (request.signal !== undefined) call.listen((reason) => this.#abort(call, reason));
    });
  }

  /** Closes for good; what has no answer yet fails with `cancelled`. What was said in this turn is still sent. Idempotent. */
  close(): void {
    this.#refuse(new EphemeralError("cancelled", "the client was closed"));
  }

  #start(call: Call): void {
    const link = this.#link;
    if (link?.hasRoom && this.#backlog.isEmpty) this.#send(link, call);
    else this.#backlog.add(call);
    if (this.#pending++ === 0) link?.ref();
    this.#armSweep(call.deadlineMs);
    if (this.#state.name === "disconnected") this.#advance({ type: "wanted" });
  }

  #send(link: Link, call: Call): void {
    if (call.waits) call.deadlineMs = Number.POSITIVE_INFINITY;
    link.send(call);
  }

  /** Refuses what the broker could only answer by closing the connection under everybody else's commands. */
  #assertFits(call: Call): void {
    const { frameBytesMax } = this.#limits;
    const bytes = call.frameBytes(frameBytesMax);
    if (bytes <= frameBytesMax) return;
    throw new EphemeralError("too_large", `Cannot ${call.action}: it takes ${bytes} bytes, limit is ${frameBytesMax}`);
  }

  readonly #onSettled = (): void => {
    if (--this.#pending > 0) return;
    this.#link?.unref();
    if (this.#state.name === "reconnecting") this.#advance({ type: "unwanted" });
  };

  #abort(call: Call, reason: unknown): void {
    call.fail(reason);
    if (call.id !== 0 && call.waits) this.#link?.cancel(call);
  }

  /** Sends from the backlog while the link has room. */
  #drain(): void {
    const link = this.#link;
    while (link?.hasRoom) {
      const call = this.#backlog.take();
      if (call === undefined) return;
      this.#send(link, call);
    }
  }

  /** Takes the step the event asks for and does what the new state wants done. */
  #advance(event: ConnectionEvent): void {
    const state = nextState(this.#state, event, this.#options.reconnect ?? pipeReconnectBounds);
    if (state === this.#state) return;
    this.#state = state;
    this.#cancelReconnect?.();
    this.#cancelReconnect = undefined;
    if (state.name === "connecting") this.#dial();
    if (state.name !== "reconnecting") return;
    // Calls wait for this timer and there is no socket to keep the process alive.
    const alarm = (): void => this.#advance({ type: "due" });
    this.#cancelReconnect = this.#options.clock.after(state.delayMs, { alarm, keepsAlive: true });
  }

  #dial(): void {
    const { dial, clock, timeoutMs, secret, label } = this.#options;
    const link = new Link(
      { transport: dial(), codec: this.codec, clock, greetingMs: timeoutMs, secret, label },
      {
        onRoom: () => this.#drain(),
        onGreeted: (hello) => {
          this.#limits = { ...assumedLimits, ...hello.limits };
          this.#options.greeted?.(hello);
          this.#advance({ type: "greeted", nowMs: clock.nowMs() });
        },
        onLost: (loss) => this.#lost(link, loss),
        onRefused: (error) => this.#refuse(error),
        onLateGrant: (command) => this.#undo(command),
      },
    );
    this.#link = link;
    link.open();
  }

  #lost(link: Link, loss: Loss): void {
    this.#link = undefined;
    this.#lastLoss = loss.error;
    const again: Call[] = [];
    for (const call of link.unanswered()) {
      if (link.wasSent(call) && !reads.has(call.action)) call.fail(this.#unknownOutcome(call));
      else again.push(call);
    }
    const nowMs = this.#options.clock.nowMs();
    for (const call of again) {
      call.id = 0;
      if (call.waits) call.deadlineMs = nowMs + this.#options.timeoutMs;
      this.#armSweep(call.deadlineMs);
    }
    this.#backlog.putBack(again);
    const { retryAfterMs } = loss;
    this.#advance({
      type: "lost",
      nowMs,
      isWanted: this.#pending > 0,
      random: this.#options.clock.random(),
      retryAfterMs,
    });
  }

  /** Fails everything, now and from now on. */
  #refuse(refusal: EphemeralError): void {
    if (this.#refusal !== undefined) return;
    this.#refusal = refusal;
    const link = this.#link;
    this.#link = undefined;
    link?.close();
    this.#advance({ type: "closed" });
    this.#cancelSweep?.();
    for (const call of link?.unanswered() ?? []) {
      const isUnknown = link?.wasSent(call) === true && !reads.has(call.action);
      call.fail(refusalOf(call.action, { refusal, isUnknown }));
    }
    for (const call of this.#backlog.waiting()) call.fail(refusalOf(call.action, { refusal }));
    this.#backlog.dropSettled();
  }

  /** Gives back what nobody waits for any more. When that fails the session has ended, or ends with this client. */
  #undo(command: Outgoing): void {
    this.call({ command, read: () => undefined }).catch(() => {});
  }

  /** Deadlines are looked at together, by one timer set for the first of them. All last equally long, so none is earlier. */
  #armSweep(deadlineMs: number): void {
    if (this.#cancelSweep !== undefined || deadlineMs === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#options;
    const alarm = (): void => this.#sweep();
    this.#cancelSweep = clock.after(deadlineMs - clock.nowMs(), { alarm, keepsAlive: false });
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const nowMs = this.#options.clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const call of [...(this.#link?.unanswered() ?? []), ...this.#backlog.waiting()]) {
      // A waiting command that only lacks room is connected: it may wait for its turn too.
      if (call.waits && call.id === 0 && this.#link?.isWritable) call.deadlineMs = nowMs + this.#options.timeoutMs;
      if (call.deadlineMs <= nowMs) call.fail(this.#overdue(call));
      else nextMs = Math.min(nextMs, call.deadlineMs);
    }
    this.#backlog.dropSettled();
    this.#armSweep(nextMs);
  }

  #unknownOutcome({ action }: Call): EphemeralError {
    const { endpoint } = this.#options;
    const text = `Cannot ${action}: the connection to ${endpoint} was cut before the answer; whether it took effect is unknown`;
    return new EphemeralError("unavailable", `${text} (${this.#lastLoss?.message})`, {
      details: { outcome: "unknown" },
    });
  }

  #overdue(call: Call): EphemeralError {
    const { endpoint, timeoutMs } = this.#options;
    if (this.#link?.isWritable) {
      const details = call.id === 0 || reads.has(call.action) ? undefined : { outcome: "unknown" };
      const text = `Cannot ${call.action}: the broker at ${endpoint} gave no answer in ${timeoutMs} ms`;
      return new EphemeralError("timeout", text, { details });
    }
    const reason = this.#lastLoss?.message ?? "it does not answer";
    return new EphemeralError(
      "unavailable",
      `Cannot ${call.action}: no broker at ${endpoint} within ${timeoutMs} ms (${reason}). Start one: ephemeral start -- <command>`,
    );
  }
}

function refusalOf(action: CommandName, why: { refusal: EphemeralError; isUnknown?: boolean }): EphemeralError {
  const { refusal, isUnknown } = why;
  const details = isUnknown ? { ...refusal.details, outcome: "unknown" } : refusal.details;
  return new EphemeralError(refusal.code, `Cannot ${action}: ${refusal.message}`, { details });
}
