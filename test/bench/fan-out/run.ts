/** Runs one load of readers against one server, and what it cost the server meanwhile. */
import { join } from "node:path";
import { cpuMs, residentBytes } from "../process-figures.ts";
import { lines } from "../workers.ts";
import type { FanOutServer } from "./contestants.ts";
import type { FanOutLoad, FanOutReport } from "./load.ts";

export interface FanOutRun extends FanOutReport {
  readonly cpuMs: number;
  /** How much the server's memory has grown, with whatever it keeps for those who did not read. */
  readonly grownBytes: number;
}

export async function runFanOut(load: FanOutLoad, { pid }: FanOutServer): Promise<FanOutRun> {
  const argv = [process.execPath, join(import.meta.dir, "load.ts"), JSON.stringify(load)];
  const child = Bun.spawn(argv, { stdio: ["pipe", "pipe", "inherit"] });
  const output = lines(child.stdout);
  const goOn = async (): Promise<string> => {
    child.stdin.write("go\n");
    child.stdin.flush();
    const { value } = await output.next();
    if (value === undefined) throw new Error(`the load of ${load.dialect} has ended early`);
    return value;
  };
  await output.next();
  const before = { cpu: cpuMs(pid), resident: residentBytes(pid) };
  await goOn();
  const after = { cpu: cpuMs(pid), resident: residentBytes(pid) };
  const report = JSON.parse(await goOn()) as FanOutReport; // printed by load.ts
  await child.exited;
  return { ...report, cpuMs: after.cpu - before.cpu, grownBytes: after.resident - before.resident };
}
