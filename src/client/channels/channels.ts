/**
 * Channels, as the client's callers use them: listening, publishing, and asking what there is. Loaded with the first of its
 * calls. What a listener is told, and when, is its feed's business.
 */
import type { ChannelInfo, ChannelPush, Member, Position } from "../../protocol/channels.ts";
import type { ClientClock } from "../client-clock.ts";
import type { Connection } from "../connection/connection.ts";
import type { PushListener } from "../connection/push-listeners.ts";
import type {
  ChannelHistory,
  ChannelMessage,
  HistoryOptions,
  Publication,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./channel-options.ts";
import { pageOf } from "./continuity.ts";
import { Feed, type Listener, readMessage } from "./feed.ts";

export class Channels implements PushListener {
  readonly #connection: Connection;
  readonly #clock: ClientClock;
  readonly #feeds = new Map<string, Feed>();
  #serial = 0;

  constructor(connection: Connection, clock: ClientClock) {
    this.#connection = connection;
    this.#clock = clock;
    connection.pushListeners.add(this);
  }

  async subscribe(
    channel: string,
    handler: (message: ChannelMessage) => void,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const letGo = options.unref ? undefined : this.#connection.hold();
    const listener: Listener = { handler, options, letGo, after: Number.POSITIVE_INFINITY };
    const feed = this.#feeds.get(channel) ?? this.#open(channel, options);
    await feed.add(listener);
    let stoppedAt: Position | undefined;
    return {
      channel,
      get position() {
        // There since the broker has answered.
        return stoppedAt ?? feed.position ?? { epoch: "", offset: 0 };
      },
      unsubscribe() {
        // The others may go on, and so may the page that is being told.
        stoppedAt ??= feed.position;
        return feed.remove(listener);
      },
    };
  }

  /** `member` is the data as the codec carries it. */
  publish(channel: string, member: unknown, { signal, ...rest }: PublishOptions = {}): Promise<Publication> {
    return this.#connection.call({
      command: { action: "publish", channel, data: member, serial: ++this.#serial, ...rest },
      read: ({ epoch, offset, receivers }) => ({ epoch, offset, receivers }),
      signal,
    });
  }

  history(channel: string, { since, limit }: HistoryOptions = {}): Promise<ChannelHistory> {
    return this.#connection.call({
      command: { action: "history", channel, since, limit },
      read: (reply) => {
        const { epoch, offset, messages, more = false } = pageOf(reply);
        const read = messages.map((message) => readMessage(this.#connection, { channel, message }));
        return { epoch, offset, messages: read, more };
      },
    });
  }

  presence(channel: string): Promise<readonly Member[]> {
    return this.#connection.call({ command: { action: "presence", channel }, read: ({ members }) => members });
  }

  channels(prefix?: string): Promise<readonly ChannelInfo[]> {
    return this.#connection.call({ command: { action: "channels", prefix }, read: ({ channels }) => channels });
  }

  push(push: Readonly<Record<string, unknown>>): void {
    // Both sides take the shapes from `channels.ts`, and the peer is our broker; what names no channel is for others.
    const { channel } = push as { readonly channel?: string };
    if (channel !== undefined) this.#feeds.get(channel)?.push(push as unknown as ChannelPush);
  }

  cut(): void {
    for (const feed of [...this.#feeds.values()]) feed.cut();
  }

  #open(channel: string, options: SubscribeOptions): Feed {
    const onEnd = (): void => void this.#feeds.delete(channel);
    const feed = new Feed({ connection: this.#connection, clock: this.#clock, channel, options, onEnd });
    this.#feeds.set(channel, feed);
    return feed;
  }
}
