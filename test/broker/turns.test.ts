import { describe, expect, test } from "bun:test";
import { Turns } from "../../src/broker/connections/turns.ts";

/** Turns by a clock that stands until it is moved, and rounds that begin when they are told to. */
function manualTurns() {
  const rounds: (() => void)[] = [];
  const time = { nowMs: 100 };
  const turns = new Turns({ elapsedMs: () => time.nowMs, defer: (round) => void rounds.push(round) });
  const diary: string[] = [];
  /** Works for `costMs` a turn until `turnsLeft` are done. */
  const worker = (name: string, { costMs, turnsLeft }: { costMs: number; turnsLeft: number }) => {
    const work = (): void => {
      diary.push(name);
      time.nowMs += costMs;
      if (--turnsLeft > 0) turns.wait(work);
    };
    return work;
  };
  const round = (): void => {
    for (const begin of rounds.splice(0)) begin();
  };
  return { turns, time, rounds, diary, worker, round };
}

describe("Turns.isOver", () => {
  test("holds after a millisecond", () => {
    const { turns, time } = manualTurns();
    turns.begin();
    time.nowMs += 0.9;
    expect(turns.isOver).toBe(false);
    time.nowMs += 0.2;
    expect(turns.isOver).toBe(true);
    turns.begin();
    expect(turns.isOver).toBe(false);
  });

  test("holds after a tenth of that where many wait", () => {
    const { turns, time } = manualTurns();
    for (let count = 0; count < 4; count++) turns.wait(() => {});
    turns.begin();
    time.nowMs += 0.2;
    expect(turns.isOver).toBe(true);
  });
});

describe("Turns.wait()", () => {
  test("gives turns in the order of arrival, again and again, none within the call", () => {
    const { turns, diary, worker, round } = manualTurns();
    for (const name of ["a", "b", "c"]) turns.wait(worker(name, { costMs: 1, turnsLeft: name === "b" ? 1 : 2 }));
    expect(diary).toEqual([]);
    round();
    expect(diary).toEqual(["a", "b", "c", "a", "c"]);
  });

  test("ends a round after 5 ms, so that the kernel is asked for news, and asks for the next one once", () => {
    const { turns, diary, worker, round, rounds } = manualTurns();
    for (const name of ["a", "b"]) turns.wait(worker(name, { costMs: 2, turnsLeft: 4 }));
    round();
    expect(diary.join("")).toBe("aba");
    expect(rounds).toHaveLength(1);
    round();
    expect(diary.join("")).toBe("ababab");
    round();
    expect(diary.join("")).toBe("abababab");
    expect(rounds).toHaveLength(0);
  });

  test("begins a turn for each, and lets the first of a round have one whatever the time", () => {
    const { turns, time, round } = manualTurns();
    const over: boolean[] = [];
    turns.wait(() => {
      over.push(turns.isOver);
      time.nowMs += 1000;
    });
    turns.wait(() => over.push(turns.isOver));
    round();
    round();
    expect(over).toEqual([false, false]);
  });
});
