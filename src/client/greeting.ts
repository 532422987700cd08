/**
 * The first words on a link: `hello`, and with a secret the challenge before it and the check of the broker after it.
 * Knows how to say them in order; a link carries them.
 */
import { version } from "../../package.json";
import { type HelloReply, protocolVersion, type Reply } from "../protocol/commands.ts";
import { makeClientNonce, proveClient, verifyServer } from "./authentication.ts";
import type { Outgoing } from "./call.ts";

/** Sends one command of the greeting and resolves to its reply. */
export type Exchange = <Name extends "challenge" | "hello">(command: Outgoing<Name>) => Promise<Reply<Name>>;

interface Introduction {
  readonly endpoint: string;
  readonly secret: string;
  readonly label: string | undefined;
}

/** `hello`, with our proof where there is a secret. */
export function helloCommand(label: string | undefined, auth?: Outgoing<"hello">["auth"]): Outgoing<"hello"> {
  return { action: "hello", protocol: protocolVersion, client: { name: "ephemerald", version }, label, auth };
}

/** Proves to the broker that we know the secret, and resolves once the broker has proved it to us.
 *  @throws {EphemeralError} `auth_failed`, or what the broker answers */
export async function authenticate(exchange: Exchange, introduction: Introduction): Promise<HelloReply> {
  const { endpoint, secret, label } = introduction;
  const { nonce: serverNonce } = await exchange<"challenge">({ action: "challenge" });
  const handshake = { endpoint, serverNonce, clientNonce: makeClientNonce() };
  const auth = { nonce: handshake.clientNonce, proof: await proveClient(secret, handshake) };
  const hello = await exchange<"hello">(helloCommand(label, auth));
  await verifyServer(secret, { handshake, proof: hello.auth?.proof });
  return hello;
}
