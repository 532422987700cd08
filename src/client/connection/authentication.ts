/**
 * The client's half of the mutual proof: that it knows the secret, and that the broker does. Uses Web Crypto, the same on
 * Node, Bun and in a browser, whose `verify` compares in constant time. The secret itself never leaves this file.
 */
import type { Reply, Request } from "../../protocol/commands.ts";
import type { HelloReply } from "../../protocol/greeting.ts";
import { EphemeralError } from "../client.ts";

/** What both proofs are made over. */
export interface Handshake {
  /** The address as dialled, so that a proof made for one broker is worth nothing at another. */
  readonly endpoint: string;
  readonly serverNonce: string;
  readonly clientNonce: string;
}

/** The words of the greeting: each is said, and resolves to the reply. */
export interface Greeting {
  challenge(): Promise<Reply<"challenge">>;
  hello(auth: NonNullable<Request<"hello">["auth"]>): Promise<HelloReply>;
}

/** Proves to the broker that we know the secret, and resolves once the broker has proved it to us.
 *  @throws {EphemeralError} `auth_failed` */
export async function authenticate(
  { endpoint, secret }: { readonly endpoint: string; readonly secret: string },
  greeting: Greeting,
): Promise<HelloReply> {
  const { nonce: serverNonce } = await greeting.challenge();
  const handshake = { endpoint, serverNonce, clientNonce: makeClientNonce() };
  const hello = await greeting.hello({ nonce: handshake.clientNonce, proof: await proveClient(secret, handshake) });
  await verifyServer(secret, { handshake, proof: hello.auth?.proof });
  return hello;
}

type Side = "client" | "server";

const nonceBytes = 16;

/** A fresh nonce: 32 hex digits. */
export function makeClientNonce(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(nonceBytes)));
}

/** The proof that goes into `hello`. */
export async function proveClient(secret: string, handshake: Handshake): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await hmacKey(secret), saidBy("client", handshake));
  return toHex(new Uint8Array(signature));
}

/** Checks the proof in the reply to `hello`: whoever sent it knows the secret and was dialled at our endpoint.
 *  @throws {EphemeralError} `auth_failed` */
export async function verifyServer(secret: string, answer: { handshake: Handshake; proof: unknown }): Promise<void> {
  const { handshake, proof } = answer;
  const signature = typeof proof === "string" ? fromHex(proof) : undefined;
  const isProven =
    signature !== undefined &&
    (await crypto.subtle.verify("HMAC", await hmacKey(secret), signature, saidBy("server", handshake)));
  if (isProven) return;
  const actual = signature === undefined ? "it gave no proof" : "its proof is wrong";
  throw new EphemeralError(
    "auth_failed",
    `Cannot trust the broker at ${handshake.endpoint}: it should prove that it knows the secret, ${actual}`,
  );
}

function hmacKey(secret: string): Promise<CryptoKey> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return crypto.subtle.importKey("raw", new TextEncoder().encode(secret), algorithm, false, ["sign", "verify"]);
}

function saidBy(side: Side, { endpoint, serverNonce, clientNonce }: Handshake): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`ephemeral/1 ${side}\n${endpoint}\n${serverNonce}\n${clientNonce}`);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The bytes of a SHA-256 proof; undefined when `text` is no such thing. */
function fromHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[0-9a-f]{64}$/.test(text)) return undefined;
  return Uint8Array.from({ length: 32 }, (_, index) => Number.parseInt(text.slice(2 * index, 2 * index + 2), 16));
}
