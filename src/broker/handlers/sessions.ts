/** How a client introduces itself and what it takes back: `challenge hello cancel`. */
import { randomBytes } from "node:crypto";
import { protocolVersion } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import { makeNonce, type SecretAuthentication } from "../auth.ts";
import type { Rows } from "../dispatcher.ts";
import type { Invocation } from "../invocation.ts";

interface SessionsParts {
  readonly authentication: SecretAuthentication | undefined;
  readonly limits: Limits;
  /** What `hello` says of this broker. */
  readonly about: { readonly version: string; readonly epoch: string; readonly startedAtMs: number };
}

const secretBytes = 16;

export function sessionRows(parts: SessionsParts): Rows<"challenge" | "hello" | "cancel"> {
  return {
    challenge: {
      access: "anyone",
      whileDraining: "served",
      handle: (_request, { connection }) => {
        const nonce = makeNonce();
        connection.challenge(nonce);
        return { nonce };
      },
    },
    hello: {
      access: "anyone",
      whileDraining: "refused",
      handle: ({ protocol, client, label, auth }, invocation) => {
        const { connection, session } = invocation;
        refuseLateHello(invocation);
        if (protocol !== protocolVersion) {
          throw new EphemeralError(
            "bad_command",
            `Cannot say hello: wanted protocol ${protocolVersion}, got ${protocol}; use a client of this broker's version`,
          );
        }
        const nonce = connection.takeNonce();
        // The seed's clients seal each message; such a hello needs no second proof.
        const proof =
          invocation.isAdmitted && auth === undefined ? undefined : parts.authentication?.prove(nonce, auth);
        connection.authenticated();
        const secret = randomBytes(secretBytes).toString("hex");
        session.introduce({ secret, label, client });
        return {
          protocol: protocolVersion,
          session: { id: session.id, secret, resumed: false },
          holds: [],
          broker: parts.about,
          limits: parts.limits,
          ...(proof === undefined ? {} : { auth: { proof } }),
        };
      },
    },
    cancel: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ target }, { connection }) => ({ cancelled: connection.cancel(target) }),
    },
  };
}

/** `hello` comes first; only a challenge may come before it. */
function refuseLateHello({ connection, session }: Invocation): void {
  if (session.isAnonymous && !connection.hasWorked) return;
  throw new EphemeralError("bad_command", "Cannot say hello: it must be the first command of its connection");
}
