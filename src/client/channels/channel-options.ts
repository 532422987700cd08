/**
 * What listening to channels and publishing in them is, as callers see it. Times are milliseconds.
 */
import type { Member, Position } from "../../protocol/channels.ts";
import type { EphemeralError } from "../../protocol/errors.ts";
import type { Overflow } from "../../protocol/pushes.ts";

/** A message as its listener gets it. */
export interface ChannelMessage<Data = unknown> {
  readonly channel: string;
  /** The caller says what is published in the channel; a codec cannot tell. */
  readonly data: Data;
  /** Grows by one with each message of the channel. */
  readonly offset: number;
  /** Id of the session that published it. */
  readonly from: string | undefined;
  readonly key: string | undefined;
  readonly trace: string | undefined;
  /** Unix milliseconds at which the broker took it. */
  readonly atMs: number;
}

/** What a listener is told beside messages. */
export type ChannelEvent =
  /** The connection was lost and is back, and all that was missed has been told: so many messages, and what of it is `lost`. */
  | { readonly event: "recovered"; readonly count: number }
  /** Messages are missing here and will not come: those of these offsets, or nobody knows which. */
  | { readonly event: "lost"; readonly from: number | undefined; readonly to: number | undefined }
  /** We were too slow, and the broker dropped messages of these offsets, as the overflow says. With `to` below `from` it was
   *  a `join` or a `leave`. */
  | { readonly event: "gap"; readonly from: number; readonly to: number }
  | { readonly event: "join"; readonly member: Member }
  | { readonly event: "leave"; readonly member: Member }
  /** Nothing is told any more: the broker ended the subscription, or is gone. */
  | { readonly event: "unsubscribed"; readonly error: EphemeralError };

export interface SubscribeOptions {
  /** So many of the last messages come first; 0 unless told. */
  readonly history?: number | undefined;
  /** Where this reader stopped: it gets what it has missed since, or `lost`. Not for a second listener of a channel. */
  readonly recover?: Position | undefined;
  /** Makes this client a member of the channel, and tells who joins and leaves. */
  readonly presence?: boolean | undefined;
  /** Each message goes to one of the group, in turn. What nobody got while the connection was lost is lost. */
  readonly group?: string | undefined;
  /** What becomes of messages while we are too slow to read them. `close`, the default: the connection is lost and made anew,
   *  with everything that ends with it, and they are recovered. `gap`: they are dropped. `latest`: of each key the newest is
   *  kept. Listeners of one channel share the overflow that was asked for last. */
  readonly overflow?: Overflow | undefined;
  /** Whether the subscription lets the process end. */
  readonly unref?: boolean | undefined;
  /** Told what is not a message, in its order between them. */
  readonly onEvent?: ((event: ChannelEvent) => void) | undefined;
}

export interface Subscription {
  readonly channel: string;
  /** How far it has come, for `recover`. */
  readonly position: Position;
  /** Nothing is told any more, from this call on. Resolves once the broker knows. Idempotent. */
  unsubscribe(): Promise<void>;
}

export interface PublishOptions {
  /** What the overflow `latest` keeps the newest of. */
  readonly key?: string | undefined;
  /** This client's own subscription does not get it, unless it recovers it after a lost connection. */
  readonly exceptSelf?: boolean | undefined;
  /** Passed on as it is, for who follows a message through a system. */
  readonly trace?: string | undefined;
  /** Gives up: the promise rejects with the signal's reason at once. It may be published all the same. */
  readonly signal?: AbortSignal | undefined;
}

export interface HistoryOptions {
  /** Only messages after this offset. */
  readonly since?: number | undefined;
  /** At most so many: the oldest after `since`, without it the last. */
  readonly limit?: number | undefined;
}

/** What can still be read of a channel, oldest first. */
export interface ChannelHistory<Data = unknown> extends Position {
  readonly messages: readonly ChannelMessage<Data>[];
  /** There are more of them behind these. */
  readonly more: boolean;
}

/** Where a message went. */
export interface Publication extends Position {
  /** How many got it. */
  readonly receivers: number;
}
