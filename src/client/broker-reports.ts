/**
 * Asking the broker for what there is: keys, sessions, numbers. Loaded with the first of these.
 */
import type { Health, ListedItem, Reply, SessionInfo, Stats } from "../protocol/commands.ts";
import type { Connection } from "./connection/connection.ts";

/** Keys asked for at once by `list`. */
const keysPerPage = 1000;

export interface Reports {
  /** The live keys that start with `prefix`, in the order they were first set, read a page at a time: keys set or removed
   *  meanwhile may or may not be seen. Values are not sent. */
  list(prefix?: string): Promise<Record<string, ListedItem>>;

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

  async list(prefix?: string): Promise<Record<string, ListedItem>> {
    const entries: [string, ListedItem][] = [];
    let cursor: string | undefined;
    do {
      const command = { action: "list", prefix, cursor, limit: keysPerPage } as const;
      const page: Reply<"list"> = await this.#connection.call({ command, read: (reply) => reply });
      // Pairs in MessagePack, where a map cannot have every key.
      for (const [key, item] of Symbol.iterator in page.items ? page.items : Object.entries(page.items))
        entries.push([key, item]);
      cursor = page.cursor;
    } while (cursor !== undefined);
    // fromEntries defines own members, so that a key named __proto__ stays one.
    return Object.fromEntries(entries);
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
