/**
 * The broker: wires the parts and owns their life, running → draining → stopped.
 * Knows nothing of argv, of the environment or of the command that runs beside it.
 */
import type { BrokerConfig } from "./config.ts";

export interface RunningBroker {
  /** Path of the unix socket, ready to be dialled. */
  readonly pipe: string;
  /** The private directory that holds the socket; removed by `stop`. */
  readonly directory: string;
  /** Closes every connection (after a `closing` push), removes socket and directory. Idempotent. */
  stop(): Promise<void>;
}

export async function startBroker(_config: BrokerConfig): Promise<RunningBroker> {
  throw new Error("under construction");
}
