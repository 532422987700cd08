/**
 * The part of the client that sends and gets messages, as its callers see it: channels to listen to and to publish in.
 */
import type { ChannelInfo, Member } from "../../protocol/channels.ts";
import type {
  ChannelHistory,
  ChannelMessage,
  HistoryOptions,
  Publication,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./channel-options.ts";

export interface Messaging {
  /** Tells `handler` every message of `channel`, one after the other in the order of the channel, until `unsubscribe()`. Survives a
   *  lost connection: what was missed comes first, each message once; where that is not possible `options.onEvent` is told
   *  `lost`. A handler that is asynchronous is not awaited. The subscription keeps the process alive, unless told to `unref`.
   *  Over a pipe it is over (`unsubscribed`) when no broker is back within `timeoutMs`; over a WebSocket it waits for one.
   *  @throws {EphemeralError} `too_many_names`, `forbidden` */
  subscribe<Data = unknown>(
    channel: string,
    handler: (message: ChannelMessage<Data>) => void,
    options?: SubscribeOptions,
  ): Promise<Subscription>;

  /** Publishes `data` (JSON or a `Uint8Array`) and resolves to its place in the channel. What one client publishes comes in the order
   *  of its calls. Where the session outlives a cut (`lingerMs`) it is published once, whatever is cut; else it fails with
   *  `details.outcome` "unknown" when the connection is cut before the answer. Awaiting it is the way not to be faster than
   *  the broker. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Publication>;

  /** What can still be read of `channel`. */
  history<Data = unknown>(channel: string, options?: HistoryOptions): Promise<ChannelHistory<Data>>;

  /** Who is a member of `channel`: sessions that subscribed to it with `presence`. */
  presence(channel: string): Promise<readonly Member[]>;

  /** The channels that are in use, or were a short while ago, whose names begin with `prefix`. */
  channels(prefix?: string): Promise<readonly ChannelInfo[]>;
}
