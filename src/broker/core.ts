/**
 * A broker without a door: the parts that take bytes and answer bytes, wired to each other. Whoever has a way to bring bytes
 * (`broker.ts` a socket, `src/local` the same process) opens connections here. Knows no path, no process and no time of its
 * own.
 */
import { type Clock, elapsedMs } from "../engine/clock.ts";
import { MemoryEngine } from "../engine/memory/memory-engine.ts";
import { closeCodes } from "../protocol/errors.ts";
import { Hub } from "./channels/hub.ts";
import { Collector } from "./collector.ts";
import { type CommandParts, commandTable } from "./command-table.ts";
import type { BrokerConfig } from "./config.ts";
import { Connections } from "./connections/connections.ts";
import { Turns } from "./connections/turns.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { EndOfRun } from "./end-of-run.ts";
import { SecretAuthentication } from "./gates/auth.ts";
import { openGate } from "./gates/gate.ts";
import { Lifetime } from "./lifetime.ts";
import { randomHex } from "./random-hex.ts";
import { DirectPushes } from "./requests/direct-pushes.ts";
import { Requests } from "./requests/requests.ts";
import type { Session } from "./sessions/session.ts";
import { Sessions } from "./sessions/sessions.ts";
import { brokerVersion } from "./version.ts";
import { Watches } from "./watches.ts";

export interface CoreOptions {
  readonly config: BrokerConfig;
  /** The address as clients dial it: proofs are made over it. */
  readonly endpoint: string;
  readonly clock: Clock;
  /** Calls `work` in a turn of its own: that of the event loop unless told. */
  readonly defer?: (work: () => void) => void;
  /** Has the runtime collect, now. */
  readonly collect: () => void;
  /** Told when the broker is about to end. */
  readonly draining: () => void;
  /** Takes what is to be run at the end; undefined where nobody would run it. */
  readonly endOfRun?: EndOfRun | undefined;
}

export interface BrokerCore {
  readonly engine: MemoryEngine;
  readonly lifetime: Lifetime;
  readonly sessions: Sessions;
  readonly connections: Connections;
  readonly about: CommandParts["about"];
  /** Closes every connection, ends every session and drops all state. */
  stop(): Promise<void>;
}

const epochBytes = 8;

export function assembleBroker(options: CoreOptions): BrokerCore {
  const { config, endpoint, clock, defer = setImmediate, collect, draining, endOfRun } = options;
  const { limits, secret, log } = config;
  const about = { version: brokerVersion, epoch: randomHex(epochBytes), startedAtMs: clock.nowMs() };
  const engine = new MemoryEngine({ clock, limits, epoch: about.epoch });
  const lifetime = new Lifetime({ clock, idleTimeoutMs: config.idleTimeoutMs, draining });
  const hub = new Hub({ engine, limits, clock });
  const ended = (session: Session): void => {
    requests.sessionEnded(session);
    hub.sessionEnded(session);
    lifetime.sessionEnded(session);
  };
  const sessions = new Sessions({ engine, clock, log, lingeringMax: limits.connectionsMax, ended });
  const pushes = new DirectPushes(sessions);
  const requests = new Requests({ waits: engine.waits, limits, pushes, nowMs: clock.nowMs() });
  const watches = new Watches({ engine, limits });
  const gate = secret === undefined ? openGate : new SecretAuthentication({ secret, endpoints: [endpoint] });

  const shared = { clock, sessions, watches, hub };
  const parts: CommandParts = {
    ...shared,
    pushes,
    requests,
    engine,
    config,
    lifetime,
    endOfRun,
    compression: { sets: 0, beforeBytes: 0, afterBytes: 0 },
    about,
    dispatcher: () => dispatcher,
    connections: () => connections,
  };
  const dispatcher = new Dispatcher({
    table: commandTable(parts),
    log,
    isDraining: () => lifetime.state !== "running",
  });
  const countChanged = (open: number): void => lifetime.connectionsOpen(open);
  const turns = new Turns({ elapsedMs, defer });
  const collector = new Collector({ clock, collect });
  const connections = new Connections({
    ...shared,
    turns,
    collector,
    limits,
    gate,
    dispatcher,
    log,
    countChanged,
  });
  return {
    engine,
    lifetime,
    sessions,
    connections,
    about,
    async stop() {
      lifetime.stop();
      connections.closeAll(closeCodes.shutdown, "the broker ends");
      sessions.endAll();
      await engine.close();
    },
  };
}
