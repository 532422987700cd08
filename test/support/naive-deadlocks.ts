/**
 * Whether a wait closes a circle of owners, by the definition: let everybody who can be served be served and release all,
 * until nobody more can; who is left then and leads back to its own owner is in a circle. Looks at everybody, every time.
 */
import type { PoolWant } from "../../src/protocol/pools.ts";
import { chooseNaively, conflicts, type Item } from "./naive-pool-items.ts";
import type { NaivePools, Wait } from "./naive-pools.ts";

/** A wait that asks is the last in line. */
export function findCircle(asking: Wait, pools: NaivePools): boolean {
  const { owner: home } = asking;
  if (home === undefined) return false;
  const stuck = new Set([...pools.waits, asking]);
  const isStuck = (owner: string | undefined): boolean =>
    owner !== undefined && [...stuck].some((wait) => wait.owner === owner);
  const holders = (item: Item, mode: string): readonly string[] =>
    item.holders.flatMap(({ grant, mode: theirs }) =>
      (mode === "exclusive" || theirs === "exclusive") && isStuck(grant.owner) ? [grant.owner ?? ""] : [],
    );
  const ahead = (wait: Wait): readonly Wait[] => {
    const earlier = [...stuck].filter((other) => other.order < wait.order);
    return earlier.filter((other) =>
      other.wants.some((theirs) =>
        wait.wants.some(
          (ours) => conflicts(theirs, ours) && pools.itemsFor(theirs).some((i) => pools.itemsFor(ours).includes(i)),
        ),
      ),
    );
  };
  const openTo = (wait: Wait) => (want: PoolWant) =>
    pools.itemsFor(want).filter((item) => {
      if (item.isQuarantined || holders(item, want.mode).length > 0) return false;
      return !ahead(wait).some((other) =>
        other.wants.some((theirs) => conflicts(theirs, want) && pools.itemsFor(theirs).includes(item)),
      );
    });
  const canBeServed = (wait: Wait): boolean => chooseNaively(wait.wants, openTo(wait)) !== undefined;
  for (let served = [...stuck].find(canBeServed); served; served = [...stuck].find(canBeServed)) stuck.delete(served);
  if (!stuck.has(asking)) return false;

  const seen = new Set<Wait>([asking]);
  const reached = [asking];
  for (const wait of reached) {
    const short = wait.wants.filter((want) => openTo(wait)(want).length < want.count);
    const missing = short.length > 0 ? short : wait.wants;
    const blockers = missing.flatMap((want) => pools.itemsFor(want).flatMap((item) => holders(item, want.mode)));
    const inFront = ahead({ ...wait, wants: missing });
    if (blockers.includes(home) || inFront.some((other) => other.owner === home)) return true;
    const next = [...stuck].filter((other) => inFront.includes(other) || blockers.includes(other.owner ?? ""));
    for (const other of next) {
      if (seen.has(other)) continue;
      seen.add(other);
      reached.push(other);
    }
  }
  return false;
}
