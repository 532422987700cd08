/**
 * The library of the package: the client, and `Broker`, which launches a broker in a process of its own, from Node or Bun.
 * Knows when one starts and stops; what it runs on, what it is told and how it is launched, its neighbours know.
 */

import { exportPipe, readLauncherEnvironment, withdrawPipe } from "./environment.ts";
import { type LaunchedBroker, launchBroker } from "./launcher/broker-launch.ts";
import { type BrokerOptions, type LaunchSettings, launchSettings } from "./launcher/broker-options.ts";
import { findRuntime, machineSources } from "./launcher/runtime.ts";

export type {
  AcquireOptions,
  ClientOptions,
  Grant,
  LockOptions,
  PoolHandle,
  PoolItem,
  SeatOptions,
  Want,
  Wants,
  Watch,
  WatchEvent,
  WatchOptions,
  WhyReply,
} from "./client.ts";
export { Client, EphemeralError } from "./client.ts";
export type {
  GetOptions,
  IncrOptions,
  LeaseOptions,
  OnceOptions,
  OnEndOptions,
  SetOptions,
  WaitOptions,
} from "./command-options.ts";
export type { BrokerOptions } from "./launcher/broker-options.ts";

/** Variables that would make the runtime something else than our program. */
const foreignToBroker = new Set(["BUN_OPTIONS", "BUN_BE_BUN", "BUN_INSPECT", "BUN_INSPECT_NOTIFY"]);

const tokenBytes = 32;

/** A token for one broker, or none where the environment has a secret for it. The broker could not tell us one: what it says is
 *  for everybody. */
function tokenFor(variables: Readonly<Record<string, string | undefined>>): string | undefined {
  const secrets = ["EPHEMERAL_SECRET", "EPHEMERAL_SECRET_FILE", "BROKER_SECRET"];
  if (secrets.some((name) => variables[name] !== undefined)) return undefined;
  const random = crypto.getRandomValues(new Uint8Array(tokenBytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Node 20 lacked this symbol before 20.5; a class needs some name for the method even there.
const asyncDisposeSymbol: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

/** A broker in a process of its own. It ends with `stop`, and with this process, however that ends; it does not keep this
 *  process alive. */
export class Broker {
  #launch: Promise<LaunchedBroker> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #settings: LaunchSettings;
  #launched: LaunchedBroker | undefined;
  #token: string | undefined;

  /** Nothing is started yet. What the options leave open the environment decides (`EPHEMERAL_*`, `BROKER_*`), as it does for
   *  `ephemeral start`.
   *  @throws {EphemeralError} `bad_command` for an option that is unknown, cannot be or contradicts another */
  constructor(options: BrokerOptions = {}) {
    this.#settings = launchSettings(options);
  }

  /** Path of the broker's socket; undefined while there is none. */
  get pipe(): string | undefined {
    return this.#launched?.pipe;
  }

  /** Where the broker's web door is; undefined while there is none. */
  get url(): string | undefined {
    return this.#launched?.url;
  }

  /** What lets a client in at `url`; undefined where a secret, or nothing, is asked for. */
  get token(): string | undefined {
    return this.#launched === undefined ? undefined : this.#token;
  }

  /** Launches the broker, sets `EPHEMERAL_PIPE` in this process's environment and resolves to the socket's path. Started
   *  already, it stays as it is.
   *  @throws {EphemeralError} `unavailable` when there is nothing to run it on, or when its name is taken; `bad_command` for
   *  options that contradict the environment or each other; `forbidden` when its directory is not private; `timeout` */
  async start(): Promise<string> {
    await this.#stopping;
    this.#launch ??= this.#begin();
    return (await this.#launch).pipe;
  }

  /** Ends the broker, resolves when it has ended and gives `EPHEMERAL_PIPE` its former value. Idempotent. What clients have
   *  registered with `onEnd` has run by then, unless it took longer than 10 seconds: then it goes on by itself. */
  stop(): Promise<void> {
    const launch = this.#launch;
    if (launch !== undefined) {
      this.#launch = undefined;
      this.#stopping = this.#end(launch).finally(() => {
        this.#stopping = undefined;
      });
    }
    return this.#stopping ?? Promise.resolve();
  }

  async #begin(): Promise<LaunchedBroker> {
    try {
      const found = readLauncherEnvironment();
      const runtime = findRuntime(machineSources(found));
      const variables = Object.entries(found.variables).filter(([name]) => !foreignToBroker.has(name));
      const { flags, variables: own, hasPort, hasAdmission } = this.#settings;
      const hasWeb = hasPort || found.variables.EPHEMERAL_PORT !== undefined;
      this.#token = hasWeb && !hasAdmission ? tokenFor(found.variables) : undefined;
      const token = this.#token === undefined ? {} : { EPHEMERAL_TOKEN: this.#token };
      const launched = await launchBroker({
        command: [...runtime, "start", "--owner", "stdin", ...flags],
        // Its failure is read here and must not be coloured.
        environment: { ...Object.fromEntries(variables), NO_COLOR: "1", ...own, ...token },
        hasWeb,
        sayOnStderr: (text) => process.stderr.write(text),
      });
      this.#launched = launched;
      exportPipe(launched.pipe);
      // It may also end by itself: when it was told to, was idle for too long, or was killed.
      launched.ended.then(() => this.#forget(launched));
      return launched;
    } catch (error) {
      this.#launch = undefined;
      throw error;
    }
  }

  async #end(launch: Promise<LaunchedBroker>): Promise<void> {
    const launched = await launch.catch(() => undefined);
    await launched?.stop();
    if (launched !== undefined) this.#forget(launched);
  }

  #forget(launched: LaunchedBroker): void {
    withdrawPipe(launched.pipe);
    if (this.#launched !== launched) return;
    this.#launched = undefined;
    this.#launch = undefined;
  }

  async [asyncDisposeSymbol](): Promise<void> {
    await this.stop();
  }
}
