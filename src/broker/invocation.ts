/**
 * One run of one command: whose it is, whether it may, and the handle by which its wait is cancelled.
 */
import type { WaitHandle, Waiting } from "../engine/engine.ts";
import type { Codec } from "../protocol/codec.ts";
import type { EphemeralError } from "../protocol/errors.ts";
import type { Connection } from "./connections/connection.ts";
import type { Session } from "./sessions/session.ts";

export class Invocation implements WaitHandle {
  readonly connection: Connection;
  /** False until the peer has shown that it knows the broker's secret, where there is one. */
  readonly isAdmitted: boolean;
  /** Filled in by the engine while the command waits. */
  cancel: ((reason: EphemeralError) => boolean) | undefined;

  constructor(connection: Connection, isAdmitted: boolean) {
    this.connection = connection;
    this.isAdmitted = isAdmitted;
  }

  get session(): Session {
    return this.connection.session;
  }

  /** What the command came in and its answer leaves in. */
  get codec(): Codec {
    return this.connection.codec;
  }

  /** What the engine needs of a command that may wait. */
  waiting(waitMs: number): Waiting {
    return { caller: this.connection.session, waitMs, handle: this };
  }
}
