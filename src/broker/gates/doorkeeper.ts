/**
 * What a door that keeps watch is told of one connection that came by it, and by which door a peer comes at all. The pipe
 * keeps none: the kernel has looked already.
 */

import type { Wire } from "../connections/wire.ts";
import type { Door } from "../sessions/session.ts";
import type { Gate } from "./gate.ts";

/** A connection that has one begins with `hello`, and nothing else is done before. */
export interface Doorkeeper {
  /** `hello` was answered well. */
  greeted(): void;
  /** The peer has answered our ping. */
  answered(): void;
  /** What the peer showed was wrong. */
  authFailed(): void;
}

/** Who has come, and how it is spoken to. */
export interface Peer {
  readonly door: Door;
  /** Where the kernel tells it. */
  readonly pid: number | undefined;
  /** That of the pipe unless told. */
  readonly wire?: Wire;
  /** That of the pipe unless told. */
  readonly gate?: Gate;
  readonly doorkeeper?: Doorkeeper;
}
