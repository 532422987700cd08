/**
 * What a session holds, as people call it. Knows the kinds of holds there are and nothing of who asks.
 */
import type { Hold } from "../../protocol/commands.ts";

/** One thing that is held: what it goes by in `why`, and which of its kind. */
export interface HeldThing {
  readonly name: string;
  /** The slot of a pool; of a lease its worker. */
  readonly which: string;
}

/** Each thing of a hold; a grant may be of several. */
export function thingsOf(hold: Hold): readonly HeldThing[] {
  if (hold.kind === "grant") return hold.items.map(({ pool, slot }) => ({ name: pool, which: `${slot}` }));
  return [{ name: hold.id, which: hold.kind === "lease" ? hold.workerId : "" }];
}

/** `lease ports of worker-1`, `grant accounts 0, database 0`. */
export function heldName(hold: Hold): string {
  if (hold.kind === "lease") return `lease ${hold.id} of ${hold.workerId}`;
  if (hold.kind !== "grant") return `${hold.kind} ${hold.id}`;
  return `grant ${hold.items.map(({ pool, slot }) => `${pool} ${slot}`).join(", ")}`;
}
