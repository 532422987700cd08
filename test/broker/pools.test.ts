import { describe, expect, test } from "bun:test";
import { type LineClient, lineClient, testBroker } from "../support/broker.ts";
import { msgpackClient } from "../support/msgpack-client.ts";

type Answer = Record<string, unknown>;

const acquire = (pool: string, want: object = {}): object => ({ action: "acquire", wants: [{ pool, ...want }] });
const lock = (pool: string): object => acquire(pool, { size: 1 });
const grantOf = (answer: Answer): { id: string; fence: number; items: Answer[] } => answer.grant as never;

/** Says a command that waits, and returns once it has taken its place. */
async function wait(client: LineClient, command: object): Promise<void> {
  client.say({ id: 1, waitMs: -1, ...command });
  expect(await client.ask({ id: 2, action: "ping" })).toMatchObject({ id: 2 });
}

describe("pools over the wire", () => {
  test("a grant carries its values as they were defined, bytes too, and holds tell it to a resumed client", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const { session } = (await client.ask({ action: "hello", protocol: 1, lingerMs: 5000 })) as {
      session: { id: string; secret: string };
    };
    const values = [{ name: "ann", pass: "é\n€😀" }, { $binary: "AAEC" }, null, [1.5, "x"]];
    await client.ask({ action: "pool.define", pool: "accounts", items: values.map((value) => ({ value })) });
    const answer = await client.ask(acquire("accounts", { count: 4 }));
    expect(grantOf(answer).items).toEqual(values.map((value, slot) => ({ pool: "accounts", slot, value })));
    using again = await lineClient(broker.pipe);
    const { holds } = await again.ask({ action: "hello", protocol: 1, lingerMs: 5000, session });
    expect(holds).toEqual([
      {
        kind: "grant",
        id: grantOf(answer).id,
        fence: grantOf(answer).fence,
        items: values.map((_, slot) => ({ pool: "accounts", slot })),
        sinceAtMs: expect.any(Number),
      },
    ]);
    expect(await again.ask({ action: "release", grant: grantOf(answer).id })).toEqual({ ok: true, released: true });
  });

  test("clients of both codecs define the same pool and get the same values", async () => {
    await using broker = await testBroker();
    using json = await lineClient(broker.pipe);
    using packed = await msgpackClient(broker.pipe);
    const items = [{ value: { name: "ann", age: 7 } }, { value: 3 }, { value: "ben" }];
    expect(await json.ask({ action: "pool.define", pool: "p", items })).toEqual({ ok: true, size: 3 });
    const held = await json.ask(acquire("p"));
    expect(await packed.ask({ action: "pool.define", pool: "p", items })).toMatchObject({ size: 3 });
    const bytes = Uint8Array.of(0, 1, 2);
    await packed.ask({ action: "pool.add", pool: "p", items: [{ value: bytes }] });
    await json.ask({ action: "release", grant: grantOf(held).id });
    const all = await packed.ask(acquire("p", { count: 4 }));
    expect(grantOf(all).items.map(({ value }) => value)).toEqual([...items.map(({ value }) => value), bytes]);
  });

  test("what a session holds and waits for goes with its connection", async () => {
    await using broker = await testBroker();
    using bob = await lineClient(broker.pipe);
    using carol = await lineClient(broker.pipe);
    {
      using alice = await lineClient(broker.pipe);
      await alice.ask(lock("db"));
      await wait(alice, lock("db"));
      await wait(bob, lock("db"));
      await wait(carol, lock("db"));
    }
    expect(await bob.next()).toMatchObject({ id: 1, ok: true });
    expect(await carol.ask({ id: 3, action: "why", key: "db" })).toMatchObject({ holdersCount: 1, waitersCount: 1 });
  });

  test("a cancelled wait hands on what was kept for it, and a cancel that comes too late says so", async () => {
    await using broker = await testBroker();
    using alice = await lineClient(broker.pipe);
    using bob = await lineClient(broker.pipe);
    using carol = await lineClient(broker.pipe);
    const held = await alice.ask(lock("a"));
    await wait(bob, { action: "acquire", wants: [{ pool: "a" }, { pool: "b", size: 1 }] });
    await wait(carol, lock("b"));
    expect(await bob.ask({ id: 3, action: "cancel", target: 1 })).toMatchObject({ id: 3, cancelled: true });
    expect(await bob.next()).toMatchObject({ id: 1, error: "cancelled" });
    expect(await carol.next()).toMatchObject({ id: 1, ok: true });
    await wait(bob, lock("a"));
    await alice.ask({ action: "release", grant: grantOf(held).id });
    expect(await bob.ask({ id: 4, action: "cancel", target: 1 })).toMatchObject({ id: 1, ok: true });
    expect(await bob.next()).toMatchObject({ id: 4, cancelled: false });
  });

  test("a grant's ttl ends it by itself, and ps shows who holds and who waits", async () => {
    await using broker = await testBroker();
    using alice = await lineClient(broker.pipe);
    using bob = await lineClient(broker.pipe);
    const held = await alice.ask({ ...lock("db"), ttl: 50 });
    await wait(bob, lock("db"));
    const { sessions } = (await alice.ask({ action: "ps" })) as { sessions: Answer[] };
    expect(sessions).toMatchObject([
      { holds: [{ kind: "grant", items: [{ pool: "db", slot: 0 }] }], waits: [] },
      { holds: [], waits: [{ action: "acquire", key: "db" }] },
    ]);
    expect(await bob.next()).toMatchObject({ id: 1, ok: true });
    expect(await alice.ask({ action: "release", grant: grantOf(held).id })).toMatchObject({ error: "not_owner" });
  });

  test("two shells that lock in opposite order: the second to wait is told the circle, the first gets its lock", async () => {
    await using broker = await testBroker();
    using alice = await lineClient(broker.pipe);
    using bob = await lineClient(broker.pipe);
    await alice.ask({ ...lock("a"), owner: "shell 1" });
    const held = await bob.ask({ ...lock("b"), owner: "shell 2" });
    await wait(alice, { ...lock("b"), owner: "shell 1" });
    expect(await bob.ask({ ...lock("a"), owner: "shell 2", waitMs: -1 })).toMatchObject({
      error: "deadlock",
      message: expect.stringMatching(
        /owner "shell 2"\) waits for "a" held by .*owner "shell 1"\) waits for "b" held by/,
      ),
    });
    await bob.ask({ action: "release", grant: grantOf(held).id });
    expect(await alice.next()).toMatchObject({ id: 1, ok: true });
  });

  test("names of any text are written as they are", async () => {
    await using broker = await testBroker();
    using client = await lineClient(broker.pipe);
    const name = '"\\\n\u2028é😀\u0000';
    const answer = await client.ask(lock(name));
    expect(grantOf(answer).items).toEqual([{ pool: name, slot: 0, value: 0 }]);
    expect(await client.ask({ action: "why", pool: name })).toMatchObject({ name, size: 1, free: 0 });
  });
});
