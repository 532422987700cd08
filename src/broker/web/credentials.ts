/**
 * What lets a client in by the web door: the broker's secret where there is one, else the run token, else nothing. A token of
 * a user's own, with rights of its own, would be one more gate here.
 */
import { authFailed, isSameText, SecretAuthentication } from "../gates/auth.ts";
import { type Gate, openGate } from "../gates/gate.ts";
import { randomHex } from "../random-hex.ts";
import type { WebConfig } from "./web-config.ts";

const tokenBytes = 32;
const bearer = /^Bearer +(\S+)$/i;

export class Credentials {
  /** Undefined where a secret, or nothing, is asked for. Never shown or logged. */
  readonly token: string | undefined;
  readonly #secret: string | undefined;
  readonly #tokenGate: Gate;

  constructor({ token, insecureNoAuth }: Pick<WebConfig, "token" | "insecureNoAuth">, secret: string | undefined) {
    this.#secret = secret;
    const wanted = insecureNoAuth || secret !== undefined ? undefined : (token ?? randomHex(tokenBytes));
    this.token = wanted;
    this.#tokenGate = wanted === undefined ? openGate : tokenGate(wanted);
  }

  /** The gate of one WebSocket, which was asked for under this `Host`. Whether a proxy speaks TLS for us cannot be known from
   *  here, as anybody may send its headers: a proof over either scheme will do. */
  gateAt(host: string | null): Gate {
    if (this.#secret === undefined) return this.#tokenGate;
    return secretGate(this.#secret, [`ws://${host}/ws`, `wss://${host}/ws`]);
  }

  /** Whether a request with this `Authorization` is one of ours. */
  admit(authorization: string | null): boolean {
    const wanted = this.#secret ?? this.token;
    if (wanted === undefined) return true;
    const [, shown] = bearer.exec(authorization ?? "") ?? [];
    return shown !== undefined && isSameText(shown, wanted);
  }
}

function tokenGate(wanted: string): Gate {
  return {
    admits: () => false,
    enter({ token }) {
      if (token === undefined) throw authFailed("hello needs the token of this broker (EPHEMERAL_TOKEN)");
      if (!isSameText(token, wanted)) throw authFailed("the token is wrong");
      return undefined;
    },
  };
}

/** Messages are sealed on the pipe alone. */
function secretGate(secret: string, endpoints: readonly string[]): Gate {
  const authentication = new SecretAuthentication({ secret, endpoints });
  return { admits: () => false, enter: (shown, nonce) => authentication.enter(shown, nonce) };
}
