/**
 * `client.once`: one caller of many produces a value, all get it. Owns what the caller that was chosen has to do, also when
 * its turn was lost while it worked. Who is chosen is the broker's decision.
 */

import type { Reply, WaitMs } from "../protocol/commands.ts";
import { EphemeralError } from "./client.ts";
import type { Connection } from "./connection.ts";

export interface SingleFlight<Value> {
  readonly key: string;
  readonly produce: () => Value | Promise<Value>;
  readonly ttlMs: number;
  readonly waitMs: WaitMs;
  readonly signal: AbortSignal | undefined;
  /** Reads a value somebody else produced. */
  readonly readShared: (reply: SharedReply) => unknown;
}

type SharedReply = Extract<Reply<"once">, { readonly value: unknown }>;

/** Turns lost one after another before we stop trying to share what we produced. */
const lostTurnsMax = 3;
/** A reason is for people; longer ones are cut. */
const reasonCharactersMax = 1000;

/** Resolves to the shared value of `key`, made by `produce` here or elsewhere. What was produced once is never produced again:
 *  when the turn was lost meanwhile, the value that took its place is returned, or ours is offered again.
 *  @throws what `produce` threw, here; `producer_failed` with its message, elsewhere */
export async function runOnce<Value>(connection: Connection, flight: SingleFlight<Value>): Promise<unknown> {
  const { key, waitMs, signal } = flight;
  let produced: { readonly value: Value } | undefined;
  for (let lostTurns = 0; ; lostTurns++) {
    const turn = await connection.call({
      command: { action: "once", key },
      read: (reply) => reply,
      waitMs,
      signal,
    });
    if (!("leader" in turn)) return flight.readShared(turn);
    try {
      produced ??= { value: await flight.produce() };
      await share(connection, { ...flight, fence: turn.fence, value: produced.value });
      return produced.value;
    } catch (error) {
      if (produced !== undefined && isLostTurn(error) && lostTurns < lostTurnsMax) continue;
      await giveUp(connection, { key, fence: turn.fence, reason: reasonOf(error) });
      throw error;
    }
  }
}

interface Sharing {
  readonly key: string;
  readonly fence: number;
  readonly value: unknown;
  readonly ttlMs: number;
}

async function share(connection: Connection, { key, fence, value, ttlMs }: Sharing): Promise<void> {
  if (value === undefined) {
    throw new EphemeralError(
      "bad_command",
      `Cannot share "${key}": its producer should return a value, it returned none`,
    );
  }
  const member = connection.codec.toMember(value);
  const command = { action: "once.resolve", key, fence, value: member, ttl: ttlMs } as const;
  await connection.call({ command, read: () => undefined });
}

/** Whether the turn passed to somebody else, or may have: the broker ends it with the connection it was given on. */
function isLostTurn(error: unknown): boolean {
  if (!(error instanceof EphemeralError)) return false;
  return error.code === "not_owner" || error.details?.outcome === "unknown";
}

interface Failure {
  readonly key: string;
  readonly fence: number;
  readonly reason: string;
}

/** Tells those who wait. When that fails too, the turn has passed on with the session, and the first failure is what counts. */
async function giveUp(connection: Connection, failure: Failure): Promise<void> {
  const reason = failure.reason.slice(0, reasonCharactersMax);
  const command = { action: "once.reject", ...failure, reason, cacheMs: undefined, pass: undefined } as const;
  await connection.call({ command, read: () => undefined }).catch(() => {});
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
