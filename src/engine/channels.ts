/**
 * The contract of channels, a part of every engine's: who a message is handed to is not the engine's business, but what its
 * place is, and for how long it can be read again. `test/engine/contract/channels.ts` checks it.
 *
 * Order: a channel's messages have one order, that of their offsets, and are told in it.
 * Epochs: an offset means something within its epoch alone. A channel that is forgotten and used again has another one.
 */
import type { Position } from "../protocol/channels.ts";
import type { EncodedValue } from "../protocol/commands.ts";
import type { Awaitable, Caller } from "./engine.ts";

/** A message as it is kept. */
export interface KeptMessage {
  readonly offset: number;
  readonly data: EncodedValue;
  readonly from: string | undefined;
  readonly key: string | undefined;
  readonly trace: string | undefined;
  readonly atMs: number;
}

export interface PublishRequest {
  readonly channel: string;
  readonly data: EncodedValue;
  /** Counts what its session publishes; undefined: never said again. */
  readonly serial: number | undefined;
  readonly key: string | undefined;
  readonly trace: string | undefined;
  /** Whether its own session is not to have it. */
  readonly exceptSelf: boolean;
}

export interface Publication {
  readonly channel: string;
  readonly message: KeptMessage;
  readonly exceptSelf: boolean;
}

/** Returns how many the message is handed to. */
export type PublicationListener = (publication: Publication) => number;

export interface Published extends Position {
  readonly receivers: number;
}

export interface HistoryRequest {
  readonly channel: string;
  /** Messages after this offset; undefined: the last `limit`. Oldest first in either case. */
  readonly since: number | undefined;
  readonly limit: number;
}

export interface HistoryReading extends Position {
  /** Without a hole between them; the first may come later than `since` asks, where older ones are forgotten. */
  readonly messages: readonly KeptMessage[];
}

export interface ChannelFigures extends Position {
  readonly channel: string;
  readonly messages: number;
  readonly bytes: number;
}

export interface ChannelStats {
  readonly channels: number;
  /** Messages of all histories, and their bytes. */
  readonly messages: number;
  readonly bytes: number;
  /** Messages published so far. */
  readonly published: number;
}

export interface ChannelEngine {
  /** Gives the message the next offset of its channel, keeps it within the bounds of history, and tells the listener, all in
   *  one. A serial that its session has said before is answered as it was then, and nothing is published.
   *  @throws {EphemeralError} `bad_command` for a serial older than those that are remembered */
  publish(request: PublishRequest, caller: Caller): Awaitable<Published>;

  /** What can still be read of a channel, and how far it has come. */
  history(request: HistoryRequest): Awaitable<HistoryReading>;

  /** The channel's epoch is kept from now on, whatever becomes of its messages, until `detach`.
   *  @throws {EphemeralError} `too_many_names` */
  attach(channel: string): Awaitable<void>;

  /** Nobody here subscribes any more: ten times `historyTtlMs` after this, or after its last message, the channel is
   *  forgotten, and before that when more than `channelsRemembered` have been used since. */
  detach(channel: string): Awaitable<void>;

  /** Channels that begin with `prefix`, at most `limit`. */
  list(request: { readonly prefix: string; readonly limit: number }): Awaitable<readonly ChannelFigures[]>;

  /** Tells `listener`, the only one, of each message from now on, in the call that publishes it. It must not throw, nor call
   *  the engine. */
  onPublication(listener: PublicationListener): void;
}
