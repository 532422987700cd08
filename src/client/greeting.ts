/**
 * The first words on a link: `hello`, and with a secret the challenge before it and the check of the broker after it.
 * Knows how to say them in order; a link carries them.
 */
import { version } from "../../package.json";
import { type HelloReply, protocolVersion, type Reply } from "../protocol/commands.ts";
import { makeClientNonce, proveClient, verifyServer } from "./authentication.ts";
import type { Outgoing } from "./call.ts";

export interface Introduction {
  readonly endpoint: string;
  readonly secret: string | undefined;
  readonly label: string | undefined;
}

/** Sends one command of the greeting and resolves to its reply. */
export type Exchange = <Name extends "challenge" | "hello">(command: Outgoing<Name>) => Promise<Reply<Name>>;

/** Says `hello`, within this call when there is no secret. Resolves once the broker has answered and, with a secret, proved
 *  that it knows it too.
 *  @throws {EphemeralError} `auth_failed`, or what the broker answers */
export async function greet(exchange: Exchange, introduction: Introduction): Promise<HelloReply> {
  const { endpoint, secret, label } = introduction;
  const hello = { action: "hello", protocol: protocolVersion, client: { name: "ephemerald", version }, label } as const;
  if (secret === undefined) return exchange<"hello">({ ...hello, auth: undefined });
  const { nonce: serverNonce } = await exchange<"challenge">({ action: "challenge" });
  const handshake = { endpoint, serverNonce, clientNonce: makeClientNonce() };
  const auth = { nonce: handshake.clientNonce, proof: await proveClient(secret, handshake) };
  const reply = await exchange<"hello">({ ...hello, auth });
  await verifyServer(secret, { handshake, proof: reply.auth?.proof });
  return reply;
}
