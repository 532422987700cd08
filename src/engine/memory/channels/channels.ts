/**
 * The channels of one engine: makes them on first use, gives each its epoch, and forgets those that nobody has used for long.
 * Every command goes by the instant it is given, with everything swept before.
 */
import type { Limits } from "../../../protocol/limits.ts";
import type {
  ChannelEngine,
  ChannelFigures,
  ChannelStats,
  HistoryReading,
  HistoryRequest,
  PublicationListener,
  Published,
  PublishRequest,
} from "../../channels.ts";
import type { Caller } from "../../engine.ts";
import type { ExpiryHeap } from "../../expiry-heap.ts";
import { Channel, type ChannelParts } from "./channel.ts";
import { History } from "./history.ts";
import { Serials } from "./serials.ts";

/** An epoch outlives the messages it is of by so much, for whoever comes back late. */
const idleTtls = 10;

export interface ChannelsOptions {
  readonly expiries: ExpiryHeap;
  readonly limits: Limits;
  /** What every epoch begins with: no other engine's do. */
  readonly epoch: string;
  /** Throws `too_many_names` when no further name can be kept. */
  readonly requireName: (name: string) => void;
  /** The instant a command takes effect, with everything gone that ended before it. Throws where there is no engine any more. */
  readonly now: () => number;
}

export class Channels implements ChannelEngine {
  readonly #options: ChannelsOptions;
  readonly #parts: ChannelParts;
  readonly #history: History;
  readonly #serials: Serials;
  readonly #attached = new Map<string, Channel>();
  /** Those without subscribers, the one used longest ago first. */
  readonly #idle = new Map<string, Channel>();
  #listener: PublicationListener = () => 0;
  #incarnations = 0;
  #published = 0;

  constructor(options: ChannelsOptions) {
    this.#options = options;
    this.#history = new History(options);
    this.#serials = new Serials(options.limits);
    this.#parts = {
      limits: options.limits,
      history: this.#history,
      idle: (channel, nowMs) => this.#timeIsOver(channel, nowMs),
    };
  }

  publish(request: PublishRequest, caller: Caller): Published {
    const atMs = this.#options.now();
    const { serial, exceptSelf } = request;
    const before = serial === undefined ? undefined : this.#serials.find(caller.id, serial);
    if (before !== undefined) return before;
    const channel = this.#use(request.channel, atMs);
    const message = channel.publish(request, { from: caller.id, atMs });
    this.#published++;
    const receivers = this.#listener({ channel: request.channel, message, exceptSelf });
    const answer = { epoch: channel.epoch, offset: message.offset, receivers };
    if (serial !== undefined) this.#serials.note(caller.id, { serial, answer });
    return answer;
  }

  history(request: HistoryRequest): HistoryReading {
    const channel = this.#use(request.channel, this.#options.now());
    return { epoch: channel.epoch, offset: channel.offset, messages: channel.read(request) };
  }

  attach(name: string): void {
    const nowMs = this.#options.now();
    if (this.#attached.has(name)) return;
    this.#options.requireName(name);
    const channel = this.#idle.get(name) ?? this.#make(name, nowMs);
    this.#idle.delete(name);
    this.#options.expiries.remove(channel);
    this.#attached.set(name, channel);
  }

  detach(name: string): void {
    const nowMs = this.#options.expiries.sweep();
    const channel = this.#attached.get(name);
    if (channel === undefined) return;
    this.#attached.delete(name);
    channel.usedAtMs = nowMs;
    this.#remember(channel);
  }

  list({ prefix, limit }: { readonly prefix: string; readonly limit: number }): readonly ChannelFigures[] {
    this.#options.now();
    return [...this.#attached.values(), ...this.#idle.values()]
      .filter(({ name }) => name.startsWith(prefix))
      .slice(0, limit)
      .map(({ name, epoch, offset, count, bytes }) => ({ channel: name, epoch, offset, messages: count, bytes }));
  }

  onPublication(listener: PublicationListener): void {
    this.#listener = listener;
  }

  /** Names that subscribers keep; the others have a bound of their own. */
  get namesCount(): number {
    return this.#attached.size;
  }

  get stats(): ChannelStats {
    return {
      channels: this.#attached.size + this.#idle.size,
      messages: this.#history.count,
      bytes: this.#history.bytes,
      published: this.#published,
    };
  }

  endSession(sessionId: string): void {
    this.#serials.endSession(sessionId);
  }

  clear(): void {
    this.#attached.clear();
    this.#idle.clear();
    this.#history.clear();
    this.#serials.clear();
  }

  #use(name: string, nowMs: number): Channel {
    const attached = this.#attached.get(name);
    if (attached !== undefined) return attached;
    const idle = this.#idle.get(name);
    if (idle === undefined) {
      const made = this.#make(name, nowMs);
      this.#remember(made);
      return made;
    }
    this.#idle.delete(name);
    this.#idle.set(name, idle);
    return idle;
  }

  #make(name: string, nowMs: number): Channel {
    const epoch = `${this.#options.epoch}.${++this.#incarnations}`;
    return new Channel(this.#parts, { name, epoch, usedAtMs: nowMs });
  }

  #remember(channel: Channel): void {
    this.#idle.set(channel.name, channel);
    this.#options.expiries.set(channel, this.#idleUntilMs(channel));
    if (this.#idle.size <= this.#options.limits.channelsRemembered) return;
    for (const usedLongestAgo of this.#idle.values()) {
      this.#forget(usedLongestAgo);
      return;
    }
  }

  #idleUntilMs({ usedAtMs }: Channel): number {
    return usedAtMs + idleTtls * this.#options.limits.historyTtlMs;
  }

  /** A deadline is not moved with each message: only here it is seen whether it was the last. */
  #timeIsOver(channel: Channel, nowMs: number): void {
    const untilMs = this.#idleUntilMs(channel);
    if (untilMs <= nowMs) this.#forget(channel);
    else this.#options.expiries.set(channel, untilMs);
  }

  #forget(channel: Channel): void {
    this.#options.expiries.remove(channel);
    this.#idle.delete(channel.name);
    channel.forget();
  }
}
