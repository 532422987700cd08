/**
 * Asking the broker for what it knows of itself. Loaded with the first of these.
 */
import type { Health, SessionInfo, Stats } from "../protocol/commands.ts";
import type { Connection } from "./connection.ts";

export interface Reports {
  stats(): Promise<Stats>;

  health(): Promise<Health & { readonly ok: true }>;

  /** The broker's numbers in Prometheus' text format. */
  metrics(): Promise<string>;

  /** Who is connected, what each holds and waits for. */
  ps(): Promise<readonly SessionInfo[]>;
}

/** @internal */
export class BrokerReports implements Reports {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  stats(): Promise<Stats> {
    return this.#connection.call({ command: { action: "stats" }, read: (reply) => reply.stats });
  }

  health(): Promise<Health & { readonly ok: true }> {
    return this.#connection.call({
      command: { action: "health" },
      read: ({ status, uptime, timestamp, capacity, memory, connections }) => {
        return { ok: true, status, uptime, timestamp, capacity, memory, connections } as const;
      },
    });
  }

  metrics(): Promise<string> {
    return this.#connection.call({ command: { action: "metrics" }, read: (reply) => reply.metrics });
  }

  ps(): Promise<readonly SessionInfo[]> {
    return this.#connection.call({ command: { action: "ps" }, read: (reply) => reply.sessions });
  }
}
