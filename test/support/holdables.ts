/** Everything that moves on when its holder dies, and how a bare connection asks for it: one row a kind. */
import type { Holdable } from "./hand-on.ts";

type Answer = Record<string, unknown>;

/** The grant that an `acquire` was answered. */
export const grantOf = (answer: Answer | undefined): { id: string; fence: number; items: Answer[] } =>
  answer?.grant as never;

const acquire = (...wants: readonly object[]): Holdable => ({
  ask: () => ({ action: "acquire", wants, waitMs: -1 }),
  giveBack: (answer) => ({ action: "release", grant: grantOf(answer).id }),
  fenceOf: (answer) => grantOf(answer).fence,
});

export const holdables: Record<string, Holdable> = {
  "a lock": acquire({ pool: "db", size: 1 }),
  "an item of a pool": {
    before: { action: "pool.define", pool: "accounts", items: [{ value: "ann", tags: ["eu"] }, { value: "bob" }] },
    ...acquire({ pool: "accounts", match: ["eu"] }),
  },
  "all seats of a semaphore": acquire({ pool: "seats", size: 2, count: 2 }),
  "two locks at once": acquire({ pool: "a", size: 1 }, { pool: "b", size: 1 }),
  "a lease": {
    ask: (workerId) => ({ action: "lease", key: "account", size: 1, scope: "session", waitMs: -1, workerId }),
    giveBack: () => ({ action: "release", workerId: "waiter" }),
    fenceOf: ({ fence }) => Number(fence),
  },
  "a once": {
    ask: () => ({ action: "once", key: "login", waitMs: -1 }),
    giveBack: ({ fence }) => ({ action: "once.reject", key: "login", fence, reason: "next round" }),
    fenceOf: ({ fence }) => Number(fence),
  },
};
