/** Pools that come and go: what is kept of them to be used again shows nowhere. */
import { describe, expect, test } from "bun:test";
import { PoolRegister } from "../../src/engine/memory/pools/pool-register.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";

function newRegister(): PoolRegister {
  return new PoolRegister({ limits: defaultLimits, requireName: () => {} });
}

/** Makes a pool as the first `acquire` does, and forgets it as the last `release` does. */
function useOnce(register: PoolRegister, { name, size }: { readonly name: string; readonly size: number }): void {
  const pool = register.open(name, size);
  if (pool.kind === "awaited") pool.make(size);
  register.dropIdle(pool);
}

describe("PoolRegister", () => {
  test("knows nothing of an idle pool that it keeps", () => {
    const register = newRegister();
    useOnce(register, { name: "lock", size: 1 });
    register.dropIdle(register.open("other"));
    expect([register.find("lock"), register.find("other"), register.size]).toEqual([undefined, undefined, 0]);
    expect(() => register.requireDefined("lock", "add to")).toThrow("nobody has defined it");
  });

  test.each([
    ["the size it was made with is made again", 3, "made", 3],
    ["another size has no items yet", 2, "awaited", 0],
    ["no size has none either", undefined, "awaited", 0],
  ] as const)("open() of an idle pool with %s", (_what, size, kind, items) => {
    const register = newRegister();
    useOnce(register, { name: "seats", size: 3 });
    const pool = register.open("seats", size);
    expect([pool.kind, pool.size, pool.freeCount, register.size]).toEqual([kind, items, items, 1]);
    expect(register.find("seats")).toBe(pool);
  });

  test("open() finds none of a thousand names that were used before under another one", () => {
    const register = newRegister();
    for (let index = 0; index < 1000; index++) useOnce(register, { name: `lock ${index}`, size: 1 });
    for (let index = 0; index < 1000; index++) {
      const name = `seats ${index}`;
      const pool = register.open(name, 2);
      expect([pool.name, pool.kind, register.find(name)]).toEqual([name, "awaited", pool]);
    }
    expect([register.size, register.find("lock 0"), register.find("lock 999")]).toEqual([1000, undefined, undefined]);
  });
});
