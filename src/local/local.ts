/**
 * `ephemerald/local`: the client over a broker in its own process, for runs of a single worker. The same code, the same
 * answers and the same errors as with a broker of its own, but nothing outside this process knows of it.
 */
import { type BrokerOptions, brokerConfig } from "../broker/config.ts";
import { assembleBroker, type BrokerCore } from "../broker/core.ts";
import { Client, type ClientOptions } from "../client/client.ts";
import { systemClock } from "../engine/clock.ts";
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
  readonly #core: BrokerCore;

  /** @throws {EphemeralError} `bad_command` for an option that cannot be */
  constructor(options: LocalOptions = {}) {
    const config = brokerConfig({ ...options, runRoot: "" });
    this.#core = assembleBroker({ config, endpoint, clock: systemClock, collect: () => {}, draining: () => {} });
  }

  client(options: LocalClientOptions = {}): Client {
    const { connections } = this.#core;
    return new Client(endpoint, { ...options, dial: () => new LocalTransport(endpoint, connections) });
  }

  /** Ends it and all it holds; its clients fail with `unavailable`. */
  stop(): Promise<void> {
    return this.#core.stop();
  }
}

let shared: LocalBroker | undefined;

/** A client of the one broker that all callers in this process share. */
export function localClient(options?: LocalClientOptions): Client {
  shared ??= new LocalBroker();
  return shared.client(options);
}
