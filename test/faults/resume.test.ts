import { describe, expect, test } from "bun:test";
import type { Cut } from "../support/flaky-socket.ts";
import { Scene, settled } from "../support/resume-scene.ts";
import { until } from "../support/until.ts";

type Place = readonly [where: string, cut: Cut | "afterwards"];

/** Where a command's exchange is cut. */
const places: readonly Place[] = [
  ["before the command", { direction: "toBroker", afterBytes: 0 }],
  ["in the middle of the command", { direction: "toBroker", afterBytes: 12 }],
  ["before the reply", { direction: "toClient", afterBytes: 0 }],
  ["in the middle of the reply", { direction: "toClient", afterBytes: 9 }],
  ["in the reply, and the broker is not told", { direction: "toClient", afterBytes: 9, isHalf: true }],
  ["after the reply", "afterwards"],
];

/** Whether the broker got the command before the cut. */
const hasArrived = (cut: Cut | "afterwards"): boolean => cut === "afterwards" || cut.direction === "toClient";

/** Does what `act` does with its exchange cut at the place, and waits until the client is back in its session. */
async function actWithCut<Result>(scene: Scene, cut: Cut | "afterwards", act: () => Promise<Result>): Promise<Result> {
  const [before] = await scene.sessions();
  const { count } = scene.flaky;
  if (cut !== "afterwards") scene.flaky.current.arm(cut);
  const acted = act();
  if (cut === "afterwards") await acted;
  if (cut === "afterwards") scene.flaky.current.end();
  const result = await acted;
  await until(() => scene.flaky.count > count && scene.client.state === "connected");
  const sessions = await scene.sessions();
  expect(sessions.map(({ session, state }) => [session, state])).toEqual([[before?.session as string, "attached"]]);
  expect(scene.lost).toEqual([]);
  return result;
}

describe.each(places)("a client cut off %s", (_where, cut) => {
  test("set: fails as unknown and is not said again, or has succeeded", async () => {
    await using scene = await Scene.open();
    const set = await actWithCut(scene, cut, () => settled(scene.client.set("k", 1)));
    expect(set).toEqual(cut === "afterwards" ? expect.any(Number) : "unavailable unknown");
    expect(await settled(scene.watcher.get("k"))).toBe(hasArrived(cut) ? 1 : "not_found undefined");
  });

  test("lease: comes to its number, held once and by nobody else", async () => {
    await using scene = await Scene.open();
    const lease = (): Promise<unknown> => settled(scene.client.lease("accounts", "w", 60_000, { size: 1 }));
    expect(await actWithCut(scene, cut, lease)).toBe(0);
    expect(await scene.holds()).toEqual(["lease accounts w"]);
    const others = (): Promise<unknown> => settled(scene.watcher.lease("accounts", "other", null, { size: 1 }));
    expect(await others()).toBe("pool_exhausted undefined");
    expect(await scene.client.release("w")).toBe(true);
    expect(await others()).toBe(0);
  });

  test("lease that waits: waits on, and gets its number when it is free", async () => {
    await using scene = await Scene.open();
    await scene.watcher.lease("accounts", "other", null, { size: 1 });
    const isHeard = cut !== "afterwards" && cut.direction === "toClient";
    let lease: Promise<unknown> = Promise.resolve();
    await actWithCut(scene, cut === "afterwards" ? { direction: "toBroker", afterBytes: 0 } : cut, async () => {
      lease = settled(scene.client.lease("accounts", "w", null, { size: 1, waitMs: 10_000 }));
      // The reply is cut that comes with the number.
      if (isHeard) await until(async () => (await scene.sessions())[0]?.waits.length === 1);
      if (isHeard) await scene.watcher.release("other");
    });
    if (!isHeard) await until(async () => (await scene.sessions())[0]?.waits.length === 1);
    if (!isHeard) await scene.watcher.release("other");
    expect(await lease).toBe(0);
    expect(await scene.holds()).toEqual(["lease accounts w"]);
  });

  test("release: the number is free, and its caller knows", async () => {
    await using scene = await Scene.open();
    await scene.client.lease("accounts", "w", null, { size: 1 });
    expect(await actWithCut(scene, cut, () => settled(scene.client.release("w")))).toBe(true);
    expect(await scene.holds()).toEqual([]);
    expect(await scene.watcher.lease("accounts", "other", null, { size: 1 })).toBe(0);
  });

  test("acquire and release of a lock: it is held once, is free again, and its caller knows", async () => {
    await using scene = await Scene.open();
    const lock = await actWithCut(scene, cut, () => scene.client.lock("database"));
    expect(await scene.holds()).toEqual([`grant ${lock.id}`]);
    const other = await scene.client.lock("other");
    expect(await actWithCut(scene, cut, () => settled(lock.release()))).toBe(true);
    expect([await scene.holds(), lock.lost.aborted, other.lost.aborted]).toEqual([[`grant ${other.id}`], false, false]);
  });

  test("once: leads, produces one time, and everybody has the value", async () => {
    await using scene = await Scene.open();
    let produced = 0;
    const once = (): Promise<unknown> => settled(scene.client.once("token", () => ++produced));
    expect(await actWithCut(scene, cut, once)).toBe(1);
    expect([await scene.watcher.once("token", () => 2), produced, await scene.holds()]).toEqual([1, 1, []]);
  });

  test("once.resolve: what was produced once is everybody's", async () => {
    await using scene = await Scene.open();
    let produced = 0;
    const once = (): Promise<unknown> =>
      settled(
        scene.client.once("token", () => {
          if (cut !== "afterwards") scene.flaky.current.arm(cut);
          return ++produced;
        }),
      );
    const armed: Cut | "afterwards" = cut === "afterwards" ? cut : { direction: "toBroker", afterBytes: 1e9 };
    expect(await actWithCut(scene, armed, once)).toBe(1);
    expect([await scene.watcher.once("token", () => 2), produced, await scene.holds()]).toEqual([1, 1, []]);
  });

  test("once.reject: nobody leads any more, and its caller has the reason", async () => {
    await using scene = await Scene.open();
    const once = (): Promise<unknown> =>
      scene.client
        .once("token", () => {
          if (cut !== "afterwards") scene.flaky.current.arm(cut);
          throw new Error("login is down");
        })
        .catch((error: unknown) => (error as Error).message);
    const armed: Cut | "afterwards" = cut === "afterwards" ? cut : { direction: "toBroker", afterBytes: 1e9 };
    expect(await actWithCut(scene, armed, once)).toBe("login is down");
    expect([await scene.holds(), await scene.watcher.once("token", () => 2)]).toEqual([[], 2]);
  });

  test("get that waits: gets the value that comes later", async () => {
    await using scene = await Scene.open();
    const isHeard = cut !== "afterwards" && cut.direction === "toClient";
    let get: Promise<unknown> = Promise.resolve();
    await actWithCut(scene, cut === "afterwards" ? { direction: "toBroker", afterBytes: 0 } : cut, async () => {
      get = settled(scene.client.get("k", { waitMs: 10_000 }));
      if (isHeard) await until(async () => (await scene.sessions())[0]?.waits.length === 1);
      if (isHeard) await scene.watcher.set("k", 1);
    });
    if (!isHeard) await scene.watcher.set("k", 1);
    expect(await get).toBe(1);
  });

  test("limit that waits: waits on, is let through when there is room, and takes its place twice at most", async () => {
    await using scene = await Scene.open();
    const rate = { limit: 3, windowMs: 60_000 };
    await scene.watcher.penalize("api", 300);
    const limit = (): Promise<unknown> =>
      settled(scene.client.rateLimit("api", rate).then(({ remaining }) => remaining));
    const left = await actWithCut(scene, cut, limit);
    expect([1, 2]).toContain(left as number);
    const [next] = [await scene.watcher.rateLimit("api", rate)];
    expect(next.remaining).toBe((left as number) - 1);
  });

  test("lease given up while it was cut off: what was granted all the same goes to the next at once", async () => {
    await using scene = await Scene.open();
    const controller = new AbortController();
    const lease = (): Promise<unknown> =>
      settled(scene.client.lease("accounts", "w", null, { size: 1, waitMs: -1, signal: controller.signal }));
    scene.flaky.isDown = true;
    const { count } = scene.flaky;
    if (cut !== "afterwards") scene.flaky.current.arm(cut);
    const leased = lease();
    if (cut === "afterwards") await leased;
    if (cut === "afterwards") scene.flaky.current.end();
    await until(() => scene.client.state !== "connected");
    controller.abort("enough");
    await leased;
    scene.flaky.isDown = false;
    await until(() => scene.flaky.count > count && scene.client.state === "connected");
    const wanted = cut === "afterwards" ? ["lease accounts w"] : [];
    await until(async () => (await scene.holds()).join() === wanted.join());
    const next = settled(scene.watcher.lease("accounts", "other", null, { size: 1 }));
    expect(await next).toBe(cut === "afterwards" ? "pool_exhausted undefined" : 0);
  });
});

describe("a client cut off at a barrier", () => {
  test("has gone away: the others learn it at once though its session goes on, and it may come again", async () => {
    await using scene = await Scene.open();
    const waits = (count: number): Promise<void> =>
      until(async () => (await scene.watcher.why("ready").catch(() => undefined))?.waitersCount === count);
    const cutOff = settled(scene.client.barrier("ready", 3));
    await waits(1);
    const other = settled(scene.watcher.barrier("ready", 3));
    await waits(2);
    await scene.cut();
    expect([await cutOff, await other]).toEqual(["unavailable unknown", "barrier_broken undefined"]);
    await until(() => scene.client.state === "connected");
    expect(await scene.sessions()).toHaveLength(1);
    const again = [scene.client.barrier("ready", 2), scene.watcher.barrier("ready", 2)];
    expect((await Promise.all(again)).toSorted()).toEqual([0, 1]);
  });

  test("after it had opened, with its answer lost: knows that it does not know", async () => {
    await using scene = await Scene.open();
    const waiting = async (): Promise<boolean> =>
      (await scene.watcher.why("ready").catch(() => undefined))?.waitersCount === 1;
    const cutOff = settled(scene.client.barrier("ready", 2));
    await until(waiting);
    scene.flaky.current.arm({ direction: "toClient", afterBytes: 0 });
    expect(await scene.watcher.barrier("ready", 2)).toBe(1);
    expect(await cutOff).toBe("unavailable unknown");
  });
});
