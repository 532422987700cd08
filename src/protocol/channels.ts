/**
 * The vocabulary of channels. A channel has an epoch, random for each of its incarnations, and an
 * offset that grows by one with each message, from 1: all subscribers see one order, and each can tell what it has missed.
 */
import type { Encoded } from "./commands.ts";
import type { Overflow } from "./pushes.ts";

/** How far a reader has come: everything up to `offset` in `epoch` is known to it. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** One message of a channel, as history gives it and as `message` pushes it. */
export interface Message {
  readonly offset: number;
  readonly data: unknown;
  /** Id of the session that published it: over plain HTTP one of its own, which has ended. */
  readonly from?: string | undefined;
  /** What the overflow `latest` keeps the newest of. */
  readonly key?: string | undefined;
  /** Passed on as it came, for who follows a message through a system. */
  readonly trace?: string | undefined;
  /** When the broker took it. */
  readonly atMs: number;
}

/** A session that is present in a channel. */
export interface Member {
  readonly session: string;
  readonly user?: string | undefined;
  readonly label?: string | undefined;
  readonly joinedAtMs: number;
}

/** What a channel is at the moment. */
export interface ChannelInfo {
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
  readonly subscribers: number;
  readonly members: number;
  /** Messages of its history, and their bytes. */
  readonly messages: number;
  readonly bytes: number;
}

export interface ChannelCommands {
  /** Tells this connection every message of `channel` from the reply on. Subscribing again replaces what was asked before. Ends
   *  with its connection, but for the presence, which is the session's. */
  subscribe: {
    request: {
      readonly channel: string;
      /** Where the reader stopped: it gets all messages since, or is told that it cannot. */
      readonly recover?: Position | undefined;
      /** Without `recover`, so many of the last messages. */
      readonly history?: number | undefined;
      /** Joins the members, until `unsubscribe` or the end of the session, and is told who joins and leaves. */
      readonly presence?: boolean | undefined;
      /** Each message goes to one subscriber of the group, in turn. Without offset check and without recovery. */
      readonly group?: string | undefined;
      /** `close` unless told. */
      readonly overflow?: Overflow | undefined;
    };
    reply: Position & {
      /** With `recover` only. True: `messages` has all that was missed, up to `offset`. False: none, and some are lost. */
      readonly recovered?: boolean | undefined;
      /** Without those that the connection's codec cannot carry, in whose place a `gap` is pushed: an offset that is passed over
       *  tells of one. */
      readonly messages: readonly Message[] | Encoded;
      /** These were not all up to `offset`: `history` gives the rest, while newer ones are pushed already, which it may give
       *  once more. */
      readonly more?: true | undefined;
    };
  };
  unsubscribe: {
    request: { readonly channel: string };
    reply: { readonly unsubscribed: boolean };
  };
  publish: {
    request: {
      readonly channel: string;
      readonly data: unknown;
      /** Counts the publications of the session from 1: a repeated one is answered as the first was, and not published again. */
      readonly serial?: number | undefined;
      readonly key?: string | undefined;
      /** The session's own subscription gets `skip` instead. */
      readonly exceptSelf?: boolean | undefined;
      readonly trace?: string | undefined;
    };
    reply: Position & {
      /** How many it was handed to. */
      readonly receivers: number;
    };
  };
  history: {
    request: {
      readonly channel: string;
      /** Messages after this offset, oldest first; without it the last `limit`, oldest first too. */
      readonly since?: number | undefined;
      readonly limit?: number | undefined;
    };
    reply: Position & { readonly messages: readonly Message[] | Encoded; readonly more?: true | undefined };
  };
  presence: {
    request: { readonly channel: string };
    reply: { readonly members: readonly Member[] };
  };
  /** Those that have subscribers, history or an offset that is remembered, by name. */
  channels: {
    request: { readonly prefix?: string | undefined };
    reply: {
      readonly channels: readonly ChannelInfo[];
      /** There are others: a longer prefix finds them. */
      readonly more?: true | undefined;
    };
  };
}

export interface MessagePush extends Message {
  readonly push: "message";
  readonly channel: string;
}

/** Messages of these offsets, both ends included, are missing here. With the overflow `latest` those of them that were kept
 *  follow, in their order, after this gap or after the next: each has a higher offset than the message before it. Where `to` is less than `from` no message is missing, but a `join` or a `leave`. */
export interface ChannelGapPush {
  readonly push: "gap";
  readonly channel: string;
  readonly from: number;
  readonly to: number;
}

/** The message of this offset is not for this session: it published it itself and wanted it so. */
export interface SkipPush {
  readonly push: "skip";
  readonly channel: string;
  readonly offset: number;
}

export interface MemberPush {
  readonly push: "join" | "leave";
  readonly channel: string;
  readonly member: Member;
}

/** The broker has ended a subscription. */
export interface UnsubscribedPush {
  readonly push: "unsubscribed";
  readonly channel: string;
  readonly code: number;
  readonly reason: string;
}

/** The broker asks for `pong` and closes a WebSocket that gives none in time. */
export interface PingPush {
  readonly push: "ping";
}

export type ChannelPush = MessagePush | ChannelGapPush | SkipPush | MemberPush | UnsubscribedPush | PingPush;
