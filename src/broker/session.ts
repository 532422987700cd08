/**
 * One session: who holds what is granted. It begins with its connection and ends with it, in the same turn: that is how the
 * turn of a killed process passes on at once. Knows nothing of sockets; the connection tells it when it is over.
 */
import type { Caller } from "../engine/engine.ts";

/** What a client says of itself in `hello`. */
export interface ClientInfo {
  readonly name: string;
  readonly version: string;
}

export class Session implements Caller {
  /** Public: knowing it gives nothing. */
  readonly id: string;
  readonly startedAtMs: number;
  /** Process id of the peer, where the kernel tells it. */
  readonly peerPid: number | undefined;
  /** 128 random bits known to the client alone; undefined while the session is anonymous. Never shown or logged. */
  secret: string | undefined;
  client: ClientInfo | undefined;
  #label: string | undefined;

  constructor(options: { readonly id: string; readonly startedAtMs: number; readonly peerPid: number | undefined }) {
    this.id = options.id;
    this.startedAtMs = options.startedAtMs;
    this.peerPid = options.peerPid;
  }

  get isAnonymous(): boolean {
    return this.secret === undefined;
  }

  /** For people. Without one of its own, a session is known by its process. */
  get label(): string | undefined {
    return this.#label ?? (this.peerPid === undefined ? undefined : `pid ${this.peerPid}`);
  }

  /** The `hello` of this session's client. */
  introduce(about: {
    readonly secret: string;
    readonly label?: string | undefined;
    readonly client?: ClientInfo | undefined;
  }): void {
    this.secret = about.secret;
    this.#label = about.label;
    this.client = about.client;
  }
}
