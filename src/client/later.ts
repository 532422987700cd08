/**
 * All that a client does beside values and leases, in parts that are loaded with the first call of each. What is to be known of
 * their methods stands with each part's interface; here they are only named.
 */
import { EphemeralError } from "../protocol/errors.ts";
import type { Reports } from "./broker-reports.ts";
import type { Publication, PublishOptions } from "./channels/channel-options.ts";
import type { Messaging } from "./channels/messaging.ts";
import type { QueueOptions } from "./command-options.ts";
import type { Connection } from "./connection/connection.ts";
import { LatePart } from "./late-part.ts";
import type { ClientSettings } from "./options.ts";
import type { Requests } from "./requests/requests.ts";
import type { Queue, Sharing } from "./sharing/sharing.ts";
import type { Once } from "./sharing/single-flight.ts";
import type { PoolHandle, Turns } from "./turns/turns.ts";
import type { Watching } from "./watches.ts";

type All = Messaging & Once & Reports & Requests & Sharing & Turns & Watching;

/** What a part does for the client under the same name. */
const methods: { readonly [Name in keyof Parts]: readonly (keyof All & keyof PartOf<Name>)[] } = {
  channels: ["subscribe", "history", "presence", "channels"],
  grants: ["acquire", "lock", "semaphore", "withItem", "withLock", "withSeat", "why"],
  messages: ["serve", "request", "send", "onEvent"],
  reports: ["list", "stats", "health", "metrics", "ps"],
  sharedWork: ["rateLimit", "penalize", "barrier", "onEnd"],
  singleFlight: ["once"],
  watches: ["watch"],
};

/** What each calls back is its second argument. Without types to tell, who forgets it would never hear why nothing comes. */
const callingBack = /^(on(ce|Event)|subscribe|serve|watch)$/;

type Parts = ReturnType<typeof partsOf>;
type PartOf<Name extends keyof Parts> =
  Parts[Name] extends LatePart<{ readonly [N in Name]: infer Part }> ? Part : never;

/** What brings each part: some come together. */
function partsOf(connection: Connection, settings: ClientSettings) {
  const together = new LatePart(async () => (await import("./coordination.ts")).coordination(connection, settings));
  const listening = new LatePart(async () => (await import("./listening.ts")).listening(connection));
  return {
    channels: new LatePart(async () => {
      const { Channels } = await import("./channels/channels.ts");
      return { channels: new Channels(connection, settings.clock) };
    }),
    grants: together,
    messages: listening,
    reports: new LatePart(async () => {
      const { BrokerReports } = await import("./broker-reports.ts");
      return { reports: new BrokerReports(connection) };
    }),
    sharedWork: together,
    singleFlight: together,
    watches: listening,
  };
}

class Loader {
  readonly #connection: Connection;
  readonly #parts: Parts;

  static {
    for (const [part, names] of Object.entries(methods)) {
      for (const name of names) {
        const value = function (this: Loader, ...given: unknown[]): Promise<unknown> {
          if (callingBack.test(name) && typeof given[1] !== "function") {
            const text = `Cannot ${name}: wanted a function, got ${typeof given[1]}`;
            return Promise.reject(new EphemeralError("bad_command", text));
          }
          // The table names parts and their methods.
          const [key, parts] = [part as keyof Parts, this.#parts as Record<keyof Parts, LatePart<unknown>>];
          return parts[key].call((loaded) => (loaded as Record<keyof Parts, Methods>)[key][name](...given));
        };
        Object.defineProperty(Loader.prototype, name, { value });
      }
    }
  }

  constructor(connection: Connection, settings: ClientSettings) {
    this.#connection = connection;
    this.#parts = partsOf(connection, settings);
  }

  async publish(channel: string, data: unknown, options?: PublishOptions): Promise<Publication> {
    // Written at once: what the caller changes afterwards is not sent.
    const member = this.#connection.codec.toMember(data);
    return this.#parts.channels.call(({ channels }) => channels.publish(channel, member, options));
  }

  pool(name: string): PoolHandle {
    const call = <Result>(use: (pool: PoolHandle) => Promise<Result>): Promise<Result> =>
      this.#parts.grants.call(({ grants }) => use(grants.pool(name)));
    return {
      define: (items) => call((pool) => pool.define(items)),
      add: (items) => call((pool) => pool.add(items)),
      remove: (slots) => call((pool) => pool.remove(slots)),
      quarantine: (slot, reason) => call((pool) => pool.quarantine(slot, reason)),
      show: () => call((pool) => pool.show()),
    };
  }

  queue<Data>(name: string, options?: QueueOptions): Queue<Data> {
    const { sharedWork: late } = this.#parts;
    const call = <Result>(use: (queue: Queue<Data>) => Promise<Result>): Promise<Result> =>
      late.call(({ sharedWork }) => use(sharedWork.queue(name, options)));
    return {
      name,
      push: (items, last) => call((queue) => queue.push(items, last)),
      close: () => call((queue) => queue.close()),
      info: () => call((queue) => queue.info()),
      async *[Symbol.asyncIterator]() {
        yield* await call(async (queue) => queue);
      },
    };
  }
}

type Methods = Readonly<Record<keyof All, (...given: unknown[]) => Promise<unknown>>>;

/** The methods of the table are those of the interfaces. What it is made of is ours: what declarations mention is shipped. */
export const Later = Loader as unknown as new (connection: object, settings: object) => All;
