/**
 * The answer to "why does it hang?": who holds what goes by a name, who waits for it, in one shape whatever it is. Gathers
 * what the parts of the engine tell, cuts it to what a reply can carry, changes nothing.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import { whyListedMax } from "../../protocol/limits.ts";
import type { WhyHolder, WhyQuarantined, WhyReply, WhyWaiter } from "../../protocol/pools.ts";
import type { Caller, WaitInfo } from "../engine.ts";
import type { Pool } from "./pools/pool.ts";
import { waitersOf, wantsInWords } from "./pools/pool-wording.ts";

/** What goes by the name. */
export interface WhySources {
  readonly name: string;
  /** Of leases, turns and keys. */
  readonly holders: readonly WhyHolder[];
  /** Of everything but pools, oldest first. */
  readonly waits: readonly { readonly caller: Caller; readonly info: WaitInfo }[];
  readonly pool: Pool | undefined;
  /** Looked for when there is a pool. */
  readonly cycleOf: (pool: Pool) => string | undefined;
  /** Whether something goes by the name though nobody holds it or waits for it. */
  readonly isKnown: boolean;
}

/** @throws {EphemeralError} `not_found` when nothing goes by the name */
export function explain({ name, holders, waits, pool, cycleOf, isKnown }: WhySources): WhyReply {
  if (pool === undefined && holders.length === 0 && waits.length === 0 && !isKnown) throw nothingOf(name);
  const allHolders = [...holders, ...(pool === undefined ? [] : holdersOf(pool))];
  const allWaiters = [...waits.map(waiterOf), ...(pool === undefined ? [] : waitersAt(pool))];
  const quarantined = pool === undefined ? [] : quarantinedOf(pool);
  return {
    name,
    holders: allHolders.sort((a, b) => a.sinceAtMs - b.sinceAtMs).slice(0, whyListedMax),
    holdersCount: allHolders.length,
    waiters: allWaiters.sort((a, b) => a.sinceAtMs - b.sinceAtMs).slice(0, whyListedMax),
    waitersCount: allWaiters.length,
    quarantined: quarantined.slice(0, whyListedMax),
    quarantinedCount: quarantined.length,
    size: pool?.size,
    free: pool?.freeCount,
    cycle: pool === undefined ? undefined : cycleOf(pool),
  };
}

function holdersOf(pool: Pool): readonly WhyHolder[] {
  return pool.items().flatMap((item) =>
    [...item.holders()].map(({ caller, owner, fence, sinceAtMs, endsAtMs }): WhyHolder => {
      const mode = item.isShared ? "shared" : "exclusive";
      const who = { session: caller.id, label: caller.label, owner };
      return { kind: "grant", ...who, fence, sinceAtMs, expiresAtMs: endsAtMs, item: item.slot, mode };
    }),
  );
}

function waitersAt(pool: Pool): readonly WhyWaiter[] {
  return waitersOf(pool).map((waiter) => {
    const { caller, owner, sinceAtMs } = waiter;
    const wants = wantsInWords(waiter);
    return { action: "acquire", session: caller.id, label: caller.label, owner, sinceAtMs, wants };
  });
}

function waiterOf({ caller, info }: WhySources["waits"][number]): WhyWaiter {
  const { action, key, sinceAtMs } = info;
  return { action, session: caller.id, label: caller.label, sinceAtMs, wants: JSON.stringify(key) };
}

function quarantinedOf(pool: Pool): readonly WhyQuarantined[] {
  return pool
    .items()
    .flatMap(({ slot, quarantine }) => (quarantine === undefined ? [] : { item: slot, ...quarantine }));
}

function nothingOf(name: string): EphemeralError {
  const actual = "nobody holds it or waits for it, and there is no pool or key of that name";
  return new EphemeralError("not_found", `Cannot say why ${JSON.stringify(name)} is held: ${actual}`);
}
