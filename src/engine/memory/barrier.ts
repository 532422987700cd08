/**
 * One barrier: who waits there, who else is a party of it, and who is still to be told that it broke. Decides nothing of
 * waits; that is the part of `barriers.ts`.
 */
import type { EphemeralError } from "../../protocol/errors.ts";
import type { Caller } from "../engine.ts";
import type { BarrierRequest } from "../sharing.ts";
import type { Wait } from "./wait-queue.ts";

export type BarrierWait = Wait<BarrierRequest, { readonly index: number }>;

/** A session that joined, or was there when the barrier opened last. */
export interface Party {
  readonly caller: Caller;
  readonly fence: number;
  readonly sinceAtMs: number;
}

/** What those are told who come after it broke. */
export interface Breakage {
  readonly reason: EphemeralError;
  /** Sessions that have been told, or were the cause. */
  readonly told: Set<string>;
  /** How many were still to come, whoever they are, and until when they are told. */
  strangers: number;
  readonly strangersUntilMs: number;
}

export class Barrier {
  readonly key: string;
  /** 0 until somebody says how many. */
  parties = 0;
  /** Those who wait, in the order they came; each one's place is how many came before. */
  readonly waits = new Set<BarrierWait>();
  /** By session. */
  readonly members = new Map<string, Party>();
  /** Parties that have not been told yet, by session. */
  readonly owed = new Map<string, EphemeralError>();
  breakage: Breakage | undefined;

  constructor(key: string) {
    this.key = key;
  }

  /** Whether nobody would miss it. */
  isIdle(nowMs: number): boolean {
    if (this.waits.size + this.members.size + this.owed.size > 0) return false;
    return this.breakage === undefined || this.breakage.strangersUntilMs <= nowMs;
  }

  /** What a session that comes now is to be told first, once. */
  takeNews({ id }: Caller, nowMs: number): EphemeralError | undefined {
    const reason = this.owed.get(id) ?? this.#newsForStranger(id, nowMs);
    if (reason === undefined) return undefined;
    this.owed.delete(id);
    this.breakage?.told.add(id);
    return reason;
  }

  #newsForStranger(id: string, nowMs: number): EphemeralError | undefined {
    const { breakage } = this;
    if (breakage === undefined || breakage.told.has(id)) return undefined;
    if (breakage.strangers === 0 || breakage.strangersUntilMs <= nowMs) return undefined;
    breakage.strangers -= 1;
    return breakage.reason;
  }
}
