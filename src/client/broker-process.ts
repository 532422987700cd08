/**
 * The library of the package: the client, and `Broker`, which launches a broker in a process of its own, from Node or Bun.
 * Knows when one starts and stops; what it runs on, what it is told and how it is launched, its neighbours know.
 */
import { type LaunchedBroker, launchBroker } from "./broker-launch.ts";
import { type BrokerOptions, launchSettings } from "./broker-options.ts";
import { exportPipe, readLauncherEnvironment, withdrawPipe } from "./environment.ts";
import { findRuntime, machineSources } from "./runtime.ts";

export type { BrokerOptions } from "./broker-options.ts";
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

/** Variables that would make the runtime something else than our program. */
const foreignToBroker = new Set(["BUN_OPTIONS", "BUN_BE_BUN", "BUN_INSPECT", "BUN_INSPECT_NOTIFY"]);

// Node 20 lacked this symbol before 20.5; a class needs some name for the method even there.
const asyncDisposeSymbol: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

/** A broker in a process of its own. It ends with `stop`, and with this process, however that ends; it does not keep this
 *  process alive. */
export class Broker {
  readonly #flags: readonly string[];
  readonly #variables: Readonly<Record<string, string>>;
  #launch: Promise<LaunchedBroker> | undefined;
  #stopping: Promise<void> | undefined;
  #pipe: string | undefined;

  /** Nothing is started yet. What the options leave open the environment decides (`EPHEMERAL_*`, `BROKER_*`), as it does for
   *  `ephemeral start`.
   *  @throws {EphemeralError} `bad_command` for an option that is unknown, cannot be or contradicts another */
  constructor(options: BrokerOptions = {}) {
    const { flags, variables } = launchSettings(options);
    this.#flags = flags;
    this.#variables = variables;
  }

  /** Path of the broker's socket; undefined while there is none. */
  get pipe(): string | undefined {
    return this.#pipe;
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
      const launched = await launchBroker({
        command: [...runtime, "start", "--owner", "stdin", ...this.#flags],
        // Its failure is read here and must not be coloured.
        environment: { ...Object.fromEntries(variables), NO_COLOR: "1", ...this.#variables },
        sayOnStderr: (text) => process.stderr.write(text),
      });
      this.#pipe = launched.pipe;
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

  #forget({ pipe }: LaunchedBroker): void {
    withdrawPipe(pipe);
    if (this.#pipe !== pipe) return;
    this.#pipe = undefined;
    this.#launch = undefined;
  }

  async [asyncDisposeSymbol](): Promise<void> {
    await this.stop();
  }
}
