/**
 * One number of a key that somebody holds, a node of its own in the heap; and the numbers of one key. Who may take, renew or
 * free a number, and who waits for one, stands in `leases.ts`.
 */
import type { LeaseScope } from "../../../protocol/commands.ts";
import type { WhyHolder } from "../../../protocol/pools.ts";
import type { Caller, Lease } from "../../engine.ts";
import { Expiring } from "../../expiry-heap.ts";
import { FreeNumbers } from "../free-numbers.ts";

/** The numbers of one key. Exists while one of them is held. */
export class NumberedPool {
  readonly key: string;
  readonly free = new FreeNumbers();
  readonly held = new Map<string, HeldLease>();
  /** How many numbers there are: the first size anyone gave, undefined until then. */
  size: number | undefined;

  constructor(key: string) {
    this.key = key;
  }

  /** Whether none is left, for one who knows of `size` numbers. Fewer held than there are means one of them is free. */
  isFull(size: number | undefined = this.size): boolean {
    return size !== undefined && this.held.size >= size;
  }
}

/** A number somebody holds; its own node in the heap. */
export class HeldLease extends Expiring {
  readonly pool: NumberedPool;
  readonly workerId: string;
  readonly value: number;
  readonly fence: number;
  readonly sinceAtMs: number;
  readonly #expired: (lease: HeldLease, nowMs: number) => void;
  scope: LeaseScope;
  /** Who it was granted to, for people to read. */
  caller: Caller;
  /** The session it was granted to; undefined once that has ended and the lease outlives it. */
  sessionId: string | undefined;

  constructor(
    grant: Pick<HeldLease, "pool" | "workerId" | "value" | "fence" | "sinceAtMs" | "scope" | "caller">,
    expired: (lease: HeldLease, nowMs: number) => void,
  ) {
    super();
    this.#expired = expired;
    this.pool = grant.pool;
    this.workerId = grant.workerId;
    this.value = grant.value;
    this.fence = grant.fence;
    this.sinceAtMs = grant.sinceAtMs;
    this.scope = grant.scope;
    this.caller = grant.caller;
    this.sessionId = grant.caller.id;
  }

  get answer(): Lease {
    const expiresAtMs = this.expiresAtMs === Number.POSITIVE_INFINITY ? undefined : this.expiresAtMs;
    return { value: this.value, fence: this.fence, expiresAtMs };
  }

  /** How `why` tells it. */
  get asHolder(): WhyHolder {
    const { workerId, fence, sinceAtMs, value, sessionId, caller } = this;
    const { expiresAtMs } = this.answer;
    return {
      kind: "lease",
      session: sessionId,
      label: caller.label,
      workerId,
      fence,
      sinceAtMs,
      expiresAtMs,
      item: value,
    };
  }

  /** Whether `caller` may renew and release it. */
  isOpenTo(caller: Caller): boolean {
    return this.scope === "ttl" || this.sessionId === caller.id;
  }

  override expire(nowMs: number): void {
    this.#expired(this, nowMs);
  }
}
