/**
 * Requests that are not answered yet: from whoever asks to the session that is chosen to answer, and back. One waits as any
 * command does, for a responder first where there is none, then for its answer; both are its one wait. Knows nothing of bytes.
 */
import type { Waiting } from "../../engine/engine.ts";
import { OwnerIndex } from "../../engine/owner-index.ts";
import { type Wait, WaitQueues, type Waits } from "../../engine/wait-queue.ts";
import { inWords, nameOf } from "../../engine/wording.ts";
import { Encoded, type EncodedValue } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import type { Session } from "../sessions/session.ts";
import type { DirectPushes } from "./direct-pushes.ts";
import { Responders } from "./responders.ts";

export interface Question {
  readonly method: string;
  readonly data: EncodedValue;
  /** The only session that may answer; undefined for whoever serves the method. */
  readonly to: string | undefined;
}

/** A question under the number it is answered by, and who was asked, once somebody is. */
interface Asking extends Question {
  readonly number: number;
  /** What its data takes of every bound. */
  readonly bytes: number;
  /** Whether somebody has to serve it as long as nobody was asked. */
  readonly isUrgent: boolean;
  asked: { readonly responder: Session; readonly sinceAtMs: number } | undefined;
}

type Asked = Wait<Asking, EncodedValue>;

export interface RequestsOptions {
  /** The register in which these stand beside all others that wait. */
  readonly waits: Waits;
  readonly limits: Limits;
  readonly pushes: DirectPushes;
  readonly nowMs: number;
}

/** Numbers grow across restarts, so that no client takes one for another: nobody asks a thousand times a millisecond. */
const numbersPerMs = 1000;

export class Requests {
  readonly responders: Responders;
  /** Requests whose responder ended before it answered, so far. */
  lostCount = 0;
  readonly #waits: Waits;
  readonly #requestBytesMax: number;
  readonly #pushes: DirectPushes;
  readonly #queues: WaitQueues<Asking, EncodedValue>;
  readonly #byNumber = new Map<number, Asked>();
  /** Of each responder those it was asked, oldest first. */
  readonly #byResponder = new OwnerIndex<Asked>();
  /** And how many bytes they have. */
  readonly #askedBytes = new Map<string, number>();
  /** A responder that has so many unanswered is asked no more: past its outbox it would be taken for a slow reader. */
  readonly #askedBytesMax: number;
  #bytes = 0;
  /** The last one given out. */
  #number: number;

  constructor({ waits, limits, pushes, nowMs }: RequestsOptions) {
    this.#waits = waits;
    this.#requestBytesMax = limits.requestBytesMax;
    this.#askedBytesMax = limits.outboxBytesMax / 2;
    this.#pushes = pushes;
    this.#number = nowMs * numbersPerMs;
    this.responders = new Responders(limits, {
      isReachable: (session) => pushes.reaches(session),
      hasRoom: (session) => this.#hasRoom(session),
      loadOf: (session) => this.#byResponder.count(session.id),
    });
    this.#queues = new WaitQueues({
      waits,
      action: "request",
      timedOut: (wait) => this.#timedOut(wait),
      left: (wait) => this.#left(wait),
    });
  }

  /** Requests nobody has answered yet. */
  get size(): number {
    return this.#byNumber.size;
  }

  /** Asks, or with `waitMs` waits for somebody to ask, and resolves to the answer. Without it the answer may take as long as the
   *  connection lives.
   *  @throws {EphemeralError} `no_responder`, `responder_failed`, `timeout`, `cancelled`, `too_many_commands` */
  ask(question: Question, waiting: Waiting): Promise<EncodedValue> {
    const nowMs = this.#waits.expiries.sweep();
    const bytes = Buffer.byteLength(question.data);
    this.#requireRoom(question.method, bytes);
    const isUrgent = waiting.waitMs === 0;
    if (isUrgent && !this.responders.isReachable(question.method, question.to)) throw this.#noResponder(question);
    const responder = this.responders.choose(question.method, question.to);
    const asking: Asking = { ...question, number: ++this.#number, bytes, isUrgent, asked: undefined };
    const patient = { ...waiting, waitMs: waiting.waitMs || -1 };
    const wait = this.#queues.enqueue({ name: question.method, request: asking, waiting: patient, nowMs });
    this.#byNumber.set(asking.number, wait);
    this.#bytes += bytes;
    if (responder !== undefined) this.#hand(wait, responder);
    return wait.answer;
  }

  /** Answers request `number`, as `responder` was asked to. False when nobody waits for that any more. */
  answer(number: number, responder: Session, data: EncodedValue): boolean {
    return this.#askedOf(number, responder)?.settle(data) ?? false;
  }

  /** Says why request `number` is not answered. False when nobody waits for that any more. */
  fail(number: number, responder: Session, failure: string): boolean {
    const wait = this.#askedOf(number, responder);
    if (wait === undefined) return false;
    const text = `Cannot request ${JSON.stringify(wait.name)}: ${nameOf(responder)} failed: ${failure}`;
    const details = { reason: failure, session: responder.id };
    return wait.fail(new EphemeralError("responder_failed", text, { details }));
  }

  /** `responder` serves one method more: whoever waits for that asks it, in the order they came. */
  served(responder: Session, method: string): void {
    this.#waits.expiries.sweep();
    this.#handOn(responder, method);
  }

  /** `responder` serves `method` no more. Who was to ask it and has not is told, unless there are others. */
  stopped(responder: Session, method: string): void {
    this.responders.stop(responder, method);
    for (const wait of this.#unasked(method)) {
      const { isUrgent, to } = wait.request;
      if (isUrgent && !this.responders.isServed(method, to)) wait.fail(this.#noResponder(wait.request));
    }
  }

  /** `responder` has a new connection: it is asked again what it has not answered, as the push or the answer may have been lost,
   *  and then what nobody could be asked meanwhile. */
  resumed(responder: Session): void {
    this.#waits.expiries.sweep();
    for (const wait of this.#byResponder.of(responder.id)) this.#push(wait, responder);
    for (const method of this.responders.methodsOf(responder)) this.served(responder, method);
  }

  /** Whoever waits for an answer of `responder` is told that none will come. */
  sessionEnded(responder: Session): void {
    for (const method of this.responders.methodsOf(responder)) this.stopped(responder, method);
    for (const wait of this.#byResponder.of(responder.id)) {
      const text = `${nameOf(responder)} ended before it answered; what it did is unknown`;
      const details = { outcome: "unknown", session: responder.id };
      this.lostCount++;
      wait.fail(
        new EphemeralError("responder_failed", `Cannot request ${JSON.stringify(wait.name)}: ${text}`, { details }),
      );
    }
  }

  #askedOf(number: number, responder: Session): Asked | undefined {
    this.#waits.expiries.sweep();
    const wait = this.#byNumber.get(number);
    return wait?.request.asked?.responder === responder ? wait : undefined;
  }

  #hasRoom({ id }: Session): boolean {
    return (this.#askedBytes.get(id) ?? 0) < this.#askedBytesMax;
  }

  /** Those nobody was asked yet, in the order they came. */
  *#unasked(method: string): Iterable<Asked> {
    let next = this.#queues.first(method);
    while (next !== undefined) {
      const wait = next;
      next = wait.next;
      if (wait.request.asked === undefined) yield wait;
    }
  }

  /** Asks `responder` what nobody could be asked, as far as it has room. */
  #handOn(responder: Session, method: string): void {
    if (!this.#pushes.reaches(responder) || !this.responders.isServed(method, responder.id)) return;
    for (const wait of this.#unasked(method)) {
      if (!this.#hasRoom(responder)) return;
      const { to } = wait.request;
      if (to === undefined || to === responder.id) this.#hand(wait, responder);
    }
  }

  #hand(wait: Asked, responder: Session): void {
    wait.request.asked = { responder, sinceAtMs: this.#waits.expiries.sweptAtMs };
    this.#byResponder.add(responder.id, wait);
    this.#askedBytes.set(responder.id, (this.#askedBytes.get(responder.id) ?? 0) + wait.request.bytes);
    this.#push(wait, responder);
  }

  /** What one codec carries another may not: then whoever asked is told. */
  #push(wait: Asked, responder: Session): void {
    const { number: request, data, method } = wait.request;
    try {
      this.#pushes.say(responder, { push: "request", request, method, data: new Encoded(data), from: wait.caller.id });
    } catch (error) {
      if (!(error instanceof EphemeralError)) throw error;
      wait.fail(error);
    }
  }

  #left(wait: Asked): void {
    const { number, bytes, asked } = wait.request;
    this.#byNumber.delete(number);
    this.#bytes -= bytes;
    if (asked !== undefined) this.#answeredBy(asked.responder, wait);
  }

  /** Or nobody waits for its answer any more. */
  #answeredBy(responder: Session, wait: Asked): void {
    const hadRoom = this.#hasRoom(responder);
    this.#byResponder.delete(responder.id, wait);
    const bytes = (this.#askedBytes.get(responder.id) ?? 0) - wait.request.bytes;
    if (bytes > 0) this.#askedBytes.set(responder.id, bytes);
    else this.#askedBytes.delete(responder.id);
    if (hadRoom) return;
    for (const method of this.responders.methodsOf(responder)) this.#handOn(responder, method);
  }

  #requireRoom(method: string, bytes: number): void {
    if (this.#bytes + bytes <= this.#requestBytesMax) return;
    const actual = `${this.#bytes} bytes are in requests without an answer, limit is ${this.#requestBytesMax}`;
    throw new EphemeralError("too_many_commands", `Cannot request ${JSON.stringify(method)}: ${actual}`);
  }

  #timedOut({ name, waitMs, request }: Asked): EphemeralError {
    const { asked } = request;
    if (asked === undefined)
      return new EphemeralError("timeout", `Timed out after ${waitMs} ms: ${this.#absence(request)}`);
    const { responder, sinceAtMs } = asked;
    const since = inWords(this.#waits.expiries.sweptAtMs - sinceAtMs);
    const text = `session ${responder.id} (${nameOf(responder)}) has had request ${JSON.stringify(name)} for ${since}`;
    const details = { outcome: "unknown", session: responder.id };
    return new EphemeralError("timeout", `Timed out after ${waitMs} ms: ${text}`, { details });
  }

  #noResponder(question: Question): EphemeralError {
    return new EphemeralError("no_responder", `Cannot request ${this.#absence(question)}`);
  }

  /** `"sum": nobody serves it` */
  #absence({ method, to }: Question): string {
    if (this.responders.isReachable(method, to))
      return `${JSON.stringify(method)}: whoever serves it is busy with others`;
    const isServed = this.responders.isServed(method, to);
    const missing = to === undefined ? "nobody serves it" : `session ${to} does not serve it`;
    const lingering = to === undefined ? "nobody who serves it is connected" : `session ${to} is not connected`;
    return `${JSON.stringify(method)}: ${isServed ? lingering : missing}`;
  }
}
