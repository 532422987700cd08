/** flock(2): the kernel's own lock on an open file, without a word to anybody. What no broker can reach: a bound, not a rival. */
import { openSync } from "node:fs";
import { join } from "node:path";
import { openLibc } from "../../../src/broker/pipe/libc.ts";
import type { Contestant } from "../contestant.ts";

const exclusive = 2;
const unlock = 8;

export const flock: Contestant = {
  name: "flock(2)",
  missing: () => undefined,
  start: async (directory) => ({ address: directory, pid: undefined, stop: async () => {} }),
  open: async (address) => {
    const libc = openLibc({ flock: { args: ["i32", "i32"], returns: "i32" } });
    const files = new Map<string, number>();
    const call = (name: string, operation: number): void => {
      const file = files.get(name) ?? openSync(join(address, encodeURIComponent(name)), "w");
      files.set(name, file);
      if (libc.flock(file, operation) !== 0) throw new Error("flock failed");
    };
    return {
      lockAndUnlock: async (name) => {
        call(name, exclusive);
        call(name, unlock);
      },
      // Stops its whole process while it waits.
      lock: async (name) => {
        call(name, exclusive);
        return () => call(name, unlock);
      },
      close: () => {},
    };
  },
};
