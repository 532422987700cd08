/**
 * The shapes of direct messages and requests: something said to a session, and something asked of whoever serves a method
 * and answered once. `commands.ts` gathers all commands. Durations are milliseconds.
 */
import type { WaitMs } from "./commands.ts";

/** Either all sessions of a user or one session. */
export type Addressee = { readonly user: string } | { readonly session: string };

/** The commands of direct messages and requests, a part of `CommandMap`. */
export interface RequestCommands {
  /** Says something to sessions themselves. It is kept for nobody: who has no connection now does not get it. */
  send: {
    request: { readonly to: Addressee; readonly event: string; readonly data: unknown };
    /** Sessions it was handed to. */
    reply: { readonly receivers: number };
  };
  /** This session answers requests of `method`, until it ends or says `stop`; what it was asked before that it may still answer.
   *  Several sessions share a method: the one with the fewest unanswered requests is asked, and in turn where they have the
   *  same. Saying it again changes nothing. */
  serve: {
    request: { readonly method: string; readonly stop?: boolean | undefined };
    reply: Record<never, never>;
  };
  request: {
    request: {
      readonly method: string;
      readonly data: unknown;
      /** Only this session may answer. */
      readonly to?: { readonly session: string } | undefined;
      /** For somebody who serves it and for the answer together. Without it somebody has to serve it now, and may take as long as
       *  the connection lives. */
      readonly waitMs?: WaitMs | undefined;
    };
    reply: { readonly data: unknown };
  };
  /** Answers the request that was pushed with this number: with data, or saying why not. False when nobody waits for it any
   *  more, and when another session was asked. */
  respond: {
    request:
      | { readonly request: number; readonly data: unknown }
      | { readonly request: number; readonly failure: string };
    reply: { readonly responded: boolean };
  };
}

/** A direct message. */
export interface EventPush {
  readonly push: "event";
  readonly event: string;
  readonly data: unknown;
  /** Id of the session that said it: over plain HTTP one of its own, which has ended. */
  readonly from?: string | undefined;
}

/** Somebody asks; `respond` answers under the same number. No number is ever given twice, but one that is unanswered is pushed
 *  again when its session is resumed: the push, or the answer, may have been lost. */
export interface RequestPush {
  readonly push: "request";
  readonly request: number;
  readonly method: string;
  readonly data: unknown;
  readonly from: string;
}
