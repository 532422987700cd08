import { expect, test } from "bun:test";
import { LatePart } from "../../src/client/late-part.ts";

test("LatePart.call() loads once, and calls at once from then on", async () => {
  let loads = 0;
  const part = new LatePart(async () => ++loads);
  expect(await Promise.all([part.call(async (load) => load), part.call(async (load) => load)])).toEqual([1, 1]);
  const called: number[] = [];
  void part.call(async (load) => called.push(load));
  expect(called).toEqual([1]);
});

test("LatePart.call() lets no call overtake another, whenever it is loaded", async () => {
  const said: string[] = [];
  const loading = Promise.withResolvers<object>();
  const part = new LatePart(() => loading.promise);
  const say = (text: string): Promise<unknown> => part.call(async () => said.push(text));
  const first = say("first");
  // Runs between the end of the loading and the first call; what it says is called behind that, and after "third" is said.
  queueMicrotask(() => {
    queueMicrotask(() => void say("third"));
    void say("second");
  });
  loading.resolve({});
  await first;
  await say("last");
  expect(said).toEqual(["first", "second", "third", "last"]);
});

test("LatePart.call() tries again after a load that failed, as a page without its network does: it failed for ever", async () => {
  let loads = 0;
  const part = new LatePart(async () => {
    if (++loads === 1) throw new Error("no network");
    return loads;
  });
  const failed = [part.call(async () => "first"), part.call(async () => "second")];
  expect((await Promise.allSettled(failed)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await part.call(async (loaded) => loaded)).toBe(2);
});

// Thrown into the caller's face where it was loaded, and only there.
test("LatePart.call() rejects with what is thrown at once, loaded or not", async () => {
  const part = new LatePart(async () => ({}));
  const fail = (): Promise<never> => {
    throw new Error("thrown at once");
  };
  for (const _ of ["not loaded", "loaded"]) {
    const failure = await part.call(fail).catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: "thrown at once" });
  }
});
