/**
 * The program of a process that claims a run directory: its arguments are the root, the name, how many times it first
 * sweeps, claims and lets go of other names, and for how many milliseconds it keeps the claim, as one that sweeps would,
 * without its name in it (else until its stdin ends). It says "held", or the code it was refused with.
 */
import { truncateSync } from "node:fs";
import { claimRunDirectory, sweepRunDirectories } from "../../src/broker/pipe/run-directory.ts";
import { EphemeralError } from "../../src/protocol/errors.ts";

const [root = "", name = "", rounds, holdMs] = process.argv.slice(2);
try {
  for (let round = 0; round < Number(rounds); round++) {
    sweepRunDirectories(root);
    claimRunDirectory(root, `${name}-${round}`).release();
  }
  const directory = claimRunDirectory(root, name);
  if (holdMs !== undefined) truncateSync(`${directory.path}/lock`);
  console.log("held");
  if (holdMs !== undefined) Bun.sleepSync(Number(holdMs));
  else for await (const _ of Bun.stdin.stream());
  directory.release();
} catch (error) {
  if (!(error instanceof EphemeralError)) throw error;
  console.log(error.code);
}
