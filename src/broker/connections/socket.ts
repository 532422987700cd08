/** The socket as a connection uses it, whatever kind it is: a sink for bytes whose reading can be stopped for a while. */
import type { ByteSink } from "./outbox.ts";

/** Why we close. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

export interface Socket extends ByteSink {
  /** Stops and restarts the reading of bytes. */
  pause(): void;
  resume(): void;
  /** Closes; bytes that were written still arrive. What says why, where the socket has a way to, is undefined when the peer
   *  closes. */
  end(why?: Closing): void;
}
