/**
 * Who answers the requests of which method: sessions, each with the methods it serves, and which of them is asked next. Knows
 * nothing of requests.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import type { Session } from "../sessions/session.ts";

/** What the choice goes by. */
export interface Choice {
  readonly isReachable: (session: Session) => boolean;
  /** Whether it may be asked more before it has answered some. */
  readonly hasRoom: (session: Session) => boolean;
  /** How many requests it has not answered. */
  readonly loadOf: (session: Session) => number;
}

export class Responders {
  readonly #methodsMax: number;
  readonly #choice: Choice;
  /** Who serves each method, the one that was asked last at the end. */
  readonly #byMethod = new Map<string, Set<Session>>();
  readonly #methodsOf = new Map<Session, Set<string>>();

  constructor({ methodsPerSessionMax }: Limits, choice: Choice) {
    this.#methodsMax = methodsPerSessionMax;
    this.#choice = choice;
  }

  /** Methods served, those of each session counted apart. */
  get size(): number {
    let methods = 0;
    for (const served of this.#methodsOf.values()) methods += served.size;
    return methods;
  }

  methodsOf(session: Session): readonly string[] {
    return [...(this.#methodsOf.get(session) ?? [])];
  }

  /** @throws {EphemeralError} `too_many_names` past `methodsPerSessionMax` */
  start(session: Session, method: string): void {
    const methods = this.#methodsOf.get(session) ?? new Set();
    if (methods.has(method)) return;
    if (methods.size >= this.#methodsMax) {
      const actual = `this session serves ${methods.size} methods, limit is ${this.#methodsMax}`;
      throw new EphemeralError("too_many_names", `Cannot serve method ${JSON.stringify(method)}: ${actual}`);
    }
    this.#methodsOf.set(session, methods.add(method));
    const sessions = this.#byMethod.get(method) ?? new Set();
    this.#byMethod.set(method, sessions.add(session));
  }

  stop(session: Session, method: string): void {
    const methods = this.#methodsOf.get(session);
    if (methods?.delete(method) && methods.size === 0) this.#methodsOf.delete(session);
    const sessions = this.#byMethod.get(method);
    if (sessions?.delete(session) && sessions.size === 0) this.#byMethod.delete(method);
  }

  /** Whether anybody serves `method`, with a connection or without; `to`, where only that session counts. */
  isServed(method: string, to: string | undefined): boolean {
    const sessions = this.#byMethod.get(method)?.values();
    return sessions?.some(({ id }) => to === undefined || to === id) ?? false;
  }

  /** Whether one of them has a connection, and so will have room for a request sooner or later. */
  isReachable(method: string, to: string | undefined): boolean {
    const sessions = this.#byMethod.get(method)?.values();
    return sessions?.some((session) => (to ?? session.id) === session.id && this.#choice.isReachable(session)) ?? false;
  }

  /** The one to ask now: with a connection, with room, with the fewest unanswered requests, and of those the one that was asked of this
   *  method the longest time ago. `to`: that session or none. Costs a look at each that is busy. */
  choose(method: string, to: string | undefined): Session | undefined {
    const sessions = this.#byMethod.get(method);
    let chosen: Session | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const session of sessions ?? []) {
      if ((to ?? session.id) !== session.id || !this.#choice.isReachable(session)) continue;
      if (!this.#choice.hasRoom(session)) continue;
      const load = this.#choice.loadOf(session);
      if (load >= fewest) continue;
      [chosen, fewest] = [session, load];
      if (load === 0) break;
    }
    if (chosen === undefined) return undefined;
    sessions?.delete(chosen);
    sessions?.add(chosen);
    return chosen;
  }
}
