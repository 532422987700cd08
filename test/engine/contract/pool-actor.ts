/** A session that wants items of pools: wants are written short, answers are what `Actor` gives. */
import type { WaitHandle } from "../../../src/engine/engine.ts";
import type { PoolMode, PoolWant } from "../../../src/protocol/pools.ts";
import { Actor, type Answer, answerOf } from "./actor.ts";

/** A want: its pool's name alone, or with what differs from one exclusive item of any tags. */
export type ShortWant = string | (Partial<PoolWant> & { readonly pool: string });

export interface AcquireOptions {
  readonly waitMs?: number;
  readonly handle?: WaitHandle;
  readonly ttlMs?: number;
  readonly prefersLast?: boolean;
  readonly owner?: string | undefined;
}

export interface GrantAnswer extends Answer {
  readonly id?: string;
  readonly items?: readonly { readonly pool: string; readonly slot: number; readonly value: string }[];
  readonly expiresAtMs?: number | undefined;
}

export class PoolActor extends Actor {
  /** Defines `pool`; an item is its value, or a value with tags: `"alice admin fr"`. */
  define(pool: string, ...items: readonly string[]): Promise<Answer> {
    return answerOf(() => this.engine.definePool({ pool, items: items.map(definition) }));
  }

  add(pool: string, ...items: readonly string[]): Promise<Answer> {
    return answerOf(() => this.engine.addToPool({ pool, items: items.map(definition) }));
  }

  remove(pool: string, ...slots: readonly number[]): Promise<Answer> {
    return answerOf(() => this.engine.removeFromPool({ pool, slots: slots.length === 0 ? undefined : slots }));
  }

  acquire(wants: ShortWant | readonly ShortWant[], options: AcquireOptions = {}): Promise<GrantAnswer> {
    const { waitMs = 0, handle = {}, ttlMs, prefersLast = false, owner } = options;
    const list = wantsOf(wants);
    const waiting = { caller: this.caller, waitMs, handle };
    return answerOf(() => this.engine.acquire({ wants: list, ttlMs, prefersLast, owner }, waiting));
  }

  /** Waits as long as it takes. */
  wait(wants: ShortWant | readonly ShortWant[], options: AcquireOptions = {}): Promise<GrantAnswer> {
    return this.acquire(wants, { waitMs: -1, ...options });
  }

  lock(name: string, options: AcquireOptions & { readonly mode?: PoolMode } = {}): Promise<GrantAnswer> {
    const { mode = "exclusive", ...rest } = options;
    return this.acquire({ pool: name, size: 1, mode }, rest);
  }

  give(grant: GrantAnswer | string | undefined): Promise<Answer> {
    const id = typeof grant === "string" ? grant : (grant?.id ?? "none");
    return answerOf(() => this.engine.releaseGrant(id, this.caller));
  }

  renew(grant: GrantAnswer, ttlMs: number): Promise<Answer> {
    return answerOf(() => this.engine.renewGrant({ grant: grant.id ?? "none", ttlMs }, this.caller));
  }

  quarantine(grant: GrantAnswer, reason = "broken"): Promise<Answer> {
    return answerOf(() => this.engine.quarantineGrant({ grant: grant.id ?? "none", reason }, this.caller));
  }

  quarantineItem(slot: number, about: { pool: string; reason?: string }): Promise<Answer> {
    return answerOf(() => this.engine.quarantineItem({ slot, reason: "broken", ...about }, this.caller));
  }

  why(name: string, isPoolOnly = false): Promise<Answer> {
    return answerOf(() => this.engine.why({ name, isPoolOnly }));
  }
}

export function wantsOf(wants: ShortWant | readonly ShortWant[]): readonly PoolWant[] {
  const list = Array.isArray(wants) ? wants : [wants];
  return list.map((want: ShortWant) => {
    const about = typeof want === "string" ? { pool: want } : want;
    return { count: 1, match: [], mode: "exclusive", size: undefined, ...about };
  });
}

export function definition(item: string): { readonly value: string; readonly tags: readonly string[] } {
  const [value = "", ...tags] = item.split(" ");
  return { value: JSON.stringify(value), tags: tags.sort() };
}

/** What was granted, short: `accounts/0 accounts/2`; else `waits` or the error's code. */
export function got(answer: GrantAnswer | "waits"): string {
  if (answer === "waits") return answer;
  return answer.error ?? answer.items?.map(({ pool, slot }) => `${pool}/${slot}`).join(" ") ?? "nothing";
}
