/**
 * The broker's own life in the log: started, draining, stopped, and the heartbeat between. Reads what others count; decides
 * nothing.
 */
import type { CancelAlarm, Clock } from "../../engine/clock.ts";
import type { Engine } from "../../engine/engine.ts";
import type { BrokerConfig } from "../config.ts";
import type { Connections } from "../connections/connections.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { startHeartbeat } from "./heartbeat.ts";
import type { Log, LogFields } from "./log.ts";

interface BrokerLogOptions {
  readonly config: BrokerConfig;
  readonly clock: Clock;
  readonly engine: Engine;
  readonly sessions: Sessions;
  readonly connections: Connections;
  readonly about: { readonly version: string; readonly epoch: string; readonly startedAtMs: number };
}

export class BrokerLog {
  readonly #options: BrokerLogOptions;
  readonly #log: Log | undefined;
  #stopHeartbeat: CancelAlarm | undefined;
  #told: "running" | "draining" | "stopped" = "running";

  constructor(options: BrokerLogOptions) {
    this.#options = options;
    this.#log = options.config.log;
  }

  started(pipe: string, url: string | undefined): void {
    const log = this.#log;
    if (log === undefined) return;
    const { about, clock, config } = this.#options;
    const { version, epoch } = about;
    const authenticates = config.secret !== undefined;
    log.info("broker started", { pipe, url, version, epoch, pid: process.pid, authenticates });
    if (config.heartbeatMs === undefined) return;
    const read = (): Promise<LogFields> => this.#read();
    this.#stopHeartbeat = startHeartbeat({ clock, log, everyMs: config.heartbeatMs, read });
  }

  draining(): void {
    if (this.#told !== "running") return;
    this.#told = "draining";
    const { connections } = this.#options;
    this.#log?.info("broker draining", { connections: connections.size, inFlight: connections.inFlight });
  }

  /** Resolves when all that was told is written. */
  async stopped(): Promise<void> {
    if (this.#told === "stopped") return;
    this.#told = "stopped";
    this.#stopHeartbeat?.();
    const { connections } = this.#options;
    const { commands, receivedBytes, sentBytes } = connections.tally;
    const { openedCount } = connections;
    const about = { uptimeMs: this.#uptimeMs, connections: openedCount, commands, receivedBytes, sentBytes };
    this.#log?.info("broker stopped", about);
    await this.#log?.flush();
  }

  get #uptimeMs(): number {
    return this.#options.clock.nowMs() - this.#options.about.startedAtMs;
  }

  async #read(): Promise<LogFields> {
    const { engine, connections, sessions } = this.#options;
    const { items, leases, onces, waits } = await engine.stats();
    const { rss, heapUsed } = process.memoryUsage();
    const { size, inFlight } = connections;
    const open = { connections: size, sessions: sessions.size, inFlight };
    return { uptimeMs: this.#uptimeMs, rssBytes: rss, heapUsedBytes: heapUsed, ...open, items, leases, onces, waits };
  }
}
