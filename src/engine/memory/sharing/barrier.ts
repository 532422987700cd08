/**
 * One barrier: who waits there, who else is a party of it, and who is still to be told that it broke. Its own node in the
 * heap: due when nobody who comes is to be told any more. Decides nothing of waits; that is the part of `barriers.ts`.
 */
import type { EphemeralError } from "../../../protocol/errors.ts";
import type { Caller } from "../../engine.ts";
import { Expiring } from "../../expiry-heap.ts";
import type { BarrierRequest } from "../../sharing.ts";
import type { Wait } from "../../wait-queue.ts";
import { listed, nameOf } from "../../wording.ts";

export type BarrierWait = Wait<BarrierRequest, { readonly index: number }>;

/** A session that joined, or was there when the barrier opened last. */
export interface Party {
  readonly caller: Caller;
  readonly fence: number;
  readonly sinceAtMs: number;
  /** Whether it said that it will come; it is not known of one that was there before. */
  readonly hasJoined: boolean;
}

/** What strangers are told who come after it broke: those who were still to come, whoever they are. */
interface Breakage {
  readonly reason: EphemeralError;
  /** Sessions that know already. */
  readonly told: Set<string>;
  strangers: number;
}

export class Barrier extends Expiring {
  readonly key: string;
  readonly #forgotten: (barrier: Barrier) => void;
  parties: number;
  /** Those who wait, in the order they came. */
  readonly waits = new Set<BarrierWait>();
  /** By session. */
  readonly members = new Map<string, Party>();
  /** What members are told when they come next, by session. */
  readonly owed = new Map<string, EphemeralError>();
  #breakage: Breakage | undefined;

  constructor({ key, parties }: BarrierRequest, forgotten: (barrier: Barrier) => void) {
    super();
    this.key = key;
    this.parties = parties;
    this.#forgotten = forgotten;
  }

  /** Whether nobody would miss it. */
  get isIdle(): boolean {
    return this.waits.size + this.members.size + this.owed.size === 0 && this.#breakage === undefined;
  }

  /** Who is a party, does not wait, and is not `except`. */
  absent(except?: Caller): readonly Party[] {
    const waiting = new Set([...this.waits].map(({ caller }) => caller.id));
    return [...this.members.values()].filter(({ caller }) => caller.id !== except?.id && !waiting.has(caller.id));
  }

  /** What a session that comes now is to be told first, once. */
  takeNews({ id }: Caller): EphemeralError | undefined {
    const reason = this.owed.get(id) ?? this.#newsForStranger(id);
    this.owed.delete(id);
    return reason;
  }

  /** Nobody waits any more; parties that come next are told of `reason` and, where `isTold`, as many strangers as were still to
   *  come. Returns those who waited. */
  break(reason: EphemeralError, { leaver, isTold }: { leaver: Caller; isTold: boolean }): readonly BarrierWait[] {
    const waits = [...this.waits];
    for (const { caller } of this.absent(leaver)) this.owed.set(caller.id, reason);
    const told = new Set([leaver.id, ...waits.map(({ caller }) => caller.id)]);
    const strangers = this.parties - waits.length - this.owed.size - 1;
    if (isTold && strangers > 0) this.#breakage = { reason, told, strangers };
    this.waits.clear();
    return waits;
  }

  /** A new beginning: nobody is told of what was. */
  forgetBreakage(): void {
    this.owed.clear();
    this.#breakage = undefined;
  }

  /** Who has come, and who has not, in words. */
  get attendance(): string {
    const { waits, parties } = this;
    const came = `${waits.size} of ${parties} came${named([...waits])}`;
    return `${came}, ${parties - waits.size} never came${named(this.absent())}`;
  }

  override expire(): void {
    this.#breakage = undefined;
    this.#forgotten(this);
  }

  #newsForStranger(id: string): EphemeralError | undefined {
    const breakage = this.#breakage;
    if (breakage === undefined || breakage.told.has(id)) return undefined;
    breakage.told.add(id);
    breakage.strangers -= 1;
    if (breakage.strangers === 0) this.#breakage = undefined;
    return breakage.reason;
  }
}

/** Names in brackets, or nothing without any. */
function named(those: readonly { readonly caller: Caller }[]): string {
  const names = those.map(({ caller }) => nameOf(caller));
  return names.length === 0 ? "" : ` (${listed(names, names.length)})`;
}
