/**
 * The vocabulary of a connection's beginning and of its session's end: who is there, what lets it in, what it goes on with.
 */
import type { Hold } from "./commands.ts";
import type { Limits } from "./limits.ts";

export interface HelloReply {
  readonly protocol: number;
  /** `resumed` false: this is a new session, and what an earlier one held is lost. */
  readonly session: { readonly id: string; readonly secret: string; readonly resumed: boolean };
  /** Everything the session holds, so that a client can let go of what it does not know of. */
  readonly holds: readonly Hold[];
  readonly broker: { readonly version: string; readonly epoch: string; readonly startedAtMs: number };
  /** On a WebSocket: how often we push `ping`, and how long we wait for `pong`. */
  readonly pingIntervalMs?: number | undefined;
  readonly pongTimeoutMs?: number | undefined;
  readonly limits: Limits;
  /** The broker's half of the mutual proof, when the client proved itself with `auth`. */
  readonly auth?: { readonly proof: string } | undefined;
}

export interface GreetingCommands {
  challenge: { request: Record<never, never>; reply: { readonly nonce: string } };
  hello: {
    request: {
      readonly protocol: number;
      readonly client?: { readonly name: string; readonly version: string } | undefined;
      readonly label?: string | undefined;
      readonly auth?: { readonly nonce: string; readonly proof: string } | undefined;
      /** What lets a WebSocket in, where there is no secret. */
      readonly token?: string | undefined;
      /** How long the session outlives its connection; 0 frees what it holds in the same turn. */
      readonly lingerMs?: number | undefined;
      /** The session to go on with, and the secret its last `hello` was answered with. */
      readonly session?: { readonly id: string; readonly secret: string } | undefined;
    };
    reply: HelloReply;
  };
  /** The session ends with this connection, whatever its `lingerMs`: its client goes for good. Without it a client could only
   *  let go at once by naming all it holds. */
  bye: { request: Record<never, never>; reply: Record<never, never> };
  /** Closes the connection of a session, to stay away, and ends it: one that lingers too. */
  kick: { request: { readonly session: string }; reply: { readonly kicked: boolean } };
}
