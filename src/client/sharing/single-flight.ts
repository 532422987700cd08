/**
 * `client.once`: one caller of many produces a value, all get it. Owns what the caller that was chosen has to do, also when
 * its turn was lost while it worked. Who is chosen is the broker's decision.
 */
import { EphemeralError } from "../client.ts";
import type { OnceOptions } from "../command-options.ts";
import type { Connection } from "../connection/connection.ts";
import { inflated } from "../inflating.ts";

export interface Once {
  /** The value of `key`, produced by exactly one of all its callers in the run. The others wait for it; when the producer's
   *  process dies, the first of them produces. `options.signal` ends the waiting, not a producer that runs. What was produced
   *  once is never produced again: when the turn was lost meanwhile, the value that took its place is returned, or ours is
   *  offered again.
   *  @throws what `produce` threw, here; elsewhere {EphemeralError} `producer_failed` with its message
   *  @throws {EphemeralError} `timeout` after `options.waitMs`, which is −1 unless told */
  once<Value>(key: string, produce: () => Value | Promise<Value>, options?: OnceOptions): Promise<Value>;
}

/** Turns lost one after another before we stop trying to share what we produced. */
const lostTurnsMax = 3;
/** A reason is for people; longer ones are cut. */
const reasonCharactersMax = 1000;

/** @internal */
export class SingleFlight implements Once {
  readonly #connection: Connection;
  readonly #defaultTtlMs: number;

  constructor(connection: Connection, defaultTtlMs: number) {
    this.#connection = connection;
    this.#defaultTtlMs = defaultTtlMs;
  }

  async once<Value>(
    key: string,
    produce: () => Value | Promise<Value>,
    { ttl: ttlMs = this.#defaultTtlMs, waitMs = -1, signal }: OnceOptions = {},
  ): Promise<Value> {
    const connection = this.#connection;
    let produced: { readonly value: Value } | undefined;
    for (let lostTurns = 0; ; lostTurns++) {
      const turn = await connection.call({
        command: { action: "once", key },
        read: (reply) => reply,
        waitMs,
        signal,
      });
      if (!("leader" in turn)) {
        const { value, compressed } = turn;
        // All callers of a key produce the same kind of value.
        return (compressed ? inflated(key, value) : connection.codec.fromMember(value)) as Value | Promise<Value>;
      }
      try {
        produced ??= { value: await produce() };
        await share(connection, { key, ttlMs, fence: turn.fence, value: produced.value });
        return produced.value;
      } catch (error) {
        if (produced !== undefined && isLostTurn(error) && lostTurns < lostTurnsMax) continue;
        await giveUp(connection, { key, fence: turn.fence, reason: reasonOf(error) });
        throw error;
      }
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
  await connection.call({ command });
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
  await connection.call({ command }).catch(() => {});
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
