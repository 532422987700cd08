/** What becomes of signals at the edges of a command's life. What they do to whole runs, `wrapper.test.ts` tries. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../../src/cli/wrapper/child.ts";
import { SignalInbox } from "../../src/cli/wrapper/own-signals.ts";
import { supervise } from "../../src/cli/wrapper/supervision.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { until } from "../support/processes.ts";

test("supervise() leaves alone what the command left running when signals come after its end", async () => {
  using directory = temporaryDirectory();
  const survived = join(directory.path, "survived");
  const inbox = new SignalInbox([]);
  const child = new Child({
    path: "/bin/sh",
    command: ["sh", "-c", `(sleep 0.1; : > ${survived}) & exit 3`],
    environment: process.env,
    mark: { environment: { EPHEMERAL_TURN: survived }, entry: `EPHEMERAL_TURN=${survived}` },
    ignoredSignals: new Set(),
  });
  const options = { inbox, graceMs: 0, isInForeground: () => false };
  expect(await supervise(child, options)).toEqual({ kind: "exited", status: 3 });
  // While its turn was given back to a broker that hung, the second one once killed by the mark, and the pid of a process gone.
  inbox.deliver("SIGINT");
  inbox.deliver("SIGINT");
  await until(() => existsSync(survived));
});
