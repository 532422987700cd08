import { describe, expect, test } from "bun:test";
import type { LostHold } from "../../src/client/client.ts";
import { systemClientClock } from "../../src/client/client-clock.ts";
import { Call, type Outgoing } from "../../src/client/connection/call.ts";
import { Resumption } from "../../src/client/connection/resumption.ts";

const lease = { action: "lease", key: "accounts", workerId: "w", ttl: undefined, scope: "session" } as const;
const once = { action: "once", key: "token" } as const;

class Answers {
  readonly undone: Outgoing[] = [];
  readonly lost: LostHold[] = [];
  readonly waiting: Call[] = [];
  readonly resumption = new Resumption({
    clock: systemClientClock,
    handles: { grants: new Map(), jobs: new Map() },
    onLost: (holds) => this.lost.push(...holds),
    onOver: () => {},
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
    const undo = this.resumption.answered({ call, reply }, others);
    if (undo !== undefined) this.undone.push(undo);
  }

  given(command: Outgoing, reply: object): void {
    this.answer(this.call(command), reply);
  }

  /** Its caller gives up before the answer comes. */
  late(command: Outgoing): Call {
    const call = this.call(command);
    call.fail("enough");
    return call;
  }
}

const release = { action: "release", workerId: "w", key: "accounts" } as const;
const granted = { ok: true, value: 0, fence: 1 };

describe("Resumption.answered()", () => {
  test("gives back a lease that came too late", () => {
    const answers = new Answers();
    answers.answer(answers.late(lease), granted);
    expect(answers.undone).toEqual([release]);
  });

  // It was released behind the renewal, under a caller who was told that he has it.
  test("leaves a lease that came too late to a caller who asked again and has got it", () => {
    const answers = new Answers();
    const late = answers.late(lease);
    answers.given(lease, granted);
    answers.answer(late, granted);
    expect(answers.undone).toEqual([]);
  });

  test("leaves a lease that came too late to a caller who has asked again and waits for it", () => {
    const answers = new Answers();
    const late = answers.late(lease);
    answers.call(lease);
    answers.answer(late, granted);
    expect(answers.undone).toEqual([]);
  });

  test("leaves a lease alone that was released and got anew before one came too late", () => {
    const answers = new Answers();
    const late = answers.late(lease);
    answers.given(release, { ok: true, released: true });
    answers.given(lease, { ok: true, value: 0, fence: 2 });
    answers.answer(late, granted);
    expect(answers.undone).toEqual([]);
  });

  test("gives back a lease that came too late in the place of one that has run out", () => {
    const answers = new Answers();
    answers.given(lease, { ...granted, expiresAtMs: 1 });
    answers.answer(answers.late(lease), { ...granted, fence: 2 });
    expect(answers.undone).toEqual([release]);
  });

  // Kept for a caller who had gone by then, nobody had it, and whoever waited for it waited until this process ended.
  test("gives back a turn that came too late though somebody waited for it, who has gone, too", () => {
    const answers = new Answers();
    const [late, other] = [answers.late(once), answers.call(once)];
    other.fail("enough");
    answers.answer(late, { ok: true, leader: true, fence: 1 });
    expect(answers.undone).toMatchObject([{ action: "once.reject", key: "token", fence: 1 }]);
  });

  test("answers with a turn that came too late a caller who waits for it", () => {
    const answers = new Answers();
    const [late, other] = [answers.late(once), answers.call(once)];
    answers.answer(late, { ok: true, leader: true, fence: 1 });
    expect({ undone: answers.undone, outcome: other.outcome }).toEqual({ undone: [], outcome: "answered" });
  });
});

describe("Resumption.cut()", () => {
  // Told behind the next greeting, the loss of the one before could be taken for that of the lease got since.
  test("tells what has ended before the next connection is made", async () => {
    const answers = new Answers();
    answers.given(lease, granted);
    answers.resumption.cut();
    await undefined;
    expect(answers.lost).toEqual([{ kind: "lease", key: "accounts", workerId: "w", fence: 1 }]);
  });
});
