/**
 * One command on its way to its answer: the bytes it is sent as, what becomes of the reply, and how long it may take. Knows
 * nothing of sockets; a link numbers it and sends it.
 */
import type { ClientCodec } from "../../protocol/codec.ts";
import type { CommandName, EncodedValue, ErrorReply, Reply, Request, WaitMs } from "../../protocol/commands.ts";
import { EphemeralError, type ErrorCode } from "../../protocol/errors.ts";
import { notFinite } from "../../protocol/json-values.ts";
import { json } from "../json-codec.ts";

/** A command without its envelope and without `waitMs`, which depends on when it is sent. */
export type Outgoing<Name extends CommandName = CommandName> = {
  readonly [N in Name]: { readonly action: N } & Unwaited<Request<N>>;
}[Name];

/** One by one where there are several ways to say a command. */
type Unwaited<Fields> = Fields extends unknown
  ? { readonly [Field in keyof Omit<Fields, "waitMs">]: Fields[Field & keyof Fields] }
  : never;

export interface CallRequest<Name extends CommandName, Result> {
  readonly command: Outgoing<Name>;
  /** What the caller gets of a good reply: nothing unless told. */
  read?(reply: Reply<Name>): Result | Promise<Result>;
  readonly waitMs?: WaitMs | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a call begins, and where it ends. */
export interface CallStart<Result> {
  /** The two ends of the caller's promise. */
  resolve(result: Result | Promise<Result>): void;
  reject(reason: unknown): void;
  /** Called once, after the first of the two. */
  onSettled(): void;
  /** JSON unless told. */
  readonly codec?: ClientCodec;
  readonly nowMs: number;
  /** Past it the call fails; Infinity while the broker may take its time. */
  readonly deadlineMs: number;
}

/** What `id`, `waitMs` and the frame's ends take at most. */
const envelopeBytes = 64;

export class Call<Name extends CommandName = CommandName, Result = unknown> {
  deadlineMs: number;
  /** Its number on the present link; 0 while it is not sent. */
  id = 0;
  /** It was sent on a link that is gone, and running it twice would matter. */
  mayHaveRun = false;
  /** Whether the caller has an answer, or has gone; a reply that still comes is a late one. */
  outcome: "none" | "answered" | "failed" = "none";
  readonly #request: CallRequest<Name, Result>;
  readonly #start: CallStart<Result>;
  readonly #codec: ClientCodec;
  /** Written at once, so that what the caller changes afterwards is not sent. */
  readonly #prepared: EncodedValue;
  #onAbort: (() => void) | undefined;

  /** @throws {EphemeralError} `bad_command` for what the codec cannot carry */
  constructor(request: CallRequest<Name, Result>, start: CallStart<Result>) {
    this.#request = request;
    this.#start = start;
    this.#codec = start.codec ?? json;
    this.#prepared = this.#codec.prepare(request.command);
    this.deadlineMs = start.deadlineMs;
    if (request.waitMs !== undefined && !Number.isFinite(request.waitMs)) throw notFinite(request.waitMs, "waitMs");
  }

  get command(): Outgoing {
    // Typed by name while it is called; here any command of the vocabulary.
    return this.#request.command as Outgoing;
  }

  get action(): CommandName {
    return this.#request.command.action;
  }

  get isSettled(): boolean {
    return this.outcome !== "none";
  }

  /** Whether the broker may hold the answer back, as it always may that of a request. */
  get waits(): boolean {
    return Boolean(this.#request.waitMs) || this.action === "request";
  }

  /** Bytes of its frame, or a few more; exact only where it could be over `bytesMax`, as counting costs an encoding. */
  frameBytes(bytesMax: number): number {
    const { length } = this.#prepared;
    // No UTF-16 unit takes more than three bytes.
    if (typeof this.#prepared !== "string" || 3 * length + envelopeBytes <= bytesMax) return length + envelopeBytes;
    return new TextEncoder().encode(this.#prepared).length + envelopeBytes;
  }

  /** The command as the frame to send under `id`; a wait asks for what is left of it. */
  frame(id: number, clock: { nowMs(): number }): EncodedValue {
    const { waitMs } = this.#request;
    if (!waitMs) return this.#codec.frame(this.#prepared, { id });
    const leftMs = waitMs < 0 ? -1 : Math.max(1, Math.ceil(waitMs - (clock.nowMs() - this.#start.nowMs)));
    return this.#codec.frame(this.#prepared, { id, waitMs: leftMs });
  }

  /** Calls `onAbort` when the caller's signal says so, unless the call is settled by then. */
  listen(onAbort: (reason: unknown) => void): void {
    const { signal } = this.#request;
    if (signal === undefined) return;
    this.#onAbort = () => onAbort(signal.reason);
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Takes the good reply, unless it came too late for the caller. */
  succeed(reply: unknown): void {
    if (this.isSettled) return;
    try {
      // Both sides take the shapes from `CommandMap`, and the peer is the broker that owns our socket. Whoever reads nothing
      // wants nothing: there `Result` is void.
      this.#start.resolve(this.#request.read?.(reply as Reply<Name>) as Result);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#settle("answered");
  }

  /** Tells the caller, unless it has its answer already. */
  fail(reason: unknown): void {
    if (this.isSettled) return;
    this.#start.reject(reason);
    this.#settle("failed");
  }

  #settle(outcome: "answered" | "failed"): void {
    this.outcome = outcome;
    if (this.#onAbort !== undefined) this.#request.signal?.removeEventListener("abort", this.#onAbort);
    this.#start.onSettled();
  }
}

/** The error a refusal stands for. A code of a newer broker is passed on as it is. */
export function errorOfReply(reply: object): EphemeralError {
  // Both sides take the shape from `commands.ts`, and the peer is the broker that owns our socket.
  const { error, message, ...extras } = reply as ErrorReply;
  return new EphemeralError(error as ErrorCode, message, extras);
}
