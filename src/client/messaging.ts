/**
 * The part of the client that sends and gets messages: channels to listen to and to publish in. What it needs is loaded with
 * the first of its calls.
 */
import type { ChannelInfo, Member } from "../protocol/channels.ts";
import type {
  ChannelHistory,
  ChannelMessage,
  HistoryOptions,
  Publication,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./channel-options.ts";
import type { Channels } from "./channels.ts";
import type { ClientClock } from "./client-clock.ts";
import type { Connection } from "./connection.ts";
import { Requests } from "./requests.ts";

export class Messaging extends Requests {
  readonly #connection: Connection;
  readonly #load: () => Promise<Channels>;
  #loading: Promise<Channels> | undefined;

  /** @internal */
  constructor(connection: Connection, clock: ClientClock) {
    super(connection);
    this.#connection = connection;
    this.#load = async () => new (await import("./channels.ts")).Channels(connection, clock);
  }

  /** Tells `handler` every message of `channel`, one after the other in the order of the channel, until `unsubscribe()`. Survives a
   *  lost connection: what was missed comes first, each message once; where that is not possible `options.onEvent` is told
   *  `lost`. A handler that is asynchronous is not awaited. The subscription keeps the process alive, unless told to `unref`.
   *  Over a pipe it is over (`unsubscribed`) when no broker is back within `timeoutMs`; over a WebSocket it waits for one.
   *  @throws {EphemeralError} `too_many_names`, `forbidden` */
  async subscribe<Data = unknown>(
    channel: string,
    handler: (message: ChannelMessage<Data>) => void,
    options?: SubscribeOptions,
  ): Promise<Subscription> {
    // The caller says what is published there.
    return (await this.#channels()).subscribe(channel, handler as (message: ChannelMessage) => void, options);
  }

  /** Publishes `data` (JSON or a `Uint8Array`) and resolves to its place in the channel. What one client publishes comes in the order
   *  of its calls. Where the session outlives a cut (`lingerMs`) it is published once, whatever is cut; else it fails with
   *  `details.outcome` "unknown" when the connection is cut before the answer. Awaiting it is the way not to be faster than
   *  the broker. */
  async publish(channel: string, data: unknown, options?: PublishOptions): Promise<Publication> {
    // Written at once: what the caller changes afterwards is not sent.
    const member = this.#connection.codec.toMember(data);
    return (await this.#channels()).publish(channel, member, options);
  }

  /** What can still be read of `channel`. */
  async history<Data = unknown>(channel: string, options?: HistoryOptions): Promise<ChannelHistory<Data>> {
    // The caller says what was published there.
    return (await this.#channels()).history(channel, options) as Promise<ChannelHistory<Data>>;
  }

  /** Who is a member of `channel`: sessions that subscribed to it with `presence`. */
  async presence(channel: string): Promise<readonly Member[]> {
    return (await this.#channels()).presence(channel);
  }

  /** The channels that are in use, or were a short while ago, whose names begin with `prefix`. */
  async channels(prefix?: string): Promise<readonly ChannelInfo[]> {
    return (await this.#channels()).list(prefix);
  }

  #channels(): Promise<Channels> {
    this.#loading ??= this.#load();
    return this.#loading;
  }
}
