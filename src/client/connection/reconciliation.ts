/**
 * What is held, compared with what callers know of and with what the broker lists after a cut: tells what is to be given back
 * and what is lost, and answers calls whose answer that tells.
 */
import type { Hold } from "../../protocol/commands.ts";
import type { Handles } from "../turns/held-grant.ts";
import type { Call, Outgoing } from "./call.ts";
import { type Grant, grantOf, Holds, isAbout, isGrant, type LostHold, undoOf } from "./holds.ts";

/** Commands that end a hold, as its absence shows. */
const ending = /release|ack$/;

export interface Answer {
  readonly call: Call;
  /** Undefined where the broker says that we do not hold what the command ends. */
  readonly reply: object | undefined;
}

export class Reconciliation {
  /** What no handle is for. */
  readonly #holds = new Holds();
  readonly #handles: Handles;

  constructor(handles: Handles) {
    this.#handles = handles;
  }

  /** Notes an answer; a grant was taken by its caller. */
  answered({ call, reply }: Answer): void {
    const grant = reply && grantOf(call.command, reply);
    if (reply === undefined || grant === undefined) this.#holds.note(call.command, reply);
    else this.#holds.add(call.command, grant, reply);
  }

  /** The caller of what granted something has gone. Returns what gives it back, unless somebody has got the same or one of the
   *  `waiting` calls is about it. */
  unclaimed({ call, reply }: Answer, waiting: readonly Call[]): Outgoing | undefined {
    const grant = reply && grantOf(call.command, reply);
    return grant === undefined || this.#isExpected(grant, waiting) ? undefined : undoOf(grant);
  }

  /** The session goes on with `holds`. Answers those of the `waiting` calls whose answer they tell, and returns what is to be
   *  said before them. */
  resumed(holds: readonly Hold[], waiting: readonly Call[]): readonly Outgoing[] {
    const { grants, jobs } = this.#handles;
    for (const ended of [...this.#endedGrants(holds), ...this.#holds.retain(holds)]) {
      for (const call of waiting) {
        if (call.mayHaveRun && ending.test(call.action) && isAbout(call.command, ended))
          call.succeed({ released: true });
      }
      if (ended.kind === "grant") grants.get(ended.id)?.lose();
      else if (ended.kind === "job") jobs.get(ended.fence)?.lose();
    }
    const unexpected = holds.filter((hold): hold is Grant => isGrant(hold) && !this.#isExpected(hold, waiting));
    return unexpected.map(undoOf);
  }

  /** The session has ended. Returns what ended with it. */
  lose(): readonly LostHold[] {
    return this.#holds.lose();
  }

  /** Grants with a handle that are not among `holds`. */
  #endedGrants(holds: readonly Hold[]): readonly Grant[] {
    const there = new Set(holds.map(({ kind, id }) => (kind === "grant" ? id : "")));
    const ended = [...this.#handles.grants.values()].filter(({ id }) => !there.has(id));
    return ended.map(({ id, fence }) => ({ kind: "grant", id, fence, items: [] }));
  }

  /** Whether a caller knows of `grant`, or one of the `waiting` will: a lease is renewed by the command that was granted it,
   *  a turn answers one that waits for it. */
  #isExpected(grant: Grant, waiting: readonly Call[]): boolean {
    if (grant.kind === "grant" ? this.#handles.grants.has(grant.id) : this.#holds.has(grant)) return true;
    const call = waiting.find((one) => isAbout(one.command, grant));
    if (call !== undefined && grant.kind === "once") {
      const reply = { leader: true, fence: grant.fence };
      call.succeed(reply);
      this.#holds.add(call.command, grant, reply);
    }
    return call !== undefined;
  }
}
