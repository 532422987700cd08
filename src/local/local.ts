/**
 * `ephemerald/local`: the client over a broker in its own process, for runs of a single worker. The same code, the same
 * answers and the same errors as with a broker of its own, but nothing outside this process knows of it.
 */
import { type BrokerConfig, type BrokerOptions, brokerConfig } from "../broker/config.ts";
import type { BrokerCore } from "../broker/core.ts";
import { Client, type ClientOptions } from "../client/client.ts";
import { systemClock } from "../engine/clock.ts";
import { Errands } from "./errands.ts";
import { LocalTransport } from "./local-transport.ts";

export { Client, EphemeralError } from "../client/client.ts";

/** What goes for a broker and makes sense without a socket. */
export type LocalOptions = Pick<BrokerOptions, "defaultTtlMs" | "requireTtl" | "refreshTtlOnGet" | "limits">;

/** What goes for a client and makes sense without one. */
export type LocalClientOptions = Omit<ClientOptions, "secret" | "dial">;

/** What stands where a socket's path would. */
const endpoint = "local";

/** A broker for the clients that it makes. */
export class LocalBroker {
  readonly #config: BrokerConfig;
  readonly #errands = new Errands();
  #assembled: Promise<BrokerCore> | undefined;

  /** @throws {EphemeralError} `bad_command` for an option that cannot be */
  constructor(options: LocalOptions = {}) {
    this.#config = brokerConfig({ ...options, runRoot: "" });
  }

  client(options: LocalClientOptions = {}): Client {
    const dial = async () => {
      const { connections } = await this.#core();
      return new LocalTransport({ connections, errands: this.#errands }, { endpoint, codec: options.codec });
    };
    return new Client(endpoint, { ...options, dial });
  }

  /** Ends it and all it holds; its clients fail with `unavailable`. */
  async stop(): Promise<void> {
    await (await this.#core()).stop();
  }

  /** Loaded when it is dialled first: the package has it once, for `import`, for `require` and for the command line. */
  #core(): Promise<BrokerCore> {
    this.#assembled ??= import("../broker/core.ts").then(({ assembleBroker }) =>
      assembleBroker({
        config: this.#config,
        endpoint,
        clock: systemClock,
        defer: (work) => this.#errands.run(work),
        collect: () => {},
        draining: () => {},
      }),
    );
    return this.#assembled;
  }
}

let shared: LocalBroker | undefined;

/** A client of the one broker that all callers in this process share. */
export function localClient(options?: LocalClientOptions): Client {
  shared ??= new LocalBroker();
  return shared.client(options);
}
