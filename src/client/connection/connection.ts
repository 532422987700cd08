/**
 * A client's one connection, made when it is first needed and again after each loss while calls, or a session, wait for it.
 * Decides when calls are sent and how long they may wait; never which command they are, nor what follows a loss, which
 * `recovery.ts` does. Only calls keep the process alive.
 */
import type { ClientCodec } from "../../protocol/codec.ts";
import type { CommandName, Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { CancelTimer, ClientClock } from "../client-clock.ts";
import { json } from "../json-codec.ts";
import type { Transport } from "../transports/transport.ts";
import type { Handles } from "../turns/held-grant.ts";
import { Backlog } from "./backlog.ts";
import { Call, type CallRequest, type CallStart, type Outgoing } from "./call.ts";
import { type ConnectionEvent, type ConnectionState, nextState } from "./connection-state.ts";
import { failingAtCaller, overdue, type Reason, refused } from "./failures.ts";
import { assumedLimits } from "./known-limits.ts";
import { Link } from "./link.ts";
import { PushListeners } from "./push-listeners.ts";
import type { Recovery, RecoveryOptions } from "./recovery.ts";

export interface ConnectionOptions
  extends Partial<Pick<RecoveryOptions, "isUrl" | "lingerMs" | "onLost" | "label" | "token">> {
  readonly endpoint: string;
  readonly dial: () => Transport | Promise<Transport>;
  readonly clock: ClientClock;
  /** JSON unless told. */
  readonly codec?: ClientCodec | undefined;
  /** How long a call may wait for the connection and, unless it is a waiting command, for its answer. */
  readonly timeoutMs: number;
  readonly secret: string | undefined;
}

/** How long to stay away where what is loaded with the first dial is not there: a page may be without its network now. */
const loadAgainMs = 1000;

export class Connection {
  readonly pushListeners = new PushListeners();
  /** Told of each change. */
  readonly stateListeners = new Set<(state: ConnectionState) => void>();
  /** What the broker said of itself, the last time. */
  hello: Reply<"hello"> | undefined;
  /** Whether what is to last waits for a broker that is gone: over the network it may come back at any time. */
  readonly isPatient: boolean;
  readonly codec: ClientCodec;
  readonly handles: Handles = { grants: new Map(), jobs: new Map() };
  readonly #options: ConnectionOptions;
  readonly #backlog = new Backlog();
  #state: ConnectionState = "disconnected";
  #link: Link | undefined;
  /** There as soon as anything was dialled. */
  #recovery: Recovery | undefined;
  /** When to dial again. */
  #dueAtMs = 0;
  /** Calls whose callers wait for an answer. */
  #pending = 0;
  #lastLoss: Error | undefined;
  /** Why every call fails from now on. */
  #refusal: EphemeralError | undefined;
  #cancelReconnect: CancelTimer | undefined;
  #cancelSweep: CancelTimer | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.isPatient = options.isUrl === true;
    this.codec = options.codec ?? json;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Sends a command and resolves to what `request.read` makes of the reply. Commands are sent in the order of the calls.
   *  @throws {EphemeralError} what the broker answers; `unavailable` without a broker, and with `details.outcome` "unknown"
   *  when the connection was cut before the answer; `timeout` without an answer in time
   *  @throws the signal's reason, at once, when it aborts */
  call<Name extends CommandName, Result = void>(request: CallRequest<Name, Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      request.signal?.throwIfAborted();
      const call = this.#newCall(request, { resolve, reject: failingAtCaller({ resolve, reject }) });
      if (this.#refusal !== undefined) throw refused(this.#refusal, call);
      this.#assertFits(call);
      this.#start(call);
      if (request.signal !== undefined) call.listen((reason) => this.#abort(call, reason));
    });
  }

  /** Keeps the process alive, as a call would, until what it returns is called. */
  hold(): () => void {
    if (this.#pending++ === 0) {
      this.#link?.ref();
      if (this.#state === "reconnecting") this.#armReconnect();
    }
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
    this.#armSweep(call.deadlineMs);
    this.hold();
    if (this.#state === "disconnected") this.#advance("wanted");
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
    if (this.#pending > 0 || this.#state !== "reconnecting") return;
    if (this.#isWanted) this.#armReconnect();
    else this.#advance("unwanted");
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

  /** Whether calls, or a session, wait for a connection. */
  get #isWanted(): boolean {
    return this.#pending > 0 || this.#recovery?.resumption.isAwaited === true;
  }

  /** Takes the step the event asks for and does what the new state wants done. */
  #advance(event: ConnectionEvent): void {
    const state = nextState(this.#state, event);
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.stateListeners) queueMicrotask(() => listener(state));
    if (state === "closed") this.pushListeners.cut();
    this.#cancelReconnect?.();
    if (state === "connecting") this.#dial().catch((error: Error) => this.#failedToDial(error));
    else if (state === "reconnecting") this.#armReconnect();
  }

  /** Only calls keep the process alive, and they have no socket now; a session that waits does not. */
  #armReconnect(): void {
    this.#cancelReconnect?.();
    const { clock } = this.#options;
    const due = { alarm: () => this.#advance("due"), keepsAlive: this.#pending > 0 };
    this.#cancelReconnect = clock.after(this.#dueAtMs - clock.nowMs(), due);
  }

  async #dial(): Promise<void> {
    const { dial, clock, timeoutMs, secret } = this.#options;
    const dialling = dial();
    const [transport, { Recovery }] = await Promise.all([dialling, import("./recovery.ts")]).catch(async (error) => {
      (await dialling).close(); // nobody opens it, and it may keep the process alive
      throw error;
    });
    if (this.#refusal !== undefined) return transport.close(); // closed meanwhile
    const told = { handles: this.handles, onOver: () => this.#unwant(), fail: this.#fail };
    this.#recovery ??= new Recovery({ ...this.#options, ...told });
    const recovery = this.#recovery;
    const link = new Link(
      { transport, codec: this.codec, clock, greetingMs: timeoutMs, secret, introduction: recovery.introduction },
      {
        onPush: (push) => this.pushListeners.push(push),
        onRoom: () => this.#drain(),
        onGreeted: (hello) => this.#greeted(hello, recovery),
        onLost: (loss) => this.#lost(loss, link),
        onRefused: (error) => this.#refuse(error),
        onAnswered: (call, reply) => this.#say(recovery.resumption.answered({ call, reply }, () => this.#unsettled())),
      },
    );
    this.#link = link;
    if (this.#pending === 0) link.unref();
    link.open();
  }

  /** An error of ours says why to stay away; any other, that something could not be loaded or asked now. */
  #failedToDial(error: Error): void {
    if (error instanceof EphemeralError) this.#refuse(error);
    else if (this.#refusal === undefined) this.#lost(error);
  }

  #greeted(hello: Reply<"hello">, recovery: Recovery): void {
    this.hello = hello;
    this.#advance("greeted");
    const commands = recovery.greeted(hello, this.#backlog.waiting());
    // Before all that waits: a caller may want the same thing again.
    this.#backlog.putBack(commands.map((command) => this.#letGo(command)));
  }

  #letGo(command: Outgoing): Call {
    const call = this.#newCall({ command }, { resolve() {}, reject() {} });
    this.#armSweep(call.deadlineMs);
    this.hold();
    return call;
  }

  /** When what gives something back fails, the session has ended, or ends with this client. */
  #say(command: Outgoing | undefined): void {
    if (command !== undefined) this.call({ command }).catch(() => {});
  }

  #lost(loss: Error, link?: Link): void {
    this.#link = undefined;
    this.#lastLoss = loss;
    const again = this.#recovery?.lost(loss, link) ?? [];
    for (const call of again) this.#armSweep(call.deadlineMs);
    this.pushListeners.cut();
    this.#backlog.putBack(again);
    this.#recovery?.resumption.cut();
    this.#dueAtMs = this.#options.clock.nowMs() + (this.#recovery?.delayMs() ?? loadAgainMs);
    this.#advance(this.#isWanted ? "lost" : "left");
  }

  /** Fails everything, now and from now on. */
  #refuse(refusal: EphemeralError): void {
    if (this.#refusal !== undefined) return;
    this.#refusal = refusal;
    this.#link?.close();
    this.#advance("closed");
    this.#cancelSweep?.();
    for (const call of this.#unsettled()) this.#fail(call, refusal);
    this.#link = undefined;
    this.#backlog.dropSettled();
    this.#recovery?.resumption.close(refusal.code !== "cancelled");
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
    const isWritable = this.#link?.isWritable === true;
    const reason = overdue(this.#options, { isWritable, lastLoss: this.#lastLoss });
    let nextMs = Number.POSITIVE_INFINITY;
    for (const call of this.#unsettled()) {
      // A waiting command that only lacks room is connected: it may wait for its turn too.
      if (call.waits && call.id === 0 && isWritable) call.deadlineMs = nowMs + this.#options.timeoutMs;
      if (call.deadlineMs <= nowMs) this.#fail(call, reason);
      else nextMs = Math.min(nextMs, call.deadlineMs);
    }
    this.#backlog.dropSettled();
    this.#armSweep(nextMs);
  }

  readonly #fail = (call: Call, reason: Reason): void => {
    const mayHaveRun = this.#recovery?.mayHaveRun(call, this.#link) === true;
    call.fail(refused(reason, { action: call.action, mayHaveRun }));
  };
}
