/**
 * One session: who holds what is granted, and what proves that a later connection is the same client. Begins with a
 * connection; ends with it too, unless it was asked to linger. Knows nothing of sockets or of what it holds.
 */
import type { Caller } from "../../engine/engine.ts";
import { isSameText } from "../gates/auth.ts";
import { randomHex } from "../random-hex.ts";
import type { SessionState } from "./session-state.ts";

/** Where a session came in. It can be resumed only through the same door. */
export type Door = "pipe" | "web";

/** What a client says of itself in `hello`. */
export interface Introduction {
  readonly client?: { readonly name: string; readonly version: string } | undefined;
  readonly label?: string | undefined;
  /** How long the session outlives its connection, waiting to be resumed. */
  readonly lingerMs: number;
}

const secretBytes = 16;

export class Session implements Caller {
  /** Public: knowing it gives nothing. */
  readonly id: string;
  readonly door: Door;
  readonly startedAtMs: number;
  /** Process id of the peer, where the kernel tells it. */
  peerPid: number | undefined;
  /** Whose session it is, as a token says. No door takes tokens yet, so it is nobody's. */
  readonly user: string | undefined = undefined;
  /** Changed by `sessions.ts` alone, along `nextSessionState`. */
  state: SessionState = "attached";
  #introduction: Introduction | undefined;
  /** 128 random bits known to the client alone; undefined while the session is anonymous. Never shown or logged. */
  #secret: string | undefined;
  /** The one the client came with, good until it shows that it has the new one: the reply that told it may have been lost,
   *  and the next one too. */
  #secretBefore: string | undefined;

  constructor(options: {
    readonly id: string;
    readonly door: Door;
    readonly startedAtMs: number;
    readonly peerPid: number | undefined;
  }) {
    this.id = options.id;
    this.door = options.door;
    this.startedAtMs = options.startedAtMs;
    this.peerPid = options.peerPid;
  }

  get isAnonymous(): boolean {
    return this.#secret === undefined;
  }

  get client(): Introduction["client"] {
    return this.#introduction?.client;
  }

  get lingerMs(): number {
    return this.#introduction?.lingerMs ?? 0;
  }

  /** For people. Without one of its own, a session is known by its process. */
  get label(): string | undefined {
    return this.#introduction?.label ?? (this.peerPid === undefined ? undefined : `pid ${this.peerPid}`);
  }

  /** Takes what `hello` said and returns the secret by which the session can be resumed: a new one each time. `claimed` is
   *  the one by which it was resumed just now. */
  introduce(introduction: Introduction, claimed: string | undefined): string {
    this.#introduction = introduction;
    this.#secretBefore = claimed;
    this.#secret = randomHex(secretBytes);
    return this.#secret;
  }

  /** The session ends with its connection from now on. */
  forgetLinger(): void {
    if (this.#introduction !== undefined) this.#introduction = { ...this.#introduction, lingerMs: 0 };
  }

  /** The client has gone on after `hello`, so it has the newest secret: the one before is worth nothing from here on. */
  confirmSecret(): void {
    this.#secretBefore = undefined;
  }

  /** Whether `secret` resumes this session. Takes the same time whatever is wrong with it. */
  isResumedBy(secret: string): boolean {
    const isNewest = this.#secret !== undefined && isSameText(secret, this.#secret);
    const isBefore = this.#secretBefore !== undefined && isSameText(secret, this.#secretBefore);
    return isNewest || isBefore;
  }
}
