/**
 * Asking for a rate, for a barrier, for jobs and for what is done at the end. Loaded with the first of these. Who may pass, and when, is the broker's
 * decision.
 */
import type { LimitGrant } from "../../protocol/sharing.ts";
import type { ClientClock } from "../client-clock.ts";
import type { BarrierOptions, LimitOptions, OnEndOptions, QueueOptions } from "../command-options.ts";
import type { Connection } from "../connection/connection.ts";
import { Jobs } from "./jobs.ts";
import type { Queue, Sharing } from "./sharing.ts";

export class SharedWork implements Sharing {
  readonly #connection: Connection;
  readonly #clock: ClientClock;

  constructor(connection: Connection, clock: ClientClock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  async rateLimit(key: string, { limit, windowMs, cost, waitMs = -1, signal }: LimitOptions): Promise<LimitGrant> {
    const command = { action: "limit", key, limit, windowMs, cost } as const;
    const read = ({ remaining, resetAtMs }: LimitGrant): LimitGrant => ({ remaining, resetAtMs });
    return this.#connection.call({ command, read, waitMs, signal });
  }

  async penalize(key: string, forMs: number): Promise<void> {
    return this.#connection.call({ command: { action: "limit.penalize", key, forMs } });
  }

  async barrier(key: string, parties: number, { join, waitMs = -1, signal }: BarrierOptions = {}): Promise<number> {
    const command = { action: "barrier", key, parties, join } as const;
    return this.#connection.call({ command, read: ({ index }) => index, waitMs: join ? undefined : waitMs, signal });
  }

  async onEnd(argv: readonly string[], { cwd = process.cwd(), env, timeoutMs }: OnEndOptions = {}): Promise<void> {
    const command = { action: "onEnd", argv, cwd, env, timeoutMs } as const;
    return this.#connection.call({ command });
  }

  queue<Data>(name: string, options: QueueOptions = {}): Queue<Data> {
    const jobs = new Jobs<Data>({ connection: this.#connection, clock: this.#clock, name, options });
    return {
      name,
      push: (items, { closes } = {}) => jobs.push(items, closes),
      close: () => jobs.close(),
      info: () => jobs.info(),
      [Symbol.asyncIterator]: () => jobs.all(),
    };
  }
}
