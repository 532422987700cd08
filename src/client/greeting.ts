/**
 * The first words on a link: `hello`, and with a secret the challenge before it and the check of the broker after it.
 * Knows how to say them in order; a link carries them.
 */
import { version } from "../../package.json";
import { type HelloReply, protocolVersion, type Reply } from "../protocol/commands.ts";
import type { Outgoing } from "./call.ts";

/** Sends one command of the greeting and resolves to its reply. */
export type Exchange = <Name extends "challenge" | "hello">(command: Outgoing<Name>) => Promise<Reply<Name>>;

/** What the client says of itself. */
export interface Introduction {
  readonly label: string | undefined;
  readonly lingerMs?: number | undefined;
  /** The session to go on with. */
  readonly session?: { readonly id: string; readonly secret: string } | undefined;
}

/** `hello`, with our proof where there is a secret. */
export function helloCommand(introduction: Introduction, auth?: Outgoing<"hello">["auth"]): Outgoing<"hello"> {
  const { label, lingerMs, session } = introduction;
  const client = { name: "ephemerald", version };
  return { action: "hello", protocol: protocolVersion, client, label, lingerMs, session, auth };
}

/** Proves to the broker that we know the secret, and resolves once the broker has proved it to us.
 *  @throws {EphemeralError} `auth_failed`, or what the broker answers */
export async function authenticate(
  exchange: Exchange,
  { endpoint, secret, introduction }: { endpoint: string; secret: string; introduction: Introduction },
): Promise<HelloReply> {
  const { makeClientNonce, proveClient, verifyServer } = await import("./authentication.ts");
  const { nonce: serverNonce } = await exchange<"challenge">({ action: "challenge" });
  const handshake = { endpoint, serverNonce, clientNonce: makeClientNonce() };
  const auth = { nonce: handshake.clientNonce, proof: await proveClient(secret, handshake) };
  const hello = await exchange<"hello">(helloCommand(introduction, auth));
  await verifyServer(secret, { handshake, proof: hello.auth?.proof });
  return hello;
}
