/** proper-lockfile: directories as locks, kept alive by touching them. It has no server; contenders poll. */
import { join } from "node:path";
import type { Contestant } from "../contestant.ts";
import { installed } from "./installed.ts";

interface ProperLockfile {
  lock(file: string, options: { realpath: boolean }): Promise<() => Promise<void>>;
}

export const properLockfile: Contestant = {
  name: "proper-lockfile",
  missing: () => installed.missing("proper-lockfile"),
  start: async (directory) => ({ address: directory, pid: undefined, stop: async () => {} }),
  open: async (address) => {
    const { lock } = await installed.load<ProperLockfile>("proper-lockfile");
    return {
      lockAndUnlock: async (name) => {
        const release = await lock(join(address, encodeURIComponent(name)), { realpath: false });
        await release();
      },
      close: () => {},
    };
  },
};
