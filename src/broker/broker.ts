/**
 * The broker: wires the parts and owns their life, running → draining → stopped.
 * Knows nothing of argv, of the environment or of the command that runs beside it.
 */
import { type Clock, elapsedMs, systemClock } from "../engine/clock.ts";
import { MemoryEngine } from "../engine/memory/memory-engine.ts";
import { fromMessagePack, msgpackCodec } from "../msgpack/codec.ts";
import { closeCodes } from "../protocol/errors.ts";
import { jsonCodec } from "../protocol/json.ts";
import { SecretAuthentication } from "./auth.ts";
import { BrokerLog } from "./broker-log.ts";
import { Collector } from "./collector.ts";
import { type CommandParts, commandTable } from "./command-table.ts";
import type { BrokerConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { Dispatcher } from "./dispatcher.ts";
import { type EndReason, Lifetime } from "./lifetime.ts";
import { listenOnPipe } from "./pipe-listener.ts";
import { randomHex } from "./random-hex.ts";
import { claimRunDirectory, sweepRunDirectories } from "./run-directory.ts";
import { Sessions } from "./sessions.ts";
import { Turns } from "./turns.ts";
import { brokerVersion } from "./version.ts";
import { Watches } from "./watches.ts";

export interface RunningBroker {
  /** Path of the unix socket, ready to be dialled. */
  readonly pipe: string;
  /** The private directory that holds the socket; removed by `stop`. */
  readonly directory: string;
  /** The descriptor that holds the claim on the directory: a process that inherits it holds it beyond our death. */
  readonly claim: number;
  /** Resolves when a client says `drain`, or nobody was connected for `idleTimeoutMs`: whoever started the broker is to
   *  `drain` and `stop` it. From then on it refuses new joiners and serves everything else. */
  readonly endAsked: Promise<EndReason>;
  /** Refuses new joiners, and resolves when those there are have gone, at most `graceMs` later. */
  drain(graceMs: number): Promise<void>;
  /** Closes every connection (after a `closing` push), removes socket and directory. Idempotent. */
  stop(): Promise<void>;
}

const directoryNameBytes = 6;
const epochBytes = 8;
const codecs = { json: jsonCodec(fromMessagePack), msgpack: msgpackCodec };

/** What is the process's and not the broker's. */
export interface StartParts {
  readonly clock?: Clock;
  /** Has the runtime collect, now: asked to do it in its own time it leaves much behind. */
  readonly collect?: () => void;
}

const collectNow = (): void => Bun.gc(true);

/** Starts a broker on a private unix socket of its own.
 *  @throws {EphemeralError} `forbidden` when the run directory is not ours alone, `unavailable` when it cannot be had, with
 *  `NameTaken` as details when another broker has it,
 *  `bad_command` when the socket's path is too long */
export async function startBroker(
  config: BrokerConfig,
  { clock = systemClock, collect = collectNow }: StartParts = {},
): Promise<RunningBroker> {
  const { limits, secret, runRoot, log } = config;
  sweepRunDirectories(runRoot);
  const directory = claimRunDirectory(runRoot, config.name ?? randomHex(directoryNameBytes));
  const engine = new MemoryEngine({ clock, limits });
  const lifetime = new Lifetime({ clock, idleTimeoutMs: config.idleTimeoutMs, draining: () => brokerLog.draining() });
  const sessions = new Sessions({ engine, clock, log, ended: (session) => lifetime.sessionEnded(session) });
  const watches = new Watches({ engine, limits });
  const authentication =
    secret === undefined ? undefined : new SecretAuthentication({ secret, endpoint: directory.pipe });
  const about = { version: brokerVersion, epoch: randomHex(epochBytes), startedAtMs: clock.nowMs() };

  const shared = { clock, sessions, watches, authentication };
  const parts: CommandParts = {
    ...shared,
    engine,
    config,
    lifetime,
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
  const turns = new Turns({ elapsedMs, defer: setImmediate });
  const collector = new Collector({ clock, collect });
  const connections = new Connections({ ...shared, turns, collector, limits, codecs, dispatcher, log, countChanged });
  const listener = listenOnPipe({
    pipe: directory.pipe,
    connect: (socket, peer) => connections.open(socket, { door: "pipe", pid: peer.pid }),
  });

  const brokerLog = new BrokerLog({ config, clock, engine, sessions, connections, about });
  brokerLog.started(directory.pipe);

  return {
    pipe: directory.pipe,
    directory: directory.path,
    claim: directory.claim,
    endAsked: lifetime.endAsked,
    drain: (graceMs) => lifetime.drain(graceMs),
    async stop() {
      lifetime.stop();
      connections.closeAll(closeCodes.shutdown, "the broker ends");
      listener.stop();
      sessions.endAll();
      await engine.close();
      directory.release();
      await brokerLog.stopped();
    },
  };
}
