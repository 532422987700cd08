/**
 * The place a command is run in: beside a broker of our own, or in the run of somebody else's. Finds out which of the two it
 * is to be, and leaves nothing of it behind. Knows nothing of the command.
 */
import { type RunningBroker, startBroker } from "../../broker/broker.ts";
import { pipeOfName } from "../../broker/broker-name.ts";
import type { BrokerConfig } from "../../broker/config.ts";
import { EndOfRun } from "../../broker/end-of-run.ts";
import type { EndCommand } from "../../protocol/end-of-run.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Environment } from "../settings/settings.ts";
import { EndHooks } from "./end-hooks.ts";
import { hookLine } from "./hook-line.ts";
import type { SignalInbox, SignalName } from "./own-signals.ts";
import { PortFile } from "./port-file.ts";
import { type Reaper, startReaper } from "./reaper.ts";
import { markOfJoiner, markOfOwner, type RunMark } from "./run-mark.ts";
import { reasonOf, say } from "./say.ts";

export interface PlaceOptions {
  readonly config: BrokerConfig;
  /** Whose run to join: that of the broker at this path, or of the one of our own name, if there is one. Undefined: none. */
  readonly join: { readonly pipe: string } | "name" | undefined;
  readonly graceMs: number;
  /** Who joins, for people. */
  readonly label: string;
  /** Where the reaper finds its tools, and what hooks inherit. */
  readonly environment: Environment;
  /** Where the port of our own broker is written; undefined for nowhere. */
  readonly portFile: string | undefined;
  /** Whether commands may be registered to be run at the end of a run of our own. */
  readonly takesHooks: boolean;
}

export interface Place {
  readonly pipe: string;
  /** Where our own broker's web door is; undefined where there is none. */
  readonly url: string | undefined;
  readonly mark: RunMark;
  /** Undefined where there is no /bin/sh. */
  readonly reaper: Reaper | undefined;
  /** Resolves when a client, or our broker itself, asks for the end. */
  readonly endAsked: Promise<unknown>;
  /** Has a command run at the end of the run. */
  onEnd(command: EndCommand): Promise<void>;
  /** Resolves with the reason when the broker we joined has gone. */
  readonly lost: Promise<string>;
  /** Ends our broker when those who joined it have gone and the hooks have run, or leaves the one we joined. `hurry` cuts the wait
   *  for those who joined short. */
  leave(hurry: Promise<void>): Promise<void>;
}

/** How long our broker may take to say goodbye to its clients. Past it the reaper removes what is left. */
const stopMsMax = 5000;
/** A name whose holder is ending is waited for beyond the grace for so long, and looked at again so often. */
const patienceMs = 15_000;
const lookAgainMs = 10;
const never = new Promise<never>(() => {});

/** Joins, or starts a broker. Waits while a name is that of a run which is ending; a signal that comes meanwhile ends the
 *  wait, and is the answer then.
 *  @throws {EphemeralError} what `startBroker` or `join` throws; nothing is left then */
export async function takePlace(options: PlaceOptions, inbox: SignalInbox): Promise<Place | SignalName> {
  const deadlineMs = performance.now() + options.graceMs + patienceMs;
  for (;;) {
    try {
      return await joinOrStart(options);
    } catch (error) {
      if (!mayPass(error, options) || performance.now() > deadlineMs) throw error;
    }
    await Bun.sleep(lookAgainMs);
    const [signal] = inbox.early;
    if (signal !== undefined) return signal;
  }
}

async function joinOrStart(options: PlaceOptions): Promise<Place> {
  const { config, join } = options;
  if (join === undefined) return ownPlace(options);
  if (join !== "name") return joinedPlace(join.pipe, options);
  try {
    return await joinedPlace(pipeOfName(config.runRoot, config.name ?? ""), options);
  } catch (error) {
    if (!(error instanceof EphemeralError) || error.code !== "unavailable") throw error;
  }
  return ownPlace(options);
}

/** Whether trying again can help: the name's holder is ending or, for who would join it, not up yet. */
function mayPass(error: unknown, { join }: PlaceOptions): boolean {
  if (!(error instanceof EphemeralError)) return false;
  if (join === "name" && error.code === "draining") return true;
  return error.code === "unavailable" && (error.details?.isEnding === true || (join === "name" && isNameTaken(error)));
}

function isNameTaken({ details }: EphemeralError): boolean {
  return details?.isEnding !== undefined;
}

async function joinedPlace(pipe: string, options: PlaceOptions): Promise<Place> {
  const { config, label, graceMs, environment } = options;
  // Most who start have a broker of their own: they need not wait for a client to be loaded.
  const { joinRun } = await import("./membership.ts");
  const membership = await joinRun({ pipe, secret: config.secret, label });
  const mark = markOfJoiner(pipe);
  const reaper = startReaper({ mark: mark.entry, graceMs, searchPath: environment.PATH });
  return {
    pipe,
    url: undefined,
    mark,
    reaper,
    endAsked: never,
    lost: membership.lost,
    onEnd: (command) => membership.onEnd(command),
    async leave() {
      membership.leave();
      reaper?.dismiss();
    },
  };
}

async function ownPlace({ config, graceMs, environment, takesHooks, portFile: path }: PlaceOptions): Promise<Place> {
  const keep = (command: EndCommand): void | Promise<void> => hooks.keep(hookLine(command, environment));
  const endOfRun = new EndOfRun({ commandsMax: config.limits.onEndMax, keep });
  const broker = await startBroker(config, { endOfRun: takesHooks ? endOfRun : undefined });
  const { pipe, directory, claim, endAsked } = broker;
  const mark = markOfOwner(pipe, broker);
  const portFile = path === undefined ? undefined : new PortFile(path, portOf(broker));
  const own = { directory, claim, portFile };
  const started = (): Reaper | undefined =>
    startReaper({ own, mark: mark.entry, graceMs, searchPath: environment.PATH });
  const reaper = started();
  await publish(portFile, { broker, reaper });
  const hooks = new EndHooks({ reaper, replace: started });
  return {
    pipe,
    url: broker.url,
    mark,
    reaper,
    endAsked,
    lost: never,
    onEnd: async (command) => endOfRun.register(command),
    async leave(hurry) {
      await Promise.race([broker.drain(graceMs), hurry]);
      endOfRun.close();
      const undertaker = await hooks.run();
      portFile?.remove();
      if (await stopInTime(broker)) undertaker?.dismiss();
    },
  };
}

/** Writes the port, which answers already. Where it cannot be written there is no broker.
 *  @throws {EphemeralError} `unavailable` */
async function publish(
  portFile: PortFile | undefined,
  { broker, reaper }: { readonly broker: RunningBroker; readonly reaper: Reaper | undefined },
): Promise<void> {
  try {
    portFile?.write();
  } catch (error) {
    await broker.stop();
    reaper?.dismiss();
    throw error;
  }
}

/** From its text: what reads URLs leaves out a port that goes without saying. */
function portOf({ url = "" }: RunningBroker): number {
  return Number(/:(\d+)\/ws$/.exec(url)?.[1]);
}

/** Whether the broker has stopped. One that fails to is the reaper's to clean up, and does not change our ending. */
async function stopInTime(broker: RunningBroker): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), stopMsMax);
  const stopped = broker.stop().then(
    () => true,
    (error: unknown) => {
      say(`Cannot stop broker cleanly: ${reasonOf(error)}`);
      return false;
    },
  );
  const isStopped = await Promise.race([stopped, late]);
  clearTimeout(timer);
  return isStopped;
}
