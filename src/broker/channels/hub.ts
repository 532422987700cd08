/**
 * Channels as connections see them: who subscribes to which, who is present, and the way of each message from the engine to
 * all of them. The engine may answer at once or later: what is published meanwhile is held and comes behind what was before.
 */

import type { HistoryReading, Publication } from "../../engine/channels.ts";
import type { Clock } from "../../engine/clock.ts";
import type { Awaitable, Engine } from "../../engine/engine.ts";
import type { ChannelInfo, Member } from "../../protocol/channels.ts";
import type { Reply, Request } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import type { Session } from "../sessions/session.ts";
import { Audience } from "./audience.ts";
import { HandOut } from "./hand-out.ts";
import { Presence } from "./presence.ts";
import { isRecovered, merged, pageOf } from "./recovery.ts";
import type { Subscriber, Subscription } from "./subscription.ts";

export class Hub {
  readonly #engine: Engine;
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #presence: Presence;
  readonly #audiences = new Map<string, Audience>();
  /** A few each: a list is a fraction of a set. */
  readonly #channelsOf = new Map<Subscriber, string[]>();
  readonly #handOut: HandOut;
  #deliveredCount = 0;

  constructor(options: { readonly engine: Engine; readonly limits: Limits; readonly clock: Clock }) {
    this.#engine = options.engine;
    this.#limits = options.limits;
    this.#clock = options.clock;
    this.#handOut = new HandOut(options.clock);
    this.#presence = new Presence({ channelsMax: options.limits.subscriptionsPerConnectionMax });
    options.engine.channels.onPublication((publication) => this.#take(publication));
  }

  /** Subscriptions of all connections. */
  get size(): number {
    let subscriptions = 0;
    for (const channels of this.#channelsOf.values()) subscriptions += channels.length;
    return subscriptions;
  }

  /** Messages handed to subscribers so far, each as often as there were. */
  get deliveredCount(): number {
    return this.#deliveredCount;
  }

  /** Tells `subscriber` every message from the reply on. What it asked of the channel before is replaced.
   *  @throws {EphemeralError} `too_many_names` past `subscriptionsPerConnectionMax` and `namesMax` */
  subscribe(subscriber: Subscriber, request: Request<"subscribe">): Awaitable<Reply<"subscribe">> {
    const { channel } = request;
    this.#requireRoom(subscriber, channel);
    if (request.presence) this.#presence.requireRoom(channel, subscriber.session);
    const attached = this.#audiences.has(channel) ? undefined : this.#engine.channels.attach(channel);
    this.#setPresence(channel, { session: subscriber.session, isPresent: request.presence ?? false });
    const subscription = this.#join(subscriber, request);
    const reading = attached instanceof Promise ? attached.then(() => this.#read(request)) : this.#read(request);
    if (!(reading instanceof Promise)) return this.#answer(subscription, request, reading);
    subscription.held = [];
    return reading.then(
      (read) => this.#answer(subscription, request, read),
      (error) => {
        // What it has asked for since goes on.
        if (this.#audiences.get(channel)?.find(subscriber) === subscription) this.unsubscribe(subscriber, channel);
        throw error;
      },
    );
  }

  /** False when `subscriber` did not subscribe to it. Its session is not present any more either way. */
  unsubscribe(subscriber: Subscriber, channel: string): boolean {
    this.#setPresence(channel, { session: subscriber.session, isPresent: false });
    return this.#leave(subscriber, channel);
  }

  /** The connection is gone, and its subscriptions with it. Where its session is present it stays so. */
  end(subscriber: Subscriber): void {
    for (const channel of [...(this.#channelsOf.get(subscriber) ?? [])]) this.#leave(subscriber, channel);
  }

  /** The session is present nowhere any more. */
  sessionEnded(session: Session): void {
    for (const channel of this.#presence.channelsOf(session.id)) {
      this.#setPresence(channel, { session, isPresent: false });
    }
  }

  membersOf(channel: string): readonly Member[] {
    return this.#presence.of(channel);
  }

  /** Hands on what was published in `channel`, now. */
  handOn(channel: string): void {
    this.#audiences.get(channel)?.handOn();
  }

  /** Hands on everything that was published, now. */
  flush(): void {
    this.#handOut.flush();
  }

  /** How many subscribe to a channel and are present there. */
  attendance(channel: string): Pick<ChannelInfo, "subscribers" | "members"> {
    return { subscribers: this.#audiences.get(channel)?.size ?? 0, members: this.#presence.count(channel) };
  }

  #join(subscriber: Subscriber, request: Request<"subscribe">): Subscription {
    const { channel, overflow = "close", group, presence: hearsMembers = false } = request;
    const audience = this.#audiences.get(channel) ?? this.#addAudience(channel);
    const before = audience.find(subscriber);
    if (before !== undefined) audience.remove(before);
    const stream = subscriber.openStream({ overflow, gap: audience.gap });
    const subscription = { subscriber, codec: subscriber.codec, stream, group, hearsMembers, held: undefined };
    audience.add(subscription);
    const channels = this.#channelsOf.get(subscriber);
    if (channels === undefined) this.#channelsOf.set(subscriber, [channel]);
    else if (!channels.includes(channel)) channels.push(channel);
    return subscription;
  }

  #addAudience(channel: string): Audience {
    const audience = new Audience({ channel, heldMax: this.#limits.historyCountMax });
    this.#audiences.set(channel, audience);
    return audience;
  }

  #leave(subscriber: Subscriber, channel: string): boolean {
    const audience = this.#audiences.get(channel);
    const subscription = audience?.find(subscriber);
    if (audience === undefined || subscription === undefined) return false;
    audience.remove(subscription);
    const channels = this.#channelsOf.get(subscriber) ?? [];
    channels.splice(channels.indexOf(channel), 1);
    if (channels.length === 0) this.#channelsOf.delete(subscriber);
    if (audience.size > 0) return true;
    this.#audiences.delete(channel);
    void this.#engine.channels.detach(channel);
    return true;
  }

  #read({ channel, recover, history = 0 }: Request<"subscribe">): Awaitable<HistoryReading> {
    const limit = recover === undefined ? history : this.#limits.historyCountMax;
    return this.#engine.channels.history({ channel, since: recover?.offset, limit });
  }

  #answer(
    subscription: Subscription,
    { channel, recover }: Request<"subscribe">,
    read: HistoryReading,
  ): Reply<"subscribe"> {
    const { held } = subscription;
    const reading = merged(
      read,
      (held ?? []).map(({ message }) => message),
    );
    const { epoch, offset } = reading;
    if (held !== undefined) {
      // A reply that comes later is said some microtasks after this, and pushes belong behind it.
      subscription.held = [];
      setImmediate(() => this.#audiences.get(channel)?.release(subscription, offset));
    }
    const recovered = recover === undefined ? undefined : isRecovered(reading, recover);
    const { codec } = subscription;
    const page = pageOf(recovered === false ? [] : reading.messages, { codec, ...this.#limits });
    return { epoch, offset, recovered, ...page };
  }

  #setPresence(
    channel: string,
    { session, isPresent }: { readonly session: Session; readonly isPresent: boolean },
  ): void {
    const member = isPresent
      ? this.#presence.join(channel, { session, nowMs: this.#clock.nowMs() })
      : this.#presence.leave(channel, session.id);
    const push = isPresent ? "join" : "leave";
    if (member !== undefined) this.#audiences.get(channel)?.tellMember({ push, channel, member });
  }

  #take(publication: Publication): number {
    const audience = this.#audiences.get(publication.channel);
    if (audience === undefined) return 0;
    const receivers = audience.take(publication);
    this.#handOut.stir(audience);
    this.#deliveredCount += receivers;
    return receivers;
  }

  #requireRoom(subscriber: Subscriber, channel: string): void {
    const { subscriptionsPerConnectionMax } = this.#limits;
    const channels = this.#channelsOf.get(subscriber);
    if (channels === undefined || channels.length < subscriptionsPerConnectionMax || channels.includes(channel)) return;
    const actual = `this connection subscribes to ${channels.length} channels, the limit`;
    throw new EphemeralError("too_many_names", `Cannot subscribe to channel ${JSON.stringify(channel)}: ${actual}`);
  }
}
