/**
 * What the client says of itself, in its first words on a link. What a secret asks for beside them is told apart.
 */
import { version } from "../../../package.json";
import { protocolVersion } from "../../protocol/commands.ts";
import type { Outgoing } from "./call.ts";

/** What the client says of itself. */
export interface Introduction {
  readonly label: string | undefined;
  readonly token?: string | undefined;
  readonly lingerMs?: number | undefined;
  /** The session to go on with. */
  readonly session?: { readonly id: string; readonly secret: string } | undefined;
}

/** `hello`, with our proof where there is a secret. */
export function helloCommand(introduction: Introduction, auth?: Outgoing<"hello">["auth"]): Outgoing<"hello"> {
  const { label, token, lingerMs, session } = introduction;
  const client = { name: "ephemerald", version };
  return { action: "hello", protocol: protocolVersion, client, label, lingerMs, session, token, auth };
}
