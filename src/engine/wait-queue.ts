/**
 * Commands that wait: a first-in-first-out queue for each name, a deadline for each wait, bounds for all of them together.
 * `Waits` is the one register of an engine; each part that makes callers wait has its own `WaitQueues` in it, a namespace
 * with its types. Decides when a wait is over, never who is served: that is its owner's part.
 */

import { EphemeralError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { deferred } from "./deferred.ts";
import type { Caller, WaitHandle, WaitInfo, Waiting } from "./engine.ts";
import { Expiring, type ExpiryHeap } from "./expiry-heap.ts";
import { OwnerIndex } from "./owner-index.ts";

/** What the register needs of a wait, whatever it waits for. */
export interface PendingWait {
  readonly caller: Caller;
  readonly request: unknown;
  readonly info: WaitInfo;
  fail(reason: EphemeralError): boolean;
}

/** Every wait of an engine: its bounds, and whose they are. */
export class Waits {
  readonly expiries: ExpiryHeap;
  readonly #limits: Limits;
  readonly #all = new Set<PendingWait>();
  readonly #bySession = new OwnerIndex<PendingWait>();

  constructor(options: { expiries: ExpiryHeap; limits: Limits }) {
    this.expiries = options.expiries;
    this.#limits = options.limits;
  }

  get size(): number {
    return this.#all.size;
  }

  /** What `sessionId` waits for, oldest first. */
  of(sessionId: string): readonly WaitInfo[] {
    return this.#bySession.of(sessionId).map((wait) => wait.info);
  }

  /** The waits of `sessionId`, oldest first. */
  pending(sessionId: string): readonly PendingWait[] {
    return this.#bySession.of(sessionId);
  }

  /** All that wait for `name` by one of `actions`, oldest first. Looks at every wait there is. */
  for(name: string, actions: readonly string[]): readonly PendingWait[] {
    return [...this.#all].filter(({ info }) => info.key === name && actions.includes(info.action));
  }

  /** @throws {EphemeralError} `too_many_commands` when one more would be past a bound */
  requireRoom(caller: Caller): void {
    const { waitsMax, waitsPerSessionMax } = this.#limits;
    const ofSession = this.#bySession.count(caller.id);
    if (ofSession >= waitsPerSessionMax) {
      throw tooManyWaits(`this session has ${ofSession} commands waiting, limit is ${waitsPerSessionMax}`);
    }
    if (this.#all.size >= waitsMax) {
      throw tooManyWaits(`${this.#all.size} commands wait in all, limit is ${waitsMax}`);
    }
  }

  add(caller: Caller, wait: PendingWait): void {
    this.#all.add(wait);
    this.#bySession.add(caller.id, wait);
  }

  delete(caller: Caller, wait: PendingWait): void {
    this.#all.delete(wait);
    this.#bySession.delete(caller.id, wait);
  }

  /** Fails every wait of `sessionId`, so that nothing can be granted to it any more. */
  endSession(sessionId: string, reason: EphemeralError): void {
    for (const wait of this.#bySession.of(sessionId)) wait.fail(reason);
  }

  failAll(reason: EphemeralError): void {
    for (const wait of [...this.#all]) wait.fail(reason);
  }
}

/** How the owner of a namespace takes part in the life of its waits. */
export interface WaitQueuesOptions<Request, Answer> {
  readonly waits: Waits;
  /** The command, as `ps` shows it. */
  readonly action: string;
  /** Says why, when a wait's time is over: what it waited for, and who has it. */
  readonly timedOut: (wait: Wait<Request, Answer>) => EphemeralError;
  /** Called when a wait has left its queue: with the reason it failed for, or none when it got what it waited for. */
  readonly left?: (wait: Wait<Request, Answer>, reason: EphemeralError | undefined) => void;
}

/** Who comes to wait, for what. */
interface WaitArrival<Request> {
  readonly name: string;
  readonly request: Request;
  readonly waiting: Waiting;
  readonly nowMs: number;
}

/** The queues of one namespace, by name. A queue exists while somebody stands in it. */
export class WaitQueues<Request, Answer> {
  readonly #options: WaitQueuesOptions<Request, Answer>;
  readonly #queues = new Map<string, WaitQueue<Wait<Request, Answer>>>();

  constructor(options: WaitQueuesOptions<Request, Answer>) {
    this.#options = options;
  }

  /** Puts a caller at the end of the queue of `name`. `waitMs` is −1 or positive here: 0 is answered by the owner.
   *  @throws {EphemeralError} `too_many_commands` */
  enqueue(arrival: WaitArrival<Request>): Wait<Request, Answer> {
    const { waits } = this.#options;
    const { waiting, name } = arrival;
    waits.requireRoom(waiting.caller);
    const wait = new Wait(arrival, this);
    this.#queueOf(name).append(wait);
    waits.add(waiting.caller, wait);
    if (waiting.waitMs > 0) waits.expiries.set(wait, arrival.nowMs + waiting.waitMs);
    waiting.handle.cancel = (reason) => {
      waits.expiries.sweep();
      return wait.fail(reason);
    };
    return wait;
  }

  /** The command, as `ps` shows it. */
  get action(): string {
    return this.#options.action;
  }

  /** Who is served next. */
  first(name: string): Wait<Request, Answer> | undefined {
    return this.#queues.get(name)?.first;
  }

  /** Answers all that wait for `name`, in the order they came. */
  settleAll(name: string, answer: Answer): void {
    for (let wait = this.first(name); wait !== undefined; wait = this.first(name)) wait.settle(answer);
  }

  failAll(name: string, reason: EphemeralError): void {
    for (let wait = this.first(name); wait !== undefined; wait = this.first(name)) wait.fail(reason);
  }

  /** For waits only: takes `wait` out of every place that knows it. */
  leave(wait: Wait<Request, Answer>, reason: EphemeralError | undefined): void {
    const queue = this.#queues.get(wait.name);
    queue?.remove(wait);
    if (queue?.first === undefined) this.#queues.delete(wait.name);
    this.#options.waits.delete(wait.caller, wait);
    this.#options.waits.expiries.remove(wait);
    this.#options.left?.(wait, reason);
  }

  #queueOf(name: string): WaitQueue<Wait<Request, Answer>> {
    const queue = this.#queues.get(name) ?? new WaitQueue();
    this.#queues.set(name, queue);
    return queue;
  }

  /** For waits only: the text of a timeout. */
  timedOut(wait: Wait<Request, Answer>): EphemeralError {
    return this.#options.timedOut(wait);
  }
}

/** One command that waits. It is over exactly once: settled, failed, cancelled or timed out. */
export class Wait<Request, Answer> extends Expiring {
  readonly name: string;
  readonly request: Request;
  readonly caller: Caller;
  readonly sinceAtMs: number;
  readonly waitMs: number;
  /** What its caller was given; settles when the wait is over. */
  readonly answer: Promise<Answer>;
  /** Neighbours in the queue; only the queue writes them. */
  previous: Wait<Request, Answer> | undefined;
  next: Wait<Request, Answer> | undefined;
  readonly #action: string;
  readonly #handle: WaitHandle;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (reason: EphemeralError) => void;
  #queues: WaitQueues<Request, Answer> | undefined;

  constructor(arrival: WaitArrival<Request>, queues: WaitQueues<Request, Answer>) {
    super();
    this.name = arrival.name;
    this.request = arrival.request;
    this.caller = arrival.waiting.caller;
    this.waitMs = arrival.waiting.waitMs;
    this.sinceAtMs = arrival.nowMs;
    this.#action = queues.action;
    this.#handle = arrival.waiting.handle;
    this.#queues = queues;
    const { promise, resolve, reject } = deferred<Answer>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get info(): WaitInfo {
    return { action: this.#action, key: this.name, sinceAtMs: this.sinceAtMs };
  }

  /** Answers the caller. False when the wait was over already. */
  settle(answer: Answer): boolean {
    if (!this.#leave()) return false;
    this.#resolve(answer);
    return true;
  }

  /** Refuses the caller. False when the wait was over already. */
  fail(reason: EphemeralError): boolean {
    if (!this.#leave(reason)) return false;
    this.#reject(reason);
    return true;
  }

  /** Its message is made before it leaves, while what it waited for still stands. */
  override expire(): void {
    const queues = this.#queues;
    if (queues !== undefined) this.fail(queues.timedOut(this));
  }

  #leave(reason?: EphemeralError): boolean {
    const queues = this.#queues;
    if (queues === undefined) return false;
    this.#queues = undefined;
    this.#handle.cancel = undefined;
    queues.leave(this, reason);
    return true;
  }
}

interface Linked<Self> {
  previous: Self | undefined;
  next: Self | undefined;
}

/** A list linked through its members: joining, and leaving from the middle, cost the same however long it is. */
export class WaitQueue<Member extends Linked<Member>> {
  first: Member | undefined;
  #last: Member | undefined;

  append(member: Member): void {
    member.previous = this.#last;
    if (this.#last === undefined) this.first = member;
    else this.#last.next = member;
    this.#last = member;
  }

  prepend(member: Member): void {
    member.next = this.first;
    if (this.first === undefined) this.#last = member;
    else this.first.previous = member;
    this.first = member;
  }

  /** Lets go of all at once; they do not know. */
  clear(): void {
    this.first = undefined;
    this.#last = undefined;
  }

  remove(member: Member): void {
    const { previous, next } = member;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    member.previous = undefined;
    member.next = undefined;
  }
}

function tooManyWaits(actual: string): EphemeralError {
  return new EphemeralError("too_many_commands", `Cannot wait: ${actual}`);
}
