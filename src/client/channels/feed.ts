/**
 * One channel as this client follows it: its one subscription at the broker, made anew on each new connection, and all who
 * listen to it. `continuity.ts` decides what they are told; nothing that belongs to an earlier connection reaches it.
 */
import type { ChannelPush, Message, Position } from "../../protocol/channels.ts";
import { mayReconnect } from "../../protocol/errors.ts";
import { EphemeralError } from "../client.ts";
import type { ClientClock } from "../client-clock.ts";
import type { Connection } from "../connection/connection.ts";
import { closeOf } from "../connection/loss.ts";
import type { ChannelEvent, ChannelMessage, SubscribeOptions } from "./channel-options.ts";
import { Continuity, pageOf, type Told, type Wish } from "./continuity.ts";

export interface Listener {
  readonly handler: (message: ChannelMessage) => void;
  readonly options: SubscribeOptions;
  /** Keeps the process alive no longer. */
  readonly letGo: (() => void) | undefined;
  /** Messages up to this offset are not for it; all of them while it has not begun. */
  after: number;
}

export interface FeedParts {
  readonly connection: Connection;
  readonly clock: ClientClock;
  readonly channel: string;
  /** What the first listener wants. */
  readonly options: SubscribeOptions;
  /** It is over. */
  readonly onEnd: () => void;
}

/** Where the broker cannot be reached, or refuses for now, it is asked again so often. */
const askAgainMs = 1000;

export class Feed {
  readonly #parts: FeedParts;
  readonly #listeners = new Set<Listener>();
  readonly #continuity: Continuity;
  #wire: Pick<SubscribeOptions, "presence" | "group" | "overflow">;
  /** Counts what was asked for: answers to what was asked before are nobody's. */
  #generation = 0;
  /** Whether the broker has answered on this connection. */
  #isOpen = false;
  #isOver = false;
  #opening: Promise<void>;

  constructor(parts: FeedParts) {
    const { presence, group, overflow, recover, history } = parts.options;
    this.#parts = parts;
    this.#wire = { presence, group, overflow };
    this.#continuity = new Continuity((told) => this.#tell(told), { position: recover, isGroup: group !== undefined });
    this.#opening = this.#subscribe({ recover, history });
  }

  get position(): Position | undefined {
    return this.#continuity.position;
  }

  /** Lets `listener` hear the channel, the first from what it asked for on, another from now on or from the history on.
   *  @throws {EphemeralError} what the broker answers, `bad_command` for what does not go with those who listen already */
  async add(listener: Listener): Promise<void> {
    const isFirst = this.#listeners.size === 0;
    if (!isFirst) this.#assertFits(listener.options);
    this.#listeners.add(listener);
    try {
      if (isFirst) listener.after = 0;
      await this.#opening;
      if (isFirst) return;
      this.#fit(listener.options.overflow);
      await this.#opening;
      await this.#begin(listener);
    } catch (error) {
      if (isFirst) {
        this.#end();
        if (isUnanswered(error)) void this.#unsubscribe();
      }
      void this.remove(listener);
      throw error;
    }
  }

  /** Tells the broker when it was the last, or the last who wanted what it wanted. Where it cannot be told, there is nothing to
   *  tell. */
  async remove(listener: Listener): Promise<void> {
    if (!this.#listeners.delete(listener)) return;
    listener.letGo?.();
    if (this.#isOver) return;
    if (this.#listeners.size === 0) {
      this.#end();
      await this.#unsubscribe();
    } else if (this.#wire.group === undefined && this.#fit()) await this.#opening.catch(() => {});
  }

  push(push: ChannelPush): void {
    if (push.push === "message") this.#follow(this.#continuity.message(push));
    else if (push.push === "skip") this.#follow(this.#continuity.skip(push.offset));
    else if (push.push === "gap") this.#follow(this.#continuity.gap(push));
    else if (push.push === "join" || push.push === "leave") this.#hear({ event: push.push, member: push.member });
    else if (push.push === "unsubscribed") this.#unsubscribed({ ...push });
  }

  /** The connection is gone: the channel is asked for on the next. */
  cut(): void {
    this.#continuity.cut();
    // One that is being asked for is asked for again by the connection itself.
    if (this.#isOpen) this.#resubscribe();
  }

  #subscribe(start: Pick<SubscribeOptions, "recover" | "history">): Promise<void> {
    const generation = ++this.#generation;
    this.#isOpen = false;
    const { channel, connection } = this.#parts;
    const command = { action: "subscribe", channel, ...start, ...this.#wire } as const;
    return connection.call({
      command,
      read: (reply) => {
        if (generation !== this.#generation) return;
        this.#isOpen = true;
        this.#follow(this.#continuity.opened(pageOf(reply)));
      },
    });
  }

  #resubscribe(): void {
    this.#continuity.reopen();
    this.#opening = this.#subscribe({ recover: this.#continuity.recover });
    this.#watch(this.#opening);
  }

  async #unsubscribe(): Promise<void> {
    const command = { action: "unsubscribe", channel: this.#parts.channel } as const;
    await this.#parts.connection.call({ command }).catch(() => {});
  }

  #page(): void {
    const generation = this.#generation;
    const command = { action: "history", channel: this.#parts.channel, since: this.position?.offset } as const;
    const paging = this.#parts.connection.call({
      command,
      read: (reply) => {
        if (generation === this.#generation) this.#follow(this.#continuity.page(pageOf(reply)));
      },
    });
    this.#watch(paging);
  }

  #follow(wish: Wish): void {
    if (wish === "subscribe") this.#resubscribe();
    else if (wish === "page") this.#page();
  }

  /** What was asked for may fail. Over a pipe the broker is gone for good then, as is the run; over the network it may be back
   *  at any time. */
  #watch(asked: Promise<void>): void {
    const generation = this.#generation;
    asked.catch((error: EphemeralError) => {
      if (generation !== this.#generation) return;
      const { connection, clock } = this.#parts;
      if (!connection.isPatient || !error.retryable || connection.state === "closed") {
        if (this.#isOpen || isUnanswered(error)) void this.#unsubscribe();
        this.#over(error);
        return;
      }
      const alarm = (): void => {
        if (generation === this.#generation) this.#resubscribe();
      };
      clock.after(askAgainMs, { alarm, keepsAlive: true });
    });
  }

  #unsubscribed(push: Readonly<Record<string, unknown>> & { readonly code: number; readonly reason: string }): void {
    if (!this.#isOpen) return;
    if (mayReconnect(push.code)) {
      this.#continuity.cut();
      this.#resubscribe();
      return;
    }
    const { error } = closeOf(push);
    const text = `The broker ended the subscription of "${this.#parts.channel}": ${push.reason} (${push.code})`;
    this.#over(new EphemeralError(error.code, text, { details: error.details }));
  }

  /** Ended by others; by the caller himself, who closed the client, it says nothing. */
  #over(error: EphemeralError): void {
    const listeners = [...this.#listeners];
    this.#end();
    this.#listeners.clear();
    for (const { letGo } of listeners) letGo?.();
    if (error.code === "cancelled") return;
    for (const listener of listeners) hand(listener.options.onEvent, { event: "unsubscribed", error });
  }

  #end(): void {
    this.#isOver = true;
    this.#generation++;
    this.#parts.onEnd();
  }

  #assertFits({ group, recover }: SubscribeOptions): void {
    const { channel } = this.#parts;
    if (group !== this.#wire.group) {
      throw new EphemeralError(
        "bad_command",
        `Cannot subscribe to "${channel}": wanted the group of those who listen already, ${this.#wire.group ?? "none"}, got ${group ?? "none"}`,
      );
    }
    if (recover === undefined) return;
    throw new EphemeralError(
      "bad_command",
      `Cannot subscribe to "${channel}": wanted no position, as somebody listens already, got ${recover.offset}`,
    );
  }

  /** Asks for what those who listen now want, and says whether it was something else before. Of a group nobody recovers what
   *  comes meanwhile: who joins it must ask, who leaves need not. */
  #fit(overflow = this.#wire.overflow): boolean {
    const presence = [...this.#listeners].some(({ options }) => options.presence);
    if (presence === (this.#wire.presence ?? false) && overflow === this.#wire.overflow) return false;
    this.#wire = { ...this.#wire, presence, overflow };
    this.#resubscribe();
    return true;
  }

  /** Lets a later listener hear what the first hears, behind the history it wants. */
  async #begin(listener: Listener): Promise<void> {
    const { connection, channel } = this.#parts;
    const { history: limit = 0 } = listener.options;
    if (limit === 0) listener.after = this.#wire.group === undefined ? (this.position?.offset ?? 0) : 0;
    let since: number | undefined;
    while (listener.after === Number.POSITIVE_INFINITY && this.#listeners.has(listener)) {
      const page = since === undefined ? { limit } : { since };
      await connection.call({
        command: { action: "history", channel, ...page },
        read: (reply) => {
          const { messages, offset, more } = pageOf(reply);
          for (const message of messages) {
            if (!this.#listeners.has(listener) || connection.state === "closed") return;
            hand(listener.handler, this.#read(message));
          }
          const last = messages.at(-1)?.offset ?? offset;
          since = last;
          // What was told to the others meanwhile is read, too.
          if (!more && (this.position?.offset ?? 0) <= last) listener.after = offset;
        },
      });
    }
  }

  #tell(told: Told): void {
    if (told.event !== "message") {
      this.#hear(told);
      return;
    }
    const message = this.#read(told.message);
    for (const listener of this.#listeners) {
      if (message.offset > listener.after) hand(listener.handler, message);
    }
  }

  #hear(event: ChannelEvent): void {
    const isOfMembers = event.event === "join" || event.event === "leave";
    for (const listener of this.#listeners) {
      const hasBegun = listener.after < Number.POSITIVE_INFINITY && (listener.options.presence || !isOfMembers);
      // Offsets count anew.
      if (hasBegun && event.event === "lost" && event.to === undefined) listener.after = 0;
      if (hasBegun) hand(listener.options.onEvent, event);
    }
  }

  #read(message: Message): ChannelMessage {
    return readMessage(this.#parts.connection, { channel: this.#parts.channel, message });
  }
}

/** Whether the broker may have subscribed us all the same, and be about to answer. */
function isUnanswered(error: unknown): boolean {
  return error instanceof EphemeralError && error.code === "timeout";
}

/** A message as callers get it. */
export function readMessage(
  { codec }: Pick<Connection, "codec">,
  { channel, message }: { readonly channel: string; readonly message: Message },
): ChannelMessage {
  const { data, offset, from, key, trace, atMs } = message;
  return { channel, data: codec.fromMember(data), offset, from, key, trace, atMs };
}

/** What a listener throws is its own: it ends no connection, and is not lost either. */
function hand<Told>(listener: ((told: Told) => void) | undefined, told: Told): void {
  try {
    listener?.(told);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
