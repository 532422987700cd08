import { describe, expect, test } from "bun:test";
import { type Task, TaskLine, type TaskOffer } from "../../src/broker/connections/task-line.ts";

/** A task that costs nothing and is kept as it is. */
const offer = (task: Task): TaskOffer => ({ bytes: 0, task, kept: () => task });

/** A line with room for `tasksMax`, and a diary of what it did. */
function line(tasksMax = 3) {
  const diary: string[] = [];
  const held = { back: false };
  const tasks: TaskLine<undefined> = new TaskLine(undefined, {
    hasRoom: () => tasks.length < tasksMax,
    isHeldBack: () => held.back,
    refuse: () => void diary.push("refused"),
  });
  /** A task that is done when its promise is resolved. */
  const slow = (name: string): PromiseWithResolvers<void> => {
    const gate = Promise.withResolvers<void>();
    tasks.run(
      offer(() => {
        diary.push(`${name} starts`);
        return gate.promise.then(() => void diary.push(`${name} ends`));
      }),
    );
    return gate;
  };
  const quick = (name: string): void => tasks.run(offer(() => void diary.push(name)));
  return { tasks, diary, held, slow, quick };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("TaskLine.run()", () => {
  test("does a quick task within the call and keeps nothing of it", () => {
    const { tasks, diary, quick } = line();
    quick("a");
    quick("b");
    expect(diary).toEqual(["a", "b"]);
    expect(tasks.length).toBe(0);
  });

  test("starts the next only when the one before is done, slow or quick", async () => {
    const { tasks, diary, slow, quick } = line();
    const first = slow("first");
    const second = slow("second");
    quick("third");
    expect(tasks.length).toBe(3);
    expect(diary).toEqual(["first starts"]);
    second.resolve();
    await turn();
    expect(diary).toEqual(["first starts"]);
    first.resolve();
    await turn();
    expect(diary).toEqual(["first starts", "first ends", "second starts", "second ends", "third"]);
    expect(tasks.length).toBe(0);
  });

  test("refuses what finds no room in its turn, however much it is", async () => {
    const { tasks, diary, slow, quick } = line(2);
    const first = slow("first");
    quick("second");
    for (let count = 0; count < 1000; count++) quick("too many");
    expect(tasks.length).toBe(2);
    expect(diary).toEqual(["first starts"]);
    first.resolve();
    await turn();
    expect(diary).toEqual(["first starts", "first ends", "second", ...Array(1000).fill("refused")]);
    quick("after");
    expect(diary.at(-1)).toBe("after");
  });

  test("with no room at all refuses at once when nothing is before it", () => {
    const { diary, quick } = line(0);
    quick("a");
    expect(diary).toEqual(["refused"]);
  });

  test("keeps order for a task that came while a slow one was done", async () => {
    const { diary, slow, quick } = line();
    const first = slow("first");
    first.resolve();
    quick("second");
    await turn();
    quick("third");
    expect(diary).toEqual(["first starts", "first ends", "second", "third"]);
  });
});

describe("TaskLine.run() of a task that costs bytes", () => {
  test("counts those that wait for their turn, from their arrival to their start, and no other", async () => {
    const tasks = new TaskLine(undefined, {
      hasRoom: () => true,
      isHeldBack: () => false,
      refuse: () => expect.unreachable(),
    });
    const gates = [1, 20, 300].map((bytes) => {
      const gate = Promise.withResolvers<void>();
      tasks.run({ ...offer(() => gate.promise), bytes });
      return gate;
    });
    const seen = [tasks.bytes];
    for (const gate of gates) {
      gate.resolve();
      await turn();
      seen.push(tasks.bytes);
    }
    expect(seen).toEqual([320, 300, 0, 0]);
  });

  test("asks for room for its bytes only where it has to wait", () => {
    const asked: number[] = [];
    const tasks = new TaskLine(undefined, {
      hasRoom: (_owner, bytes) => asked.push(bytes) > 0,
      isHeldBack: () => false,
      refuse: () => expect.unreachable(),
    });
    tasks.run({ ...offer(() => {}), bytes: 7 });
    tasks.run({ ...offer(() => new Promise(() => {})), bytes: 8 });
    tasks.run({ ...offer(() => {}), bytes: 9 });
    expect(asked).toEqual([0, 0, 9]);
    tasks.clear();
    expect(tasks.bytes).toBe(0);
  });

  test("keeps the form to be kept of what waits, and makes it of nothing else", async () => {
    const { tasks, diary, slow } = line(2);
    const both = (name: string): TaskOffer => ({
      bytes: 0,
      task: () => void diary.push(`${name} as it came`),
      kept: () => {
        diary.push(`${name} is kept`);
        return () => void diary.push(`${name} as kept`);
      },
    });
    tasks.run(both("a"));
    const gate = slow("b");
    tasks.run(both("c"));
    tasks.run(both("too many"));
    gate.resolve();
    await turn();
    expect(diary).toEqual(["a as it came", "b starts", "c is kept", "b ends", "c as kept", "refused"]);
  });

  test("keeps a task that came while held back", () => {
    const { tasks, diary, held } = line();
    held.back = true;
    tasks.run({ bytes: 5, task: () => expect.unreachable(), kept: () => () => void diary.push("kept") });
    expect([tasks.bytes, tasks.length]).toEqual([5, 1]);
    held.back = false;
    tasks.goOn();
    expect(diary).toEqual(["kept"]);
  });
});

describe("TaskLine.goOn()", () => {
  test("takes up where answers were held back: before a task, and amid refusals", async () => {
    const { tasks, diary, held, slow, quick } = line(2);
    const first = slow("first");
    quick("second");
    quick("too many");
    quick("too many");
    held.back = true;
    first.resolve();
    await turn();
    expect(diary).toEqual(["first starts", "first ends"]);
    held.back = false;
    tasks.goOn();
    expect(diary.slice(2)).toEqual(["second", "refused", "refused"]);
    expect(tasks.length).toBe(0);
  });

  test("does not start a second task while one is being done", async () => {
    const { tasks, diary, slow, quick } = line();
    const first = slow("first");
    quick("second");
    tasks.goOn();
    expect(diary).toEqual(["first starts"]);
    first.resolve();
    await turn();
    expect(diary).toEqual(["first starts", "first ends", "second"]);
  });

  test("says one refusal at a time when each holds back the next", () => {
    const said: string[] = [];
    let isHeldBack = false;
    let room = 1;
    const gate = Promise.withResolvers<void>();
    const tasks = new TaskLine(undefined, {
      hasRoom: () => room-- > 0,
      isHeldBack: () => isHeldBack,
      refuse: () => {
        said.push("refused");
        isHeldBack = true;
      },
    });
    tasks.run(offer(() => gate.promise));
    for (let count = 0; count < 3; count++) tasks.run(offer(() => expect.unreachable()));
    gate.resolve();
    return turn().then(() => {
      expect(said).toEqual(["refused"]);
      isHeldBack = false;
      tasks.goOn();
      expect(said).toEqual(["refused", "refused"]);
    });
  });
});

describe("TaskLine.clear()", () => {
  test("forgets what has not started and lets the running one end", async () => {
    const { tasks, diary, slow, quick } = line(2);
    const first = slow("first");
    quick("second");
    quick("too many");
    tasks.clear();
    expect(tasks.length).toBe(1);
    first.resolve();
    await turn();
    expect(diary).toEqual(["first starts", "first ends"]);
    quick("after");
    expect(diary.at(-1)).toBe("after");
  });

  test("forgets what was held back", async () => {
    const { tasks, diary, held, slow, quick } = line(2);
    const first = slow("first");
    quick("second");
    held.back = true;
    first.resolve();
    await turn();
    tasks.clear();
    held.back = false;
    tasks.goOn();
    quick("after");
    expect(diary).toEqual(["first starts", "first ends", "after"]);
  });
});
