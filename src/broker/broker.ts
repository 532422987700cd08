/**
 * The broker: wires the parts and owns their life, running → draining → stopped.
 * Knows nothing of argv, of the environment or of the command that runs beside it.
 */
import { randomBytes } from "node:crypto";
import { systemClock } from "../engine/clock.ts";
import { MemoryEngine } from "../engine/memory/memory-engine.ts";
import { fromMessagePack, msgpackCodec } from "../msgpack/codec.ts";
import { closeCodes } from "../protocol/errors.ts";
import { jsonCodec } from "../protocol/json.ts";
import { SecretAuthentication } from "./auth.ts";
import { BrokerLog } from "./broker-log.ts";
import { type CommandParts, commandTable } from "./command-table.ts";
import type { BrokerConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { Dispatcher } from "./dispatcher.ts";
import { listenOnPipe } from "./pipe-listener.ts";
import { claimRunDirectory, sweepRunDirectories } from "./run-directory.ts";
import { Sessions } from "./sessions.ts";
import { brokerVersion } from "./version.ts";

export interface RunningBroker {
  /** Path of the unix socket, ready to be dialled. */
  readonly pipe: string;
  /** The private directory that holds the socket; removed by `stop`. */
  readonly directory: string;
  /** Closes every connection (after a `closing` push), removes socket and directory. Idempotent. */
  stop(): Promise<void>;
}

const directoryNameBytes = 6;
const epochBytes = 8;
const codecs = { json: jsonCodec(fromMessagePack), msgpack: msgpackCodec };

/** Starts a broker on a private unix socket of its own.
 *  @throws {EphemeralError} `forbidden` when the run directory is not ours alone, `unavailable` when it cannot be had,
 *  `bad_command` when the socket's path is too long */
export async function startBroker(config: BrokerConfig): Promise<RunningBroker> {
  const clock = systemClock;
  const { limits, secret, runRoot, log } = config;
  sweepRunDirectories(runRoot);
  const directory = claimRunDirectory(runRoot, randomBytes(directoryNameBytes).toString("hex"));
  const engine = new MemoryEngine({ clock, limits });
  const sessions = new Sessions({ engine, clock, log });
  const authentication =
    secret === undefined ? undefined : new SecretAuthentication({ secret, endpoint: directory.pipe });
  const about = { version: brokerVersion, epoch: randomBytes(epochBytes).toString("hex"), startedAtMs: clock.nowMs() };

  const parts: CommandParts = {
    engine,
    config,
    clock,
    sessions,
    authentication,
    about,
    dispatcher: () => dispatcher,
    connections: () => connections,
  };
  const dispatcher = new Dispatcher({ table: commandTable(parts), log });
  const connections = new Connections({ limits, clock, codecs, dispatcher, authentication, sessions, log });
  const listener = listenOnPipe({
    pipe: directory.pipe,
    connect: (socket, peer) => connections.open(socket, { door: "pipe", pid: peer.pid }),
  });

  const brokerLog = new BrokerLog({ config, clock, engine, sessions, connections, about });
  brokerLog.started(directory.pipe);

  return {
    pipe: directory.pipe,
    directory: directory.path,
    async stop() {
      dispatcher.isDraining = true;
      brokerLog.draining();
      connections.closeAll(closeCodes.shutdown, "the broker ends");
      listener.stop();
      sessions.endAll();
      await engine.close();
      directory.release();
      await brokerLog.stopped();
    },
  };
}
