/**
 * The broker with its doors, a unix socket in a directory of its own and a web door where one is wanted, and its life: running → draining → stopped.
 * Knows nothing of argv, of the environment or of the command that runs beside it.
 */
import { type Clock, systemClock } from "../engine/clock.ts";
import type { EndReason } from "./broker-state.ts";
import type { BrokerConfig } from "./config.ts";
import { assembleBroker } from "./core.ts";
import type { EndOfRun } from "./end-of-run.ts";
import { BrokerLog } from "./log/broker-log.ts";
import { listenOnPipe } from "./pipe/pipe-listener.ts";
import { claimRunDirectory, sweepRunDirectories } from "./pipe/run-directory.ts";
import { randomHex } from "./random-hex.ts";
import type { WebConfig } from "./web/web-config.ts";
import type { WebDoor, WebDoorOptions } from "./web/web-listener.ts";

export interface RunningBroker {
  /** Path of the unix socket, ready to be dialled. */
  readonly pipe: string;
  /** Where the web door is dialled; undefined where there is none. */
  readonly url: string | undefined;
  /** What a client shows there in `hello.token`; undefined where a secret, or nothing, is asked for. */
  readonly token: string | undefined;
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

/** What is the process's and not the broker's.
 *  @internal */
export interface StartParts {
  readonly clock?: Clock;
  /** Has the runtime collect, now: asked to do it in its own time it leaves much behind. */
  readonly collect?: () => void;
  /** Takes what is to be run at the end, for whoever runs it after `drain` and before `stop`. */
  readonly endOfRun?: EndOfRun | undefined;
}

const collectNow = (): void => Bun.gc(true);

/** Most brokers have no web door, and start sooner for not loading it. */
async function openWeb(web: WebConfig, parts: Omit<WebDoorOptions, "web">): Promise<WebDoor> {
  const { openWebDoor } = await import("./web/web-listener.ts");
  return openWebDoor({ web, ...parts });
}

/** Starts a broker on a private unix socket of its own.
 *  @throws {EphemeralError} `forbidden` when the run directory is not ours alone, `unavailable` when it cannot be had, with
 *  `NameTaken` as details when another broker has it,
 *  `bad_command` when the socket's path is too long; `unavailable` and `forbidden` for a port that cannot be had, too
 *  @internal */
export async function startBroker(
  config: BrokerConfig,
  { clock = systemClock, collect = collectNow, endOfRun }: StartParts = {},
): Promise<RunningBroker> {
  const { runRoot } = config;
  sweepRunDirectories(runRoot);
  const directory = claimRunDirectory(runRoot, config.name ?? randomHex(directoryNameBytes));
  const { pipe } = directory;
  const draining = (): void => brokerLog.draining();
  const core = assembleBroker({ config, endpoint: pipe, clock, collect, draining, endOfRun });
  const listener = listenOnPipe({
    pipe,
    connect: (socket, peer) => core.connections.open(socket, { door: "pipe", pid: peer.pid }),
  });

  const brokerLog = new BrokerLog({ config, clock, ...core });
  const stop = async (): Promise<void> => {
    const stopped = core.stop();
    listener.stop();
    await Promise.all([stopped, web?.stop()]);
    directory.release();
    await brokerLog.stopped();
  };
  let web: WebDoor | undefined;
  try {
    web = config.web && (await openWeb(config.web, { config, core, clock }));
  } catch (error) {
    await stop();
    throw error;
  }
  brokerLog.started(pipe, web?.url);

  return {
    pipe,
    url: web?.url,
    token: web?.token,
    directory: directory.path,
    claim: directory.claim,
    endAsked: core.lifetime.endAsked,
    drain: (graceMs) => core.lifetime.drain(graceMs),
    stop,
  };
}
