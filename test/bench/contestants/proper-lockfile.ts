/** proper-lockfile: directories as locks, kept alive by touching them. It has no server; contenders poll. */
import { join } from "node:path";
import type { Contestant } from "../contestant.ts";
import { installed } from "./installed.ts";

interface ProperLockfile {
  lock(file: string, options: LockOptions): Promise<() => Promise<void>>;
}

interface LockOptions {
  readonly realpath: boolean;
  /** How long a lock that nobody touches is believed. */
  readonly stale?: number;
  readonly retries?: { readonly forever: boolean; readonly minTimeout: number; readonly maxTimeout: number };
}

/** As impatient as it may be, and its least trusting but one. */
const contended: LockOptions = {
  realpath: false,
  stale: 5000,
  retries: { forever: true, minTimeout: 5, maxTimeout: 50 },
};

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
      lock: (name) => lock(join(address, encodeURIComponent(name)), contended),
      close: () => {},
    };
  },
};
