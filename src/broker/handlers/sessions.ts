/** How a client introduces itself, goes on with its session, and takes a command back; and how others end one: `challenge hello
 *  bye cancel kick`. */
import type { Awaitable, Engine } from "../../engine/engine.ts";
import { type Hold, protocolVersion, type Reply, type Request } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { defaultLingerMs, type Limits } from "../../protocol/limits.ts";
import type { BrokerConfig } from "../config.ts";
import type { Rows } from "../dispatcher.ts";
import { makeNonce } from "../gates/auth.ts";
import type { Invocation } from "../invocation.ts";
import type { Requests } from "../requests/requests.ts";
import type { Session } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";

interface SessionsParts {
  readonly sessions: Sessions;
  readonly requests: Requests;
  readonly engine: Engine;
  readonly config: BrokerConfig;
  /** What `hello` says of this broker. */
  readonly about: { readonly version: string; readonly epoch: string; readonly startedAtMs: number };
}

export function sessionRows(parts: SessionsParts): Rows<"challenge" | "hello" | "bye" | "cancel" | "kick"> {
  return {
    challenge: {
      access: "anyone",
      whileDraining: "served",
      handle: (_request, { connection }) => {
        const nonce = makeNonce();
        connection.admission.challenge(nonce);
        return { nonce };
      },
    },
    hello: {
      access: "anyone",
      // A session that is resumed has something to finish; a new one is refused what it asks for next.
      whileDraining: "served",
      handle: (request, invocation) => hello(parts, request, invocation),
    },
    bye: {
      access: "admitted",
      whileDraining: "served",
      handle: (_request, { session }) => {
        session.forgetLinger();
        return {};
      },
    },
    cancel: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ target }, { connection }) => ({ cancelled: connection.cancel(target) }),
    },
    kick: {
      access: "admitted",
      whileDraining: "served",
      handle: ({ session }) => ({ kicked: parts.sessions.kick(session) }),
    },
  };
}

function hello(parts: SessionsParts, request: Request<"hello">, invocation: Invocation): Awaitable<Reply<"hello">> {
  refuseLateHello(invocation);
  refuseOtherProtocol(request.protocol);
  const proof = enter(request, invocation);
  const { session, isResumed } = beginOrResume(parts, request, invocation);
  const secret = session.introduce(
    { client: request.client, label: request.label, lingerMs: request.lingerMs ?? defaultLingerMs[session.door] },
    isResumed ? request.session?.secret : undefined,
  );
  parts.sessions.introduced(session, isResumed);
  // Behind the reply, which says whose requests they are.
  if (isResumed) queueMicrotask(() => parts.requests.resumed(session));
  invocation.connection.wire.greeted?.();
  invocation.connection.doorkeeper?.greeted();
  const { limits } = parts.config;
  const reply = (holds: readonly Hold[]): Reply<"hello"> => ({
    protocol: protocolVersion,
    session: { id: session.id, secret, resumed: isResumed },
    holds,
    broker: parts.about,
    ...(invocation.connection.doorkeeper === undefined ? {} : keepAlive(limits)),
    limits,
    auth: proof === undefined ? undefined : { proof },
  });
  const holds = parts.engine.holdsOf(session.id);
  return holds instanceof Promise ? holds.then(reply) : reply(holds);
}

/** `hello` comes first; only a challenge may come before it. */
function refuseLateHello({ connection, session }: Invocation): void {
  if (session.isAnonymous && !connection.hasWorked) return;
  throw new EphemeralError("bad_command", "Cannot say hello: it must be the first command of its connection");
}

function refuseOtherProtocol(protocol: number): void {
  if (protocol === protocolVersion) return;
  throw new EphemeralError(
    "bad_command",
    `Cannot say hello: wanted protocol ${protocolVersion}, got ${protocol}; use a client of this broker's version`,
  );
}

/** The broker's half of the mutual proof; undefined where no secret is asked for, and for the seed's clients, which seal
 *  each message instead. */
function enter(request: Request<"hello">, { connection, isAdmitted }: Invocation): string | undefined {
  return isAdmitted && request.auth === undefined ? undefined : connection.admission.enter(request);
}

function keepAlive({ pingIntervalMs, pongTimeoutMs }: Limits): Partial<Reply<"hello">> {
  return { pingIntervalMs, pongTimeoutMs };
}

function beginOrResume(
  { sessions }: SessionsParts,
  { session: claim }: Request<"hello">,
  { connection, session: fresh }: Invocation,
): { readonly session: Session; readonly isResumed: boolean } {
  const resumed = claim === undefined ? undefined : sessions.resume(claim, { fresh, carrier: connection });
  if (resumed === undefined) return { session: fresh, isResumed: false };
  connection.adopt(resumed);
  return { session: resumed, isResumed: true };
}
