/**
 * Proof that a peer knows the broker's secret: the mutual challenge of `hello`, and the seed's HMAC on each message.
 * Secrets and proofs are compared in constant time and never leave this file but as proofs. Not with `node:crypto`: loading
 * it costs every start 2 ms.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import { randomHex } from "../random-hex.ts";
import type { Gate, Shown } from "./gate.ts";

const nonceBytes = 16;
const macStart = Buffer.from(',"hmac":"');
const macHexLength = 64;
const macEnd = Buffer.from('"}');
const closingBrace = Buffer.from("}");

/** The gate of a door where there is a secret. */
export class SecretAuthentication implements Gate {
  readonly #secret: string;
  /** The addresses as clients may have dialled them: a proof made for another door is worth nothing here. */
  readonly #endpoints: readonly string[];

  constructor(options: { readonly secret: string; readonly endpoints: readonly string[] }) {
    this.#secret = options.secret;
    this.#endpoints = options.endpoints;
  }

  /** Whether `frame`, the bytes of one JSON line, ends in `,"hmac":"<hex>"}` with the right HMAC-SHA256 of the line without
   *  that member. */
  admits(frame: Uint8Array): boolean {
    const line = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    const start = line.length - macEnd.length - macHexLength - macStart.length;
    if (start < 1 || !line.subarray(start, start + macStart.length).equals(macStart)) return false;
    if (!line.subarray(line.length - macEnd.length).equals(macEnd)) return false;
    const claimed = Buffer.from(line.toString("latin1", start + macStart.length, line.length - macEnd.length), "hex");
    const hmac = new Bun.CryptoHasher("sha256", this.#secret)
      .update(line.subarray(0, start))
      .update(closingBrace)
      .digest();
    return isSame(claimed, hmac);
  }

  /** Checks the client's answer to `serverNonce` and returns the broker's own proof.
   *  @throws {EphemeralError} `auth_failed` */
  enter({ auth }: Shown, serverNonce: string | undefined): string {
    if (serverNonce === undefined || auth === undefined) {
      throw authFailed("this broker has a secret (EPHEMERAL_SECRET): answer its challenge in hello");
    }
    const proof = Buffer.from(auth.proof, "hex");
    const nonces = `${serverNonce}\n${auth.nonce}`;
    const dialled = this.#endpoints.find((endpoint) => isSame(proof, this.#hmac("client", `${endpoint}\n${nonces}`)));
    if (dialled === undefined) throw authFailed("the proof is wrong");
    return this.#hmac("server", `${dialled}\n${nonces}`).toString("hex");
  }

  #hmac(side: "client" | "server", handshake: string): Buffer {
    return new Bun.CryptoHasher("sha256", this.#secret).update(`ephemeral/1 ${side}\n${handshake}`).digest();
  }
}

/** A fresh nonce: 32 hex digits. */
export function makeNonce(): string {
  return randomHex(nonceBytes);
}

/** @param actual why, without a word of what was claimed */
export function authFailed(actual: string): EphemeralError {
  return new EphemeralError("auth_failed", `Cannot authenticate: ${actual}`);
}

/** Compares two texts in constant time for their length. */
export function isSameText(claimed: string, expected: string): boolean {
  return isSame(Buffer.from(claimed), Buffer.from(expected));
}

function isSame(claimed: Uint8Array, expected: Uint8Array): boolean {
  return claimed.length === expected.length && crypto.timingSafeEqual(claimed, expected);
}
