/**
 * Whether the peer of one connection has been let in by its gate: the challenge it was given, and how often it failed. Knows
 * no command but by name, and nothing of what gates want.
 */
import type { CommandName } from "../../protocol/commands.ts";
import { authFailuresMax } from "../../protocol/limits.ts";
import type { Gate, Shown } from "./gate.ts";

export class Admission {
  readonly #gate: Gate;
  #isIn = false;
  #failures = 0;
  /** The challenge that was given and not answered yet. */
  #nonce: string | undefined;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  /** Whether what `frame` says may be done: its peer has been let in, or the frame proves itself. */
  admits(frame: Uint8Array): boolean {
    return this.#isIn || this.#gate.admits(frame);
  }

  /** Remembers the nonce of the one outstanding challenge. */
  challenge(nonce: string): void {
    this.#nonce = nonce;
  }

  /** Lets the peer in by what its `hello` shows, and returns what we prove in turn. A nonce serves once.
   *  @throws {EphemeralError} `auth_failed` */
  enter(shown: Shown): string | undefined {
    const nonce = this.#nonce;
    this.#nonce = undefined;
    const proof = this.#gate.enter(shown, nonce);
    this.#isIn = true;
    return proof;
  }

  /** Counts a failure. True when it is one too many: a greeting has one chance. */
  failed(action: CommandName): boolean {
    return action === "hello" || ++this.#failures >= authFailuresMax;
  }
}
