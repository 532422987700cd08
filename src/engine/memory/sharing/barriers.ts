/**
 * Barriers: who comes waits until all have come. One who goes away breaks the barrier for the others, at once where it is
 * known that he was to come. Counts on its caller to have swept.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { WhyHolder } from "../../../protocol/pools.ts";
import type { Awaitable, Caller, HeldBySession, Waiting } from "../../engine.ts";
import type { ExpiryHeap } from "../../expiry-heap.ts";
import { OwnerIndex } from "../../owner-index.ts";
import type { BarrierRequest } from "../../sharing.ts";
import { WaitQueues, type Waits } from "../../wait-queue.ts";
import { nameOf } from "../../wording.ts";
import { Barrier, type BarrierWait } from "./barrier.ts";

/** How long those who were still to come are told that it broke. */
export const brokenBarrierMs = 30_000;
/** Barriers whose parties are remembered after they opened; of the others the next generation finds a new barrier. */
export const openedRememberedMax = 1000;

interface Leaving {
  readonly leaver: Caller;
  readonly what: string;
  readonly isTold: boolean;
}

interface NewParty {
  readonly caller: Caller;
  readonly nowMs: number;
  readonly hasJoined: boolean;
}

type Place = { readonly index: number };

export interface BarriersOptions {
  readonly expiries: ExpiryHeap;
  readonly waits: Waits;
  readonly nextFence: () => number;
  /** Throws `too_many_names` when no further name can be kept. */
  readonly requireName: (name: string) => void;
}

export class Barriers {
  readonly #options: BarriersOptions;
  readonly #barriers = new Map<string, Barrier>();
  readonly #bySession = new OwnerIndex<Barrier>();
  readonly #waiting: WaitQueues<BarrierRequest, Place>;
  /** Those with members of a generation that has opened, the one that opened longest ago first. */
  readonly #opened = new Set<Barrier>();

  constructor(options: BarriersOptions) {
    this.#options = options;
    this.#waiting = new WaitQueues({
      waits: options.waits,
      action: "barrier",
      timedOut: (wait) => this.#timedOut(wait),
      left: (wait, reason) => this.#left(wait, reason),
    });
  }

  get size(): number {
    return this.#barriers.size;
  }

  has(key: string): boolean {
    return this.#barriers.has(key);
  }

  /** Opens the barrier, or makes wait. */
  arrive(request: BarrierRequest, waiting: Waiting, nowMs: number): Awaitable<Place> {
    return this.#with(request, waiting.caller, (barrier) => {
      const index = barrier.waits.size;
      if (index + 1 === barrier.parties) return this.#openFor(barrier, waiting.caller);
      if (waiting.waitMs === 0) throw new EphemeralError("timeout", `Did not wait at ${attendanceOf(barrier)}`);
      const wait = this.#waiting.enqueue({ name: barrier.key, request, waiting, nowMs });
      barrier.waits.add(wait);
      return wait.answer;
    });
  }

  join(request: BarrierRequest, caller: Caller, nowMs: number): Place {
    return this.#with(request, caller, (barrier) => {
      this.#addMember(barrier, { caller, nowMs, hasJoined: true });
      return { index: barrier.waits.size };
    });
  }

  /** The session is no party any more, and those who count on it learn of it. Its own waits must be over already. */
  endSession(caller: Caller): void {
    for (const barrier of this.#bySession.of(caller.id)) {
      barrier.owed.delete(caller.id);
      const party = barrier.members.get(caller.id);
      if (party !== undefined) {
        // Of those that were there before nobody knows whether they would have come again.
        const isTold = party.hasJoined || barrier.waits.size > 0;
        this.#break(barrier, { leaver: caller, what: "ended before it came", isTold });
      }
      this.#bySession.delete(caller.id, barrier);
      this.#dropIdle(barrier);
    }
  }

  holdsOf(sessionId: string): readonly HeldBySession[] {
    return this.#bySession.of(sessionId).flatMap(({ key, members }) => {
      const party = members.get(sessionId);
      return party === undefined ? [] : [{ kind: "barrier", id: key, fence: party.fence, sinceAtMs: party.sinceAtMs }];
    });
  }

  /** Who is a party of it. */
  holdersOf(key: string): readonly WhyHolder[] {
    return [...(this.#barriers.get(key)?.members.values() ?? [])].map(({ caller, fence, sinceAtMs }) => {
      return { kind: "barrier", session: caller.id, label: caller.label, fence, sinceAtMs };
    });
  }

  clear(): void {
    this.#barriers.clear();
    this.#bySession.clear();
    this.#opened.clear();
  }

  /** Does `work` with the barrier, for one who has heard the news. A barrier nobody waits at takes any number of parties. */
  #with<Result>(request: BarrierRequest, caller: Caller, work: (barrier: Barrier) => Result): Result {
    const { key, parties } = request;
    const barrier = this.#barriers.get(key) ?? this.#add(request);
    try {
      if (barrier.parties !== parties) this.#change(barrier, parties);
      const news = barrier.takeNews(caller);
      if (news === undefined) return work(barrier);
      if (!barrier.members.has(caller.id)) this.#bySession.delete(caller.id, barrier);
      throw news;
    } finally {
      this.#dropIdle(barrier);
    }
  }

  #add(request: BarrierRequest): Barrier {
    this.#options.requireName(request.key);
    const barrier = new Barrier(request, (idle) => this.#dropIdle(idle));
    this.#barriers.set(request.key, barrier);
    return barrier;
  }

  #change(barrier: Barrier, parties: number): void {
    if (barrier.waits.size > 0) {
      const text = `Cannot wait at barrier ${JSON.stringify(barrier.key)} for ${parties} parties: others wait there for ${barrier.parties}`;
      throw new EphemeralError("size_mismatch", text, { details: { parties: barrier.parties } });
    }
    this.#forgetMembers(barrier);
    barrier.forgetBreakage();
    barrier.parties = parties;
  }

  /** All have come: whoever was here is a party of the next generation. */
  #openFor(barrier: Barrier, last: Caller): Place {
    const nowMs = this.#options.expiries.sweptAtMs;
    const waits = [...barrier.waits];
    barrier.waits.clear();
    this.#forgetMembers(barrier);
    barrier.forgetBreakage();
    for (const [index, wait] of waits.entries()) wait.settle({ index });
    for (const caller of [...waits.map((wait) => wait.caller), last]) {
      this.#addMember(barrier, { caller, nowMs, hasJoined: false });
    }
    this.#remember(barrier);
    return { index: waits.length };
  }

  #remember(barrier: Barrier): void {
    this.#opened.add(barrier);
    if (this.#opened.size <= openedRememberedMax) return;
    for (const oldest of this.#opened) {
      this.#forgetMembers(oldest);
      this.#dropIdle(oldest);
      return;
    }
  }

  #addMember(barrier: Barrier, { caller, nowMs, hasJoined }: NewParty): void {
    const fence = barrier.members.get(caller.id)?.fence ?? this.#options.nextFence();
    barrier.members.set(caller.id, { caller, fence, sinceAtMs: nowMs, hasJoined });
    this.#bySession.add(caller.id, barrier);
  }

  #forgetMembers(barrier: Barrier): void {
    for (const id of [...barrier.members.keys(), ...barrier.owed.keys()]) this.#bySession.delete(id, barrier);
    barrier.members.clear();
    barrier.owed.clear();
    this.#opened.delete(barrier);
  }

  #left(wait: BarrierWait, reason: EphemeralError | undefined): void {
    const barrier = this.#barriers.get(wait.name);
    // Not there any more where it has opened or is broken; and when the engine closes all fail alike.
    if (!barrier?.waits.has(wait) || reason?.code === "unavailable") return;
    const { attendance } = barrier;
    barrier.waits.delete(wait);
    const isPatient = reason?.code !== "timeout";
    const what = isPatient ? "went away while it waited" : `gave up after ${wait.waitMs} ms: ${attendance}`;
    // Who gave up alone has disappointed nobody.
    this.#break(barrier, { leaver: wait.caller, what, isTold: isPatient || barrier.waits.size > 0 });
    this.#dropIdle(barrier);
  }

  /** `leaver` will not come, or not come back: tells all who wait, and sees that parties are told, and strangers where `isTold`. */
  #break(barrier: Barrier, { leaver, what, isTold }: Leaving): void {
    const { key, members, owed } = barrier;
    const text = `Cannot pass barrier ${JSON.stringify(key)}: ${nameOf(leaver)} ${what}`;
    const reason = new EphemeralError("barrier_broken", text, { details: { left: nameOf(leaver) } });
    const waits = barrier.break(reason, { leaver, isTold });
    for (const id of members.keys()) if (!owed.has(id)) this.#bySession.delete(id, barrier);
    members.clear();
    this.#opened.delete(barrier);
    const { expiries } = this.#options;
    expiries.set(barrier, expiries.sweptAtMs + brokenBarrierMs);
    for (const wait of waits) wait.fail(reason);
  }

  #dropIdle(barrier: Barrier): void {
    if (!barrier.isIdle) return;
    this.#options.expiries.remove(barrier);
    if (this.#barriers.get(barrier.key) === barrier) this.#barriers.delete(barrier.key);
  }

  #timedOut({ name, waitMs }: BarrierWait): EphemeralError {
    const barrier = this.#barriers.get(name);
    const where = barrier === undefined ? `barrier ${JSON.stringify(name)}` : attendanceOf(barrier);
    return new EphemeralError("timeout", `Timed out after ${waitMs} ms waiting at ${where}`);
  }
}

function attendanceOf(barrier: Barrier): string {
  return `barrier ${JSON.stringify(barrier.key)}: ${barrier.attendance}`;
}
