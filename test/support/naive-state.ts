/** What the naive engine keeps, as plain records; and how a command speaks to it. */

export type Outcome = string | object;

/** When something ends; ties end in the order their deadlines were set. */
export interface Ending {
  endsAtMs: number;
  order: number;
}
export interface Item extends Ending {
  readonly key: string;
  value: string;
  version: number;
  ttlMs: number;
  /** The session it ends with, and since when it is its. */
  owner: string | undefined;
  sinceAtMs: number;
}
export interface Lease extends Ending {
  readonly key: string;
  readonly worker: string;
  readonly value: number;
  readonly fence: number;
  readonly session: string;
  readonly sinceAtMs: number;
  scope: string;
  isOrphan: boolean;
}
export interface Turn {
  readonly key: string;
  readonly session: string;
  readonly fence: number;
  readonly sinceAtMs: number;
}
export interface Failure extends Ending {
  readonly key: string;
}
export interface LeaseStep {
  readonly key: string;
  readonly worker: string;
  readonly ttlMs: number;
  readonly size: number | undefined;
  readonly scope: "ttl" | "session" | undefined;
}
export interface Wait extends Ending {
  readonly command: number;
  readonly action: "get" | "lease" | "once";
  readonly key: string;
  readonly session: string;
  readonly sinceAtMs: number;
  readonly lease: LeaseStep | undefined;
}
/** Who asks, with which number, and how long it waits. */
export interface Asking {
  readonly command: number;
  readonly session: string;
  readonly waitMs: number;
}
