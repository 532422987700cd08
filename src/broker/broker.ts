/**
 * The broker: wires the parts and owns their life, running → draining → stopped.
 * Knows nothing of argv, of the environment or of the command that runs beside it.
 */
import { randomBytes } from "node:crypto";
import { systemClock } from "../engine/clock.ts";
import { MemoryEngine } from "../engine/memory/memory-engine.ts";
import { fromMessagePack, msgpackCodec } from "../msgpack/codec.ts";
import { closeCodes, EphemeralError } from "../protocol/errors.ts";
import { encodeJson, jsonCodec } from "../protocol/json.ts";
import { SecretAuthentication } from "./auth.ts";
import type { BrokerConfig } from "./config.ts";
import { Connection, type Socket } from "./connection.ts";
import { type CommandTable, Dispatcher } from "./dispatcher.ts";
import { adminRows } from "./handlers/admin.ts";
import { leaseRows } from "./handlers/leases.ts";
import { onceRows } from "./handlers/once.ts";
import { sessionRows } from "./handlers/sessions.ts";
import { valueRows } from "./handlers/values.ts";
import { listenOnPipe, type Peer } from "./pipe-listener.ts";
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
  sweepRunDirectories(config.runRoot);
  const directory = claimRunDirectory(config.runRoot, randomBytes(directoryNameBytes).toString("hex"));
  const engine = new MemoryEngine({ clock, limits: config.limits });
  const sessions = new Sessions({ engine, clock });
  const connections = new Set<Connection>();
  const authentication =
    config.secret === undefined
      ? undefined
      : new SecretAuthentication({ secret: config.secret, endpoint: directory.pipe });
  const about = { version: brokerVersion, epoch: randomBytes(epochBytes).toString("hex"), startedAtMs: clock.nowMs() };

  const table: CommandTable = {
    ...valueRows({ engine, config }),
    ...leaseRows({ engine, config }),
    ...onceRows({ engine, config }),
    ...sessionRows({ sessions, engine, authentication, limits: config.limits, about }),
    ...adminRows({
      engine,
      config,
      clock,
      sessions,
      startedAtMs: about.startedAtMs,
      dispatcher: () => dispatcher,
      connections: () => ({
        open: connections.size,
        inFlight: [...connections].reduce((sum, connection) => sum + connection.inFlight, 0),
      }),
    }),
  };
  const dispatcher = new Dispatcher({ table, reportInternal: config.reportInternal });

  const connect = (socket: Socket, peer: Peer): Connection | undefined => {
    if (connections.size >= config.limits.connectionsMax) {
      const error = new EphemeralError(
        "too_many_connections",
        `Cannot connect: ${connections.size} are open, the limit`,
      );
      socket.write(Buffer.from(encodeJson(dispatcher.refusal(error, { id: undefined }))));
      return undefined;
    }
    const session = sessions.begin({ door: "pipe", pid: peer.pid });
    const connection = new Connection(
      {
        limits: config.limits,
        clock,
        codecs,
        dispatcher,
        authentication,
        disconnected: () => {
          connections.delete(connection);
          sessions.disconnected(connection.session, connection);
        },
      },
      { socket, session: session },
    );
    connections.add(connection);
    sessions.carry(session, connection);
    return connection;
  };
  const listener = listenOnPipe({ pipe: directory.pipe, connect });

  return {
    pipe: directory.pipe,
    directory: directory.path,
    async stop() {
      dispatcher.isDraining = true;
      for (const connection of [...connections]) connection.close(closeCodes.shutdown, "the broker ends");
      listener.stop();
      sessions.endAll();
      await engine.close();
      directory.release();
    },
  };
}
