import { describe, expect, test } from "bun:test";
import { Inbox } from "../../src/broker/connections/inbox.ts";
import { Turns } from "../../src/broker/connections/turns.ts";
import { LineDecoder } from "../../src/protocol/line-decoder.ts";

/** An inbox whose turns are over after `framesATurn` frames, and a diary of what it did. */
function manualInbox({ framesATurn = 2 } = {}) {
  const diary: string[] = [];
  const rounds: (() => void)[] = [];
  const time = { nowMs: 0 };
  const owner = { isStopped: false, timesWorkedOff: 0 };
  const inbox: Inbox<undefined> = new Inbox(undefined, {
    decoder: new LineDecoder(100),
    turns: new Turns({ elapsedMs: () => time.nowMs, defer: (round) => void rounds.push(round) }),
    socket: { pause: () => void diary.push("paused"), resume: () => void diary.push("resumed") },
    host: {
      isStopped: () => owner.isStopped,
      frame: (_owner, frame) => {
        const line = Buffer.from(frame).toString();
        diary.push(line);
        time.nowMs += 1 / framesATurn;
        if (line === "stop") owner.isStopped = true;
        if (line === "close") inbox.close();
      },
      goOn: () => void diary.push("goes on"),
      workedOff: () => {
        owner.timesWorkedOff++;
      },
      failed: (_owner, error) => void diary.push(`${(error as { code?: string }).code}`),
    },
  });
  const receive = (text: string): void => inbox.receive(Buffer.from(text));
  const turn = (): void => {
    for (const begin of rounds.splice(0)) begin();
  };
  return { inbox, diary, owner, receive, turn };
}

describe("Inbox.receive()", () => {
  test("hands on frames till the end of the turn, lets no more come, and goes on in the next turn", () => {
    const { diary, receive, turn } = manualInbox({ framesATurn: 3 });
    receive("1\n2\n3\n4\n5\nha");
    expect(diary).toEqual(["1", "2", "3", "paused"]);
    turn();
    expect(diary.slice(4)).toEqual(["goes on", "4", "5", "resumed"]);
    receive("lf\n");
    expect(diary.at(-1)).toBe("half");
  });

  test("keeps what comes though it was to come no more", () => {
    const { diary, receive, turn } = manualInbox();
    receive("1\n2\n3\n");
    receive("4\n");
    turn();
    turn();
    expect(diary).toEqual(["1", "2", "paused", "goes on", "3", "4", "paused", "goes on", "resumed"]);
  });

  test("is empty, and says so, when what it kept is worked off and not before", () => {
    const { inbox, owner, receive, turn } = manualInbox();
    receive("1\n2\n3\n");
    expect([inbox.isEmpty, owner.timesWorkedOff]).toEqual([false, 0]);
    turn();
    expect([inbox.isEmpty, owner.timesWorkedOff]).toEqual([true, 1]);
  });

  test("keeps what is behind the frame that stopped it until it is told to go on", () => {
    const { inbox, diary, owner, receive } = manualInbox({ framesATurn: 100 });
    receive("1\nstop\n2\n");
    receive("3\n");
    expect(diary).toEqual(["1", "stop"]);
    owner.isStopped = false;
    inbox.goOn();
    expect(diary.slice(2)).toEqual(["goes on", "2", "3", "resumed"]);
  });

  test("does not go on in a turn while it is stopped, nor when told to while it waits for a turn", () => {
    const { inbox, diary, owner, receive, turn } = manualInbox();
    receive("1\n2\n3\n");
    owner.isStopped = true;
    turn();
    expect(diary).toEqual(["1", "2", "paused"]);
    owner.isStopped = false;
    inbox.goOn();
    expect(diary.slice(3)).toEqual(["goes on", "3", "resumed"]);
    receive("4\n5\n6\n");
    inbox.goOn();
    expect(diary.slice(6)).toEqual(["4", "5", "paused"]);
    turn();
    expect(diary.slice(9)).toEqual(["goes on", "6", "resumed"]);
  });

  test("tells what cannot be read, once", () => {
    const { diary, receive } = manualInbox();
    receive(`1\n${"x".repeat(200)}`);
    expect(diary).toEqual(["1", "too_large"]);
  });
});

describe("Inbox.close()", () => {
  test("ends it, amid frames and while it waits for a turn", () => {
    const { inbox, diary, receive, turn } = manualInbox();
    receive("1\nclose\n2\n");
    receive("3\n");
    expect(diary).toEqual(["1", "close"]);
    inbox.goOn();
    expect(diary).toHaveLength(2);

    const waiting = manualInbox();
    waiting.receive("1\n2\n3\n");
    waiting.inbox.close();
    waiting.turn();
    turn();
    expect(waiting.diary).toEqual(["1", "2", "paused"]);
  });
});
