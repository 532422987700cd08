import { expect, test } from "bun:test";
import { ownLabel } from "../../src/client/own-label.ts";

const folder = "/home/ada/shop";

test.each<[string, string, string | undefined, Record<string, string>]>([
  ["a script", "/home/ada/shop/worker.mjs", "worker.mjs (pid 7)", {}],
  [
    "a test file of bun test",
    `${folder}/tests/pay.test.ts`,
    "tests/pay.test.ts (worker 2, pid 7)",
    { JEST_WORKER_ID: "2" },
  ],
  ["a test file of Vitest", `${folder}/pay.test.ts`, "pay.test.ts (worker 4, pid 7)", { VITEST_POOL_ID: "4" }],
  ["a script of another folder", "/opt/tools/seed.ts", "/opt/tools/seed.ts (pid 7)", {}],
  [
    "a worker of Playwright",
    `${folder}/node_modules/playwright/lib/common/process.js`,
    "playwright/lib/common/process.js (worker 0, pid 7)",
    { TEST_WORKER_INDEX: "0" },
  ],
  [
    "a scoped package's program",
    `${folder}/node_modules/@wdio/runner/build/run.js`,
    "@wdio/runner/build/run.js (worker 0-1, pid 7)",
    { WDIO_WORKER_ID: "0-1" },
  ],
])("ownLabel() names %s", (_, script, label, variables) => {
  expect(ownLabel(variables, { script, folder, pid: 7 })).toBe(label);
});

test("ownLabel() is undefined where there is no script", () => {
  expect(ownLabel({ JEST_WORKER_ID: "1" }, null)).toBeUndefined();
});

test("ownLabel() knows this very file", () => {
  expect(ownLabel({})).toMatch(/^test\/client\/own-label\.test\.ts \(pid \d+\)$/);
});
