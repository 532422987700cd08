#!/usr/bin/env node
/**
 * The command as npm installs it: finds what the program runs on and becomes it. Runs on Node 20 and newer; on Bun it is the
 * program itself.
 */
import { readLauncherEnvironment } from "../client/environment.ts";
import { findRuntime, machineSources } from "../client/launcher/runtime.ts";
import { EphemeralError } from "../protocol/errors.ts";
import { exitStatuses } from "./failure.ts";
import { become } from "./wrapper/node-process.ts";

try {
  const environment = readLauncherEnvironment();
  const sources = machineSources(environment);
  const [file, ...leading] = findRuntime(sources);
  // This very process can run the program: nothing has to stand in between.
  if (sources.bunVersion !== undefined && file === sources.execPath) await import(sources.program);
  else become([file, ...leading, ...process.argv.slice(2)], environment.variables);
} catch (error) {
  if (!(error instanceof EphemeralError)) throw error;
  process.stderr.write(`ephemeral: ${error.message}\n`);
  process.exitCode = error.code === "bad_command" ? exitStatuses.usage : exitStatuses.unavailable;
}
