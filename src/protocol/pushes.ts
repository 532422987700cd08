/**
 * What the broker says unasked, and what a slow reader wants done with it. Only on connections that said `hello` or asked
 * for pushes.
 */
import type { ChannelPush } from "./channels.ts";
import type { EventPush, RequestPush } from "./requests.ts";

/** The connection is about to be closed by the broker. */
export interface ClosingPush {
  readonly push: "closing";
  readonly code: number;
  readonly reason: string;
  readonly retryAfterMs?: number;
}

export type KeyEventKind = "set" | "del" | "expired";

/** What has become of a key. `version` is the one it stands at, or stood at last. */
export interface KeyEvent {
  readonly key: string;
  readonly event: KeyEventKind;
  readonly version: number;
}

export interface KeyPush extends KeyEvent {
  readonly push: "key";
}

/** What becomes of pushes to a slow reader. `close`: the connection closes. `gap`: they are dropped, and counted. `latest`:
 *  the newest of each key is kept, the others are dropped, and counted. */
export type Overflow = "close" | "gap" | "latest";

/** So many pushes by a watch of `prefix` are missing, here in their order. */
export interface GapPush {
  readonly push: "gap";
  readonly prefix: string;
  readonly dropped: number;
}

export type Push = ClosingPush | KeyPush | GapPush | EventPush | RequestPush | ChannelPush;
