/**
 * One command to a running broker: connect, ask, print the answer, leave. Every client command is a page around this.
 * Knows neither what is asked nor how the answer looks.
 */

import { systemClientClock } from "../client/client-clock.ts";
import type { Outgoing } from "../client/connection/call.ts";
import { Connection } from "../client/connection/connection.ts";
import { BunPipeTransport } from "../client/transports/bun-pipe-transport.ts";
import type { CommandName, Reply, WaitMs } from "../protocol/commands.ts";
import type { HelloReply } from "../protocol/greeting.ts";
import type { Definitions } from "./definitions.ts";
import { HintedError, howToStart } from "./failure.ts";
import { type Paint, paintFor, print, printJson } from "./output.ts";
import { type ClientSettings, clientSettings, type Flags, processEnvironment } from "./settings/settings.ts";

/** The flags of every client command. */
export const clientFlags = {
  pipe: { type: "string", valueHint: "PATH", description: "The broker's socket (default: EPHEMERAL_PIPE)" },
  name: { type: "string", valueHint: "NAME", description: "The broker of that name, instead of a socket" },
  secret: {
    type: "string",
    valueHint: "SECRET",
    description: "The broker's secret; others can read it in ps, so better set EPHEMERAL_SECRET",
  },
  "secret-file": {
    type: "string",
    valueHint: "PATH",
    description: "A file of yours alone with the secret (default: EPHEMERAL_SECRET_FILE)",
  },
  timeout: {
    type: "string",
    valueHint: "DURATION",
    description: "How long the broker may take to answer (default: 5s)",
  },
  json: { type: "boolean", description: "Print one JSON document, failures too (on stderr)" },
} as const satisfies Definitions;

/** One answer, for both kinds of readers. */
export interface Answer {
  /** What `--json` prints. */
  readonly document: unknown;
  /** What people read: ready to print. Without it stdout stays empty. */
  readonly text?: string | Uint8Array | ((paint: Paint) => string);
}

/** Says one command to the broker and resolves to its reply, which is most of what `--json` prints. */
export type Ask = <Name extends CommandName>(command: Outgoing<Name>, waitMs?: WaitMs) => Promise<Reply<Name>>;

/** What the broker said of itself in the greeting; there once anything was answered. */
export type Greeting = () => HelloReply | undefined;

/** Asks the broker that flags and environment name, and prints what it says. Speaks through the client's connection and
 *  not through `Client`, whose methods resolve to less than the reply holds.
 *  @throws {EphemeralError} whatever the settings or the broker refuse */
export function call(flags: Flags, inquire: (ask: Ask, greeting: Greeting) => Promise<Answer>): Promise<void> {
  return callThrough(flags, ({ connection, greeting }) => {
    const ask: Ask = (command, waitMs = 0) => connection.call({ command, waitMs, read: (reply) => reply });
    return inquire(ask, greeting);
  });
}

/** The same for what the client's own parts say. */
export async function callThrough(flags: Flags, inquire: (dialled: Dialled) => Promise<Answer>): Promise<void> {
  const dialled = connectionTo(clientSettings(flags, processEnvironment));
  const { connection, absence } = dialled;
  try {
    const { document, text = "" } = await Promise.race([inquire(dialled), absence]);
    if (flags.json === true) return await printJson(document);
    await print(typeof text === "function" ? text(await paintFor(1, processEnvironment)) : text);
  } finally {
    connection.close();
  }
}

interface Dialled {
  readonly connection: Connection;
  readonly absence: Promise<never>;
  readonly greeting: Greeting;
}

/** The connection, and a promise that fails as soon as nobody listens there. The connection itself would wait for a broker
 *  until the timeout; at a shell that only hides the mistake. */
export function connectionTo(settings: ClientSettings): Dialled {
  const { pipe, pipeFrom, secret, label, timeoutMs } = settings;
  const { promise: absence, reject } = Promise.withResolvers<never>();
  const onAbsent = (): void => {
    reject(new HintedError("unavailable", `No broker: nothing listens at ${pipe} (${pipeFrom})`, { hint: howToStart }));
  };
  const dial = (): BunPipeTransport => new BunPipeTransport(pipe, { onAbsent });
  const clock = systemClientClock;
  const connection = new Connection({ endpoint: pipe, dial, clock, timeoutMs, secret, label: label ?? null });
  return { connection, absence, greeting: () => connection.hello };
}
