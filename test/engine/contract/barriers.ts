/** The contract of barriers: all or none pass, who goes away is named, and what has opened can be used again. */
import { describe, expect, test } from "bun:test";
import type { WaitHandle } from "../../../src/engine/engine.ts";
import { type Answer, cancelled, type EngineFactory, now } from "./actor.ts";
import { SharingActor } from "./sharing-actor.ts";

const broken = (text: string, left: string) => ({
  error: "barrier_broken",
  message: `Cannot pass barrier "ready": ${left} ${text}`,
  details: { left },
});

async function scene(create: EngineFactory) {
  const under = await create();
  const actor = (id: string): SharingActor => new SharingActor(under.engine, id, `worker ${id}`);
  return { ...under, actor, a: actor("a"), b: actor("b"), c: actor("c"), d: actor("d") };
}

const nowAll = (answers: readonly Promise<Answer>[]): Promise<unknown[]> => Promise.all(answers.map(now));

export function barriersContract(create: EngineFactory): void {
  describe("barriers", () => {
    test("open for all when the last one comes, each with how many came before", async () => {
      const { a, b, c } = await scene(create);
      const answers = [a.barrier("ready", 3), b.barrier("ready", 3)];
      expect(await nowAll(answers)).toEqual(["waits", "waits"]);
      answers.push(c.barrier("ready", 3));
      expect(await nowAll(answers)).toEqual([{ index: 0 }, { index: 1 }, { index: 2 }]);
    });

    test("one session may be several parties, and one party opens a barrier of its own", async () => {
      const { a } = await scene(create);
      const first = a.barrier("ready", 2);
      expect(await a.barrier("ready", 2)).toEqual({ index: 1 });
      expect(await first).toEqual({ index: 0 });
      expect(await a.barrier("alone", 1)).toEqual({ index: 0 });
    });

    test("can be used again after they opened, by the same and by others", async () => {
      const { a, b, c, engine } = await scene(create);
      for (let generation = 0; generation < 3; generation++) {
        const first = a.barrier("ready", 2);
        const second = generation === 1 ? c : b;
        expect(await second.barrier("ready", 2)).toEqual({ index: 1 });
        expect(await now(first)).toEqual({ index: 0 });
      }
      expect((await engine.stats()).waits).toBe(0);
    });

    test("one whose session ends while it waits is named to those who wait, and to those still to come", async () => {
      const { a, b, c, d } = await scene(create);
      const answers = [a.barrier("ready", 4), b.barrier("ready", 4)];
      await a.end();
      const reason = broken("went away while it waited", "worker a");
      expect((await nowAll(answers)).at(1)).toMatchObject(reason);
      expect(await c.barrier("ready", 4)).toMatchObject(reason);
      expect(await d.barrier("ready", 4)).toMatchObject(reason);
      expect(await now(c.barrier("ready", 4))).toBe("waits");
    });

    test("those who were told begin anew while others are still to be told", async () => {
      const { a, b, c, actor } = await scene(create);
      const first = [a.barrier("ready", 3), b.barrier("ready", 3)];
      await a.end();
      expect(await now(first[1] as Promise<Answer>)).toMatchObject({ error: "barrier_broken" });
      const again = b.barrier("ready", 3);
      expect(await c.barrier("ready", 3)).toMatchObject({ error: "barrier_broken" });
      const others = [c.barrier("ready", 3), actor("e").barrier("ready", 3)];
      expect(await nowAll([again, ...others])).toEqual([{ index: 0 }, { index: 1 }, { index: 2 }]);
    });

    test("strangers are told for 30 s, and then begin anew", async () => {
      const { a, b, c, engine, advance } = await scene(create);
      a.barrier("ready", 3);
      await a.end();
      await advance(29_999);
      expect(await b.barrier("ready", 3)).toMatchObject({ error: "barrier_broken" });
      await advance(1);
      expect((await engine.stats()).sharing.barriers).toBe(0);
      expect(await now(c.barrier("ready", 3))).toBe("waits");
    });

    test("one who gives up is told who came, the others who gave up and why", async () => {
      const { a, b, advance } = await scene(create);
      const answers = [a.barrier("ready", 4, { waitMs: 500 }), b.barrier("ready", 4)];
      await advance(500);
      const attendance = "2 of 4 came (worker a, worker b), 2 never came";
      expect(await nowAll(answers)).toMatchObject([
        { error: "timeout", message: `Timed out after 500 ms waiting at barrier "ready": ${attendance}` },
        broken(`gave up after 500 ms: ${attendance}`, "worker a"),
      ]);
    });

    test("one who gave up alone has disappointed nobody", async () => {
      const { a, b, advance } = await scene(create);
      const first = a.barrier("ready", 2, { waitMs: 500 });
      await advance(500);
      expect(await now(first)).toMatchObject({ error: "timeout" });
      expect(await now(b.barrier("ready", 2))).toBe("waits");
      expect(await a.barrier("ready", 2)).toEqual({ index: 1 });
    });

    test("a wait that is cancelled breaks the barrier", async () => {
      const { a, b } = await scene(create);
      const handle: WaitHandle = {};
      const answers = [a.barrier("ready", 3, { waitMs: -1, handle }), b.barrier("ready", 3)];
      expect(handle.cancel?.(cancelled())).toBe(true);
      expect(await nowAll(answers)).toMatchObject([
        { error: "cancelled" },
        broken("went away while it waited", "worker a"),
      ]);
    });

    test("one that joined and ends before it comes is named at once", async () => {
      const { a, b, c } = await scene(create);
      expect(await c.join("ready", 3)).toEqual({ index: 0 });
      const answers = [a.barrier("ready", 3)];
      expect(await c.join("ready", 3)).toEqual({ index: 1 });
      expect(await c.holds()).toEqual(["barrier ready"]);
      await c.end();
      const reason = broken("ended before it came", "worker c");
      expect(await nowAll(answers)).toMatchObject([reason]);
      expect(await b.barrier("ready", 3)).toMatchObject(reason);
    });

    test("one that joined and ends before anybody came is named to those who come", async () => {
      const { a, b, c, actor } = await scene(create);
      await c.join("ready", 3);
      await c.join("ready", 3);
      await c.end();
      const reason = broken("ended before it came", "worker c");
      for (const one of [a, b]) expect(await one.barrier("ready", 3)).toMatchObject(reason);
      expect(await now(actor("e").barrier("ready", 3))).toBe("waits");
    });

    test("a session that was several parties, and has ended, is nothing to those who come after", async () => {
      const { a, b } = await scene(create);
      await Promise.all([a.barrier("ready", 2), a.barrier("ready", 2)]);
      expect(await a.holds()).toEqual(["barrier ready"]);
      await a.end();
      expect(await now(b.barrier("ready", 2))).toBe("waits");
    });

    test("one that was there when it opened and ends before it comes again is named to those who wait", async () => {
      const { a, b, c } = await scene(create);
      await Promise.all([a.barrier("ready", 3), b.barrier("ready", 3), c.barrier("ready", 3)]);
      const waits = a.barrier("ready", 3);
      await c.end();
      const reason = broken("ended before it came", "worker c");
      expect(await now(waits)).toMatchObject(reason);
      expect(await b.barrier("ready", 3)).toMatchObject(reason);
      expect(await now(b.barrier("ready", 3))).toBe("waits");
    });

    test("one that ends after the barrier opened is named to its fellows when they come again, and to nobody else", async () => {
      const { a, b, c, engine, actor } = await scene(create);
      await Promise.all([a.barrier("ready", 2), b.barrier("ready", 2)]);
      await b.end();
      const others = [c.barrier("ready", 2), actor("e").barrier("ready", 2)];
      expect(await nowAll(others)).toEqual([{ index: 0 }, { index: 1 }]);
      for (const one of [a, c, actor("e")]) await one.end();
      expect((await engine.stats()).sharing.barriers).toBe(0);
    });

    test("fellows of one that ended are told once each", async () => {
      const { a, b, c } = await scene(create);
      await Promise.all([a.barrier("ready", 3), b.barrier("ready", 3), c.barrier("ready", 3)]);
      await c.end();
      const reason = broken("ended before it came", "worker c");
      for (const one of [a, b]) expect(await one.barrier("ready", 3)).toMatchObject(reason);
      expect(await nowAll([a.barrier("ready", 3), b.barrier("ready", 3)])).toEqual(["waits", "waits"]);
    });

    test("another number of parties is refused while somebody waits, and a new barrier when nobody does", async () => {
      const { a, b } = await scene(create);
      const first = a.barrier("ready", 2);
      expect(await b.barrier("ready", 3)).toMatchObject({ error: "size_mismatch", details: { parties: 2 } });
      await b.barrier("ready", 2);
      await first;
      await b.end();
      expect(await a.barrier("ready", 1)).toEqual({ index: 0 });
    });

    test("without time to wait the answer says who came, and no place is taken", async () => {
      const { a, b, engine } = await scene(create);
      expect(await a.barrier("ready", 2, { waitMs: 0 })).toMatchObject({
        error: "timeout",
        message: 'Did not wait at barrier "ready": 0 of 2 came, 2 never came',
      });
      expect((await engine.stats()).sharing.barriers).toBe(0);
      expect(await now(b.barrier("ready", 2))).toBe("waits");
      expect(await a.barrier("ready", 2, { waitMs: 0 })).toEqual({ index: 1 });
    });

    test("when the engine closes all who wait fail alike", async () => {
      const { a, b, engine } = await scene(create);
      const answers = [a.barrier("ready", 3), b.barrier("ready", 3)];
      await engine.close();
      expect(await nowAll(answers)).toMatchObject([{ error: "unavailable" }, { error: "unavailable" }]);
    });
  });
}
