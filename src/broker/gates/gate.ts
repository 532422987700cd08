/**
 * What lets a peer in: a secret both know, a token, or nothing. A door hands each connection its gate; `admission.ts` asks it
 * and remembers the answer. Knows no command but by what `hello` shows.
 */
import type { Request } from "../../protocol/commands.ts";

/** What of `hello` is shown to a gate. */
export type Shown = Pick<Request<"hello">, "auth" | "token">;

export interface Gate {
  /** Whether the bytes of one frame prove by themselves that they may be done, whatever was shown before. */
  admits(frame: Uint8Array): boolean;

  /** Lets the peer in by what it shows, and returns what we prove to it in turn. `nonce` is that of its challenge.
   *  @throws {EphemeralError} `auth_failed` */
  enter(shown: Shown, nonce: string | undefined): string | undefined;
}

/** Whoever comes is let in: the door itself has looked already. */
export const openGate: Gate = {
  admits: () => true,
  enter: () => undefined,
};
