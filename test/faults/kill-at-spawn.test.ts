/**
 * Whatever runs a command is killed at the very moment it starts that command: between the kernel's new process and the pid we
 * would tell our reaper, where nobody but the mark in its environment knows whose it is. None may be left running.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../../src/client/client.ts";
import { testBroker } from "../support/broker.ts";
import { readProc, until } from "../support/processes.ts";
import { binaryProgram } from "../support/programs.ts";
import { announceSeed, Random } from "../support/random.ts";
import { isThorough } from "../support/thorough.ts";
import { Trial } from "../support/trial.ts";
import { until as untilTurn } from "../support/until.ts";

setDefaultTimeout(60_000);
announceSeed("kill at spawn");

const program = await binaryProgram();
const rounds = isThorough ? 20 : 2;
/** From the moment the kernel shows the process; its pid is told well within it. */
const laterMsMax = 1;

const commands: readonly (readonly [string, readonly string[]])[] = [
  ["start", []],
  ["lock", ["name"]],
  ["sem", ["name", "-n", "2"]],
  ["take", ["accounts"]],
  ["limit", ["api", "--rate", "1000/1h"]],
  ["barrier", ["gate", "-n", "1"]],
  ["once", ["key"]],
  ["queue", ["run", "jobs"]],
  ["serve", ["method"]],
];

/** Children of our main thread, which starts all of them. Those it has not yet heard the end of count. */
function childrenOf(pid: number): readonly number[] {
  return readProc(pid, `task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

/** Kills it a moment after it has started its second child, of which the first is the reaper. */
async function killAtSpawn(wrapper: Trial, random: Random): Promise<void> {
  const seen = new Set<number>();
  const isSleep = (pid: number): boolean => readProc(pid, "cmdline").startsWith("sleep\0");
  await untilTurn(() => {
    const children = childrenOf(wrapper.pid);
    for (const pid of children) seen.add(pid);
    return seen.size > 1 || children.some(isSleep);
  }, 20_000);
  const endMs = performance.now() + (laterMsMax * random.integer(1000)) / 1000;
  while (performance.now() < endMs);
  wrapper.signal("SIGKILL");
}

describe("killed as it starts its command, no command is left by ephemeral", () => {
  test.each(commands)("%s", async (name, operands) => {
    const random = new Random();
    await using broker = await testBroker();
    await using client = new Client(broker.pipe);
    await client.pool("accounts").define([{ value: "alice" }]);
    for (let round = 0; round < rounds; round++) {
      await client.queue("jobs").push([`job ${round}`]);
      const place = name === "start" ? [] : ["--pipe", broker.pipe];
      await using wrapper = new Trial(program, { args: [name, ...operands, ...place, "--", "sleep", "1000"] });
      const asked = name === "serve" ? client.request("method", 1, { waitMs: 20_000 }).catch(() => {}) : undefined;
      await killAtSpawn(wrapper, random);
      expect(await wrapper.ending()).toEqual({ status: 137, killed: true });
      // Looking through the processes of a machine takes longer the more there are.
      await until(() => wrapper.processes().length === 0, 20_000);
      await asked;
    }
  });
});
