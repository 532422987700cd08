/** The socket as a connection uses it, whatever kind it is: a sink for bytes whose reading can be stopped for a while. */
import type { ByteSink } from "./outbox.ts";

export interface Socket extends ByteSink {
  /** Stops and restarts the reading of bytes. */
  pause(): void;
  resume(): void;
  /** Closes; bytes that were written still arrive. */
  end(): void;
}
