import { describe, expect, test } from "bun:test";
import { Call, type Outgoing } from "../../src/client/call.ts";
import type { LostHold } from "../../src/client/client.ts";
import { systemClientClock } from "../../src/client/client-clock.ts";
import { Resumption } from "../../src/client/resumption.ts";

const lease = { action: "lease", key: "accounts", workerId: "w", ttl: undefined, scope: "session" } as const;
const once = { action: "once", key: "token" } as const;

/** What is loaded with the first hold is never there in the turn that asks for it, so all that one test says in one turn comes
 *  while it is being loaded. */
class Answers {
  readonly undone: Outgoing[] = [];
  readonly lost: LostHold[] = [];
  readonly waiting: Call[] = [];
  readonly resumption = new Resumption({
    clock: systemClientClock,
    lingerMs: undefined,
    onLost: (holds) => this.lost.push(...holds),
    onOver: () => {},
    onUnclaimed: (undo) => this.undone.push(undo),
  });

  call(command: Outgoing): Call {
    const start = { resolve: () => {}, reject: () => {}, onSettled: () => {}, nowMs: 0, deadlineMs: 0 };
    const call: Call = new Call({ command, read: (reply) => reply }, start);
    this.waiting.push(call);
    return call;
  }

  /** The reply comes; nobody takes it where the caller has gone before. */
  answer(call: Call, reply: object): void {
    call.succeed(reply);
    const others = (): readonly Call[] => this.waiting.filter((other) => !other.isSettled);
    this.resumption.answered({ call, reply, others });
  }

  given(command: Outgoing, reply: object): void {
    this.answer(this.call(command), reply);
  }

  /** Its caller gave up before the answer came. */
  givenTooLate(command: Outgoing, reply: object): void {
    const call = this.call(command);
    call.fail("enough");
    this.answer(call, reply);
  }
}

describe("Resumption, while what is known of holds is being loaded,", () => {
  test("gives back a lease that came too late", async () => {
    const answers = new Answers();
    answers.givenTooLate(lease, { ok: true, value: 0, fence: 1 });
    await answers.resumption.loading;
    expect(answers.undone).toEqual([{ action: "release", workerId: "w", key: "accounts" }]);
  });

  // It was released behind the renewal, under a caller who was told that he has it.
  test("leaves a lease that came too late to a caller who has asked again and got it", async () => {
    const answers = new Answers();
    answers.givenTooLate(lease, { ok: true, value: 0, fence: 1 });
    answers.given(lease, { ok: true, value: 0, fence: 1 });
    await answers.resumption.loading;
    expect(answers.undone).toEqual([]);
  });

  test("leaves a lease that came too late to a caller who has asked again and waits for it", async () => {
    const answers = new Answers();
    answers.givenTooLate(lease, { ok: true, value: 0, fence: 1 });
    answers.call(lease);
    await answers.resumption.loading;
    expect(answers.undone).toEqual([]);
  });

  test("leaves a lease alone that was released and got anew after one came too late", async () => {
    const answers = new Answers();
    answers.givenTooLate(lease, { ok: true, value: 0, fence: 1 });
    answers.given({ action: "release", workerId: "w", key: "accounts" }, { ok: true, released: true });
    answers.given(lease, { ok: true, value: 0, fence: 2 });
    await answers.resumption.loading;
    expect(answers.undone).toEqual([]);
  });

  test("gives back a lease that came too late in the place of one that has run out", async () => {
    const answers = new Answers();
    answers.given(lease, { ok: true, value: 0, fence: 1, expiresAtMs: 1 });
    answers.givenTooLate(lease, { ok: true, value: 0, fence: 2 });
    await answers.resumption.loading;
    expect(answers.undone).toEqual([{ action: "release", workerId: "w", key: "accounts" }]);
  });

  // Kept for a caller who had gone by then, nobody had it, and whoever waited for it waited until this process ended.
  test("gives back a turn that came too late though somebody waited for it then, who has gone, too", async () => {
    const answers = new Answers();
    const other = answers.call(once);
    answers.givenTooLate(once, { ok: true, leader: true, fence: 1 });
    other.fail("enough");
    await answers.resumption.loading;
    expect(answers.undone).toMatchObject([{ action: "once.reject", key: "token", fence: 1 }]);
  });

  test("answers with a turn that came too late a caller who waits for it", async () => {
    const answers = new Answers();
    const other = answers.call(once);
    answers.givenTooLate(once, { ok: true, leader: true, fence: 1 });
    await answers.resumption.loading;
    expect({ undone: answers.undone, outcome: other.outcome }).toEqual({ undone: [], outcome: "answered" });
  });

  // Told behind the next greeting, the loss of the one before could be taken for that of the lease got since.
  test("tells what a cut has ended before the next connection is made", async () => {
    const answers = new Answers();
    answers.given(lease, { ok: true, value: 0, fence: 1 });
    answers.resumption.cut();
    await answers.resumption.loading;
    expect(answers.lost).toEqual([{ kind: "lease", key: "accounts", workerId: "w", fence: 1 }]);
  });
});
