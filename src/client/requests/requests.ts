/**
 * The part of the client that asks other processes of the run and answers them, and says things to one of them, as its
 * callers see it.
 */
import type { Addressee } from "../../protocol/requests.ts";
import type { WaitOptions } from "../command-options.ts";

/** Whose request or event it is. */
export interface Origin {
  /** Id of the session it came from: an address for `send` and `request`. */
  readonly from: string;
}

/** Answers a request: what it returns, or resolves to, is the answer; what it throws is told as a failure. */
export type RequestHandler<Data = unknown> = (data: Data, origin: Origin) => unknown;

/** Takes an event. `from` is undefined where no session said it. */
export type EventListener<Data = unknown> = (data: Data, origin: { readonly from: string | undefined }) => void;

export interface StandingOptions {
  /** Whether it lets the process end. */
  readonly unref?: boolean | undefined;
  /** Told that it is over, as there is no broker any more, or it refuses us. */
  readonly onLost?: ((error: Error) => void) | undefined;
}

export interface Service {
  readonly method: string;
  /** Takes no more requests; those that were taken are still answered. Resolves once the broker knows. Idempotent. */
  stop(): Promise<void>;
}

export interface RequestOptions extends WaitOptions {
  /** Only this session may answer. */
  readonly to?: { readonly session: string } | undefined;
}

export interface Requests {
  /** Answers requests of `method` until `stop()`, each as it comes, beside others that run; the first may come before it
   *  resolves. Several processes share a method: who has the fewest to answer is asked. Survives a lost connection. Keeps the process alive,
   *  unless told to `unref`.
   *  @throws {EphemeralError} `bad_command` when this client serves it already, `too_many_names` past 64 methods */
  serve<Data = unknown>(method: string, handler: RequestHandler<Data>, options?: StandingOptions): Promise<Service>;

  /** Asks one of those who serve `method`, and resolves to the answer. Somebody has to serve it now, and may take its time; with
   *  `waitMs` it waits for somebody too, and so long for both.
   *  @throws {EphemeralError} `no_responder`; `responder_failed` with what the handler threw, or with `details.outcome`
   *  "unknown" when its process ended; `timeout` with who has had it for how long */
  request<Answer = unknown>(method: string, data?: unknown, options?: RequestOptions): Promise<Answer>;

  /** Says `event` to one session, or to all of a user, and resolves to how many were connected to hear it. */
  send(to: Addressee, event: string, data?: unknown): Promise<number>;

  /** Tells `listener` of each `event` that is sent to this client's session, from when it resolves, to what stops it. What is
   *  sent while the connection is lost is missing. Keeps the process alive, unless told to `unref`. */
  onEvent<Data = unknown>(event: string, listener: EventListener<Data>, options?: StandingOptions): Promise<() => void>;
}
