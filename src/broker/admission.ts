/**
 * Whether the peer of one connection has shown that it knows the broker's secret: the challenge it was given, what each
 * frame proves, and how often it failed. Knows no command but by name; the proofs are `auth.ts`'.
 */
import type { CommandName } from "../protocol/commands.ts";
import { authFailuresMax } from "../protocol/limits.ts";
import type { SecretAuthentication } from "./auth.ts";

export class Admission {
  readonly #authentication: SecretAuthentication | undefined;
  #isAuthenticated: boolean;
  #failures = 0;
  /** The challenge that was given and not answered yet. */
  #nonce: string | undefined;

  /** @param authentication undefined where no secret is asked for */
  constructor(authentication: SecretAuthentication | undefined) {
    this.#authentication = authentication;
    this.#isAuthenticated = authentication === undefined;
  }

  /** Whether what `frame` says may be done: its peer, or the frame itself, has proved to know the secret. */
  admits(frame: Uint8Array): boolean {
    return this.#isAuthenticated || (this.#authentication?.isSealed(frame) ?? true);
  }

  /** Remembers the nonce of the one outstanding challenge. */
  challenge(nonce: string): void {
    this.#nonce = nonce;
  }

  /** The outstanding nonce, which serves once. */
  takeNonce(): string | undefined {
    const nonce = this.#nonce;
    this.#nonce = undefined;
    return nonce;
  }

  authenticated(): void {
    this.#isAuthenticated = true;
  }

  /** Counts a failure. True when it is one too many: a greeting has one chance. */
  failed(action: CommandName): boolean {
    return action === "hello" || ++this.#failures >= authFailuresMax;
  }
}
