/**
 * The shapes of rate limits, barriers and work queues: what is asked, what is told of a job, and what a session holds of
 * them. `commands.ts` gathers all commands. Durations are milliseconds, instants (`…AtMs`) Unix milliseconds.
 */
import type { Encoded, WaitMs } from "./commands.ts";

/** A job as it is pushed. */
export interface JobInput {
  /** Pushed again it counts once, also when it is done already. Without one the queue gives it a number of its own. */
  readonly id?: string | undefined;
  readonly data: unknown;
  /** Higher ones are taken first; 0 unless told. */
  readonly priority?: number | undefined;
}

/** A job as it is taken. */
export interface TakenJob {
  readonly id: string;
  readonly data: unknown;
  /** How often it has been taken, this time included. */
  readonly attempt: number;
  /** Says which taking is meant in `queue.ack`, `queue.nack` and `queue.renew`. */
  readonly fence: number;
  /** When it goes back to the queue, unless it is renewed; absent: when the session ends. */
  readonly expiresAtMs?: number | undefined;
}

/** A job that has failed too often. */
export interface DeadJob {
  readonly id: string;
  readonly data: unknown;
  readonly attempts: number;
  /** Why the last attempt failed. */
  readonly reason: string;
  /** Who had it then. */
  readonly label: string;
}

export interface QueueCounts {
  /** Jobs to be taken, those that wait for their delay among them. */
  readonly depth: number;
  /** Jobs that somebody has taken. */
  readonly inFlight: number;
  readonly dead: number;
  /** Jobs that were acked so far. */
  readonly done: number;
  /** Whether no new jobs can come. */
  readonly closed: boolean;
}

export interface QueueInfo extends QueueCounts {
  /** Commands that wait for a job. */
  readonly waiting: number;
  /** The first dead ones, as many as `whyListedMax` and a frame have room for. */
  readonly deadJobs: readonly DeadJob[];
}

/** A job a session has taken; `id` is the queue's name. */
export interface JobHold {
  readonly kind: "job";
  readonly id: string;
  readonly job: string;
  readonly fence: number;
  readonly expiresAtMs?: number | undefined;
}

/** A session that is a party of a barrier: it waits there, said that it will come, or was there when it opened last. */
export interface BarrierHold {
  readonly kind: "barrier";
  /** The barrier's name. */
  readonly id: string;
  readonly fence: number;
}

export interface LimitGrant {
  /** What may still be taken now. */
  readonly remaining: number;
  /** From when on all of it may be taken, if nobody takes more. */
  readonly resetAtMs: number;
}

/** The commands of rate limits, barriers and queues, a part of `CommandMap`. */
export interface SharingCommands {
  limit: {
    request: {
      readonly key: string;
      /** So much in any `windowMs` milliseconds. All who use a key give the same two numbers. */
      readonly limit: number;
      readonly windowMs: number;
      /** What this takes of it; 1 unless told. */
      readonly cost?: number | undefined;
      readonly waitMs?: WaitMs | undefined;
    };
    reply: LimitGrant;
  };
  /** Nobody passes the limit for so long, whoever was told so. */
  "limit.penalize": { request: { readonly key: string; readonly forMs: number }; reply: Record<never, never> };
  /** Answers all when `parties` have come, and is ready for the next time. */
  barrier: {
    request: {
      readonly key: string;
      readonly parties: number;
      readonly waitMs?: WaitMs | undefined;
      /** Only says that this session will come, and does not wait: its end before it comes breaks the barrier for the others. */
      readonly join?: boolean | undefined;
    };
    /** How many came before. */
    reply: { readonly index: number };
  };
  "queue.push": {
    request: {
      readonly queue: string;
      readonly items: readonly JobInput[];
      /** Closes the queue behind these jobs, as `queue.close` does. */
      readonly closes?: boolean | undefined;
    };
    /** How many of them are new. */
    reply: { readonly count: number };
  };
  "queue.take": {
    request: {
      readonly queue: string;
      /** At most so many; it waits for the first only. */
      readonly count?: number | undefined;
      /** The jobs go back unless they are acked or renewed within this time. Without it they are kept until the session ends. */
      readonly ackMs?: number | undefined;
      /** `ttl`, with `ackMs` only: the end of the session does not give them back, and anybody who knows the fence acks them. */
      readonly scope?: "session" | "ttl" | undefined;
      readonly waitMs?: WaitMs | undefined;
    };
    /** Without jobs that the connection's codec cannot carry, which stay where they are for others; `bad_command` or `invalid_json`
     *  where there are only such. `done`: the queue is closed, and nothing is left that could still come back. */
    reply: { readonly jobs: readonly TakenJob[] | Encoded; readonly done?: true | undefined };
  };
  "queue.ack": {
    request: { readonly queue: string; readonly job: string; readonly fence: number };
    reply: Record<never, never>;
  };
  "queue.nack": {
    request: {
      readonly queue: string;
      readonly job: string;
      readonly fence: number;
      /** It can be taken again only then. */
      readonly delayMs?: number | undefined;
      readonly reason?: string | undefined;
      /** It goes back unharmed: this attempt does not count. */
      readonly pass?: boolean | undefined;
    };
    reply: Record<never, never>;
  };
  "queue.renew": {
    request: { readonly queue: string; readonly job: string; readonly fence: number; readonly ackMs: number };
    reply: { readonly expiresAtMs: number };
  };
  /** No new jobs; what is there is still taken. */
  "queue.close": { request: { readonly queue: string }; reply: QueueCounts };
  "queue.info": {
    request: { readonly queue: string };
    reply: QueueCounts & { readonly waiting: number; readonly deadJobs: readonly DeadJob[] | Encoded };
  };
}
