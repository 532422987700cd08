/**
 * A client's one connection, made when it is first needed and again after each loss while calls, or a session, wait for it.
 * Decides which calls are sent again, which fail and when; never which command they are. Only calls keep the process alive.
 */
import type { ClientCodec } from "../protocol/codec.ts";
import type { CommandName, Reply } from "../protocol/commands.ts";
import { EphemeralError } from "../protocol/errors.ts";
import { Backlog } from "./backlog.ts";
import { Call, type CallRequest, type CallStart, type Outgoing } from "./call.ts";
import type { CancelTimer, ClientClock } from "./client-clock.ts";
import { type ConnectionEvent, type ConnectionState, nextState, pipeReconnectBounds } from "./connection-state.ts";
import { type Attempt, cutOff, failingAtCaller, refused, unanswered, unconnected } from "./failures.ts";
import { json } from "./json-codec.ts";
import { assumedLimits } from "./known-limits.ts";
import { Link } from "./link.ts";
import type { Loss } from "./loss.ts";
import { PushListeners } from "./push-listeners.ts";
import { reads } from "./reads.ts";
import { Resumption, type ResumptionOptions } from "./resumption.ts";
import type { Transport } from "./transport.ts";

export interface ConnectionOptions extends Partial<Pick<ResumptionOptions, "lingerMs" | "onLost">> {
  readonly endpoint: string;
  readonly dial: () => Transport | Promise<Transport>;
  readonly clock: ClientClock;
  /** JSON unless told. */
  readonly codec?: ClientCodec | undefined;
  /** How long a call may wait for the connection and, unless it is a waiting command, for its answer. */
  readonly timeoutMs: number;
  readonly secret: string | undefined;
  readonly token?: string | undefined;
  /** Asked with each attempt who this is. */
  readonly label?: (() => Promise<string | undefined>) | undefined;
  /** Those of the pipe unless told; over the network, where a broker that is gone may come back at any time. */
  readonly reconnect?: Parameters<typeof nextState>[2] | undefined;
}

export class Connection {
  readonly pushListeners = new PushListeners();
  /** Told of each change. */
  readonly stateListeners = new Set<(state: ConnectionState["name"]) => void>();
  /** What the broker said of itself, the last time. */
  hello: Reply<"hello"> | undefined;
  /** Whether what is to last waits for a broker that is gone. */
  readonly isPatient: boolean;
  readonly codec: ClientCodec;
  readonly resumption: Resumption;
  readonly #options: ConnectionOptions;
  readonly #backlog = new Backlog();
  #state: ConnectionState = { name: "disconnected", attempt: 0 };
  #link: Link | undefined;
  /** Calls whose callers wait for an answer. */
  #pending = 0;
  #lastLoss: Error | undefined;
  /** Why every call fails from now on. */
  #refusal: EphemeralError | undefined;
  #cancelReconnect: CancelTimer | undefined;
  #cancelSweep: CancelTimer | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.isPatient = options.reconnect !== undefined;
    this.codec = options.codec ?? json;
    const { clock, lingerMs, onLost } = options;
    this.resumption = new Resumption({
      clock,
      lingerMs,
      onLost,
      onOver: () => this.#unwant(),
      // When it fails the session has ended, or ends with this client.
      onUnclaimed: (command) => this.call({ command, read: () => undefined }).catch(() => {}),
    });
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
      const call = this.#newCall(request, { resolve, reject: failingAtCaller({ resolve, reject }) });
      if (this.#refusal !== undefined) throw refused(this.#refusal, this.#attempt(call));
      this.#assertFits(call);
      this.#start(call);
      if (request.signal !== undefined) call.listen((reason) => this.#abort(call, reason));
    });
  }

  /** Keeps the process alive, as a call would, until what it returns is called. */
  hold(): () => void {
    if (this.#pending++ === 0) this.#link?.ref();
    return this.#onSettled;
  }

  /** Closes for good; what has no answer yet fails with `cancelled`. What was said in this turn is still sent. Idempotent. */
  close(): void {
    if (this.#options.lingerMs) this.#link?.bye();
    this.#refuse(new EphemeralError("cancelled", "the client was closed"));
  }

  #newCall<Name extends CommandName, Result>(
    request: CallRequest<Name, Result>,
    { resolve, reject }: Pick<CallStart<Result>, "resolve" | "reject">,
  ): Call<Name, Result> {
    const nowMs = this.#options.clock.nowMs();
    const deadlineMs = nowMs + this.#options.timeoutMs;
    return new Call(request, { resolve, reject, onSettled: this.#onSettled, codec: this.codec, nowMs, deadlineMs });
  }

  #start(call: Call): void {
    const link = this.#link;
    if (link?.hasRoom && this.#backlog.isEmpty) this.#send(link, call);
    else this.#backlog.add(call);
    this.#await(call);
    if (this.#state.name === "disconnected") this.#advance({ type: "wanted" });
  }

  /** From now on the call's answer is awaited. */
  #await(call: Call): void {
    this.#armSweep(call.deadlineMs);
    if (this.#pending++ > 0) return;
    this.#link?.ref();
    if (this.#state.name === "reconnecting") this.#armReconnect(this.#state.delayMs);
  }

  #send(link: Link, call: Call): void {
    if (call.waits) call.deadlineMs = Number.POSITIVE_INFINITY;
    link.send(call);
  }

  /** Refuses what the broker could only answer by closing the connection under everybody else's commands. */
  #assertFits(call: Call): void {
    const frameBytesMax = this.hello?.limits?.frameBytesMax ?? assumedLimits.frameBytesMax;
    const bytes = call.frameBytes(frameBytesMax);
    if (bytes <= frameBytesMax) return;
    throw new EphemeralError("too_large", `Cannot ${call.action}: it takes ${bytes} bytes, limit is ${frameBytesMax}`);
  }

  readonly #onSettled = (): void => {
    this.#backlog.hasSettled = true;
    if (--this.#pending > 0) return;
    this.#link?.unref();
    this.#unwant();
  };

  /** Stops dialling where nobody waits for a connection. */
  #unwant(): void {
    if (this.#pending > 0 || this.#state.name !== "reconnecting") return;
    if (this.resumption.isAwaited) this.#armReconnect(this.#state.delayMs);
    else this.#advance({ type: "unwanted" });
  }

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
    for (const listener of this.stateListeners) queueMicrotask(() => listener(state.name));
    if (state.name === "closed") this.pushListeners.cut();
    this.#cancelReconnect?.();
    if (state.name === "connecting") this.#dial().catch((error: EphemeralError) => this.#refuse(error));
    else if (state.name === "reconnecting") this.#armReconnect(state.delayMs);
  }

  /** Only calls keep the process alive, and they have no socket now; a session that waits does not. */
  #armReconnect(delayMs: number): void {
    this.#cancelReconnect?.();
    const due = { alarm: () => this.#advance({ type: "due" }), keepsAlive: this.#pending > 0 };
    this.#cancelReconnect = this.#options.clock.after(delayMs, due);
  }

  async #dial(): Promise<void> {
    const { clock, timeoutMs, secret, token, label } = this.#options;
    await this.resumption.loading;
    const [transport, name] = await Promise.all([this.#options.dial(), label?.()]);
    if (this.#refusal !== undefined) return transport.close(); // closed meanwhile
    const introduction = { label: name, token, ...this.resumption.introduction };
    const link = new Link(
      { transport, codec: this.codec, clock, greetingMs: timeoutMs, secret, introduction },
      {
        onPush: (push) => this.pushListeners.push(push),
        onRoom: () => this.#drain(),
        onGreeted: (hello) => this.#greeted(hello),
        onLost: (loss) => this.#lost(link, loss),
        onRefused: (error) => this.#refuse(error),
        onAnswered: (call, reply) => this.resumption.answered({ call, reply, others: () => this.#unsettled() }),
      },
    );
    this.#link = link;
    if (this.#pending === 0) link.unref();
    link.open();
  }

  #greeted(hello: Reply<"hello">): void {
    this.hello = hello;
    this.#advance({ type: "greeted", nowMs: this.#options.clock.nowMs() });
    const undo = this.resumption.greeted(hello, this.#backlog.waiting());
    if (undo === undefined) {
      for (const call of this.#backlog.waiting()) if (call.mayHaveRun) call.fail(cutOff(this.#attempt(call)));
    } else this.#backlog.putBack(undo.map((command) => this.#letGo(command)));
  }

  /** What is said before all that waits: a caller may want the same thing again. */
  #letGo(command: Outgoing): Call {
    const call = this.#newCall({ command, read() {} }, { resolve() {}, reject() {} });
    this.#await(call);
    return call;
  }

  #lost(link: Link, loss: Loss): void {
    this.#link = undefined;
    this.#lastLoss = loss.error;
    const again: Call[] = [];
    for (const call of link.unanswered()) {
      const mayHaveRun = link.wasSent(call) && !reads.has(call.action);
      if (mayHaveRun && !this.resumption.canRepeat(call.action)) call.fail(cutOff(this.#attempt(call)));
      else again.push(call);
      call.mayHaveRun ||= mayHaveRun;
    }
    const { clock, timeoutMs } = this.#options;
    const nowMs = clock.nowMs();
    for (const call of again) {
      call.id = 0;
      if (call.waits) call.deadlineMs = nowMs + timeoutMs;
      this.#armSweep(call.deadlineMs);
    }
    this.pushListeners.cut();
    this.#backlog.putBack(again);
    this.resumption.cut();
    const isWanted = this.#pending > 0 || this.resumption.isAwaited;
    this.#advance({ type: "lost", nowMs, isWanted, random: clock.random(), retryAfterMs: loss.retryAfterMs });
  }

  /** Fails everything, now and from now on. */
  #refuse(refusal: EphemeralError): void {
    if (this.#refusal !== undefined) return;
    this.#refusal = refusal;
    const link = this.#link;
    link?.close();
    this.#advance({ type: "closed" });
    this.#cancelSweep?.();
    for (const call of this.#unsettled()) call.fail(refused(refusal, this.#attempt(call)));
    this.#link = undefined;
    this.#backlog.dropSettled();
    this.resumption.close(refusal.code !== "cancelled");
  }

  /** Calls without an answer, those on the link first. */
  #unsettled(): readonly Call[] {
    return [...(this.#link?.unanswered() ?? []), ...this.#backlog.waiting()];
  }

  /** Deadlines are looked at together, by one timer set for the first of them. All last equally long, so none is earlier. */
  #armSweep(deadlineMs: number): void {
    if (this.#cancelSweep !== undefined || deadlineMs === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#options;
    this.#cancelSweep = clock.after(deadlineMs - clock.nowMs(), { alarm: () => this.#sweep(), keepsAlive: false });
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const nowMs = this.#options.clock.nowMs();
    const isWritable = this.#link?.isWritable;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const call of this.#unsettled()) {
      // A waiting command that only lacks room is connected: it may wait for its turn too.
      if (call.waits && call.id === 0 && isWritable) call.deadlineMs = nowMs + this.#options.timeoutMs;
      if (call.deadlineMs <= nowMs) call.fail((isWritable ? unanswered : unconnected)(this.#attempt(call)));
      else nextMs = Math.min(nextMs, call.deadlineMs);
    }
    this.#backlog.dropSettled();
    this.#armSweep(nextMs);
  }

  #attempt(call: Call): Attempt {
    const { endpoint, timeoutMs } = this.#options;
    const isUnknown = call.mayHaveRun || (this.#link?.wasSent(call) === true && !reads.has(call.action));
    return { action: call.action, endpoint, timeoutMs, lastLoss: this.#lastLoss, isUnknown };
  }
}
