#!/usr/bin/env bun
/**
 * The program: argv to a command's page, what goes wrong to an exit status. Everything a command needs is loaded when it
 * runs, so that a thin one starts fast.
 */
import { exitStatuses, exitStatusOf } from "./failure.ts";
import { processEnvironment } from "./settings/settings.ts";

const argv = process.argv.slice(2);
/** Commands around somebody else's, whose words these may be. */
const wrappers: readonly (string | undefined)[] = ["start", "lock", "sem", "take", "once"];

try {
  await run(argv);
} catch (error) {
  const { printFailure } = await import("./output.ts");
  await printFailure(error, { json: asksForJson(argv), environment: processEnvironment });
  process.exit(exitStatusOf(error));
}

async function run([name, ...rest]: readonly string[]): Promise<void> {
  if (name === undefined) {
    const { helpFor } = await import("./help.ts");
    await Bun.write(Bun.stderr, await helpFor(undefined));
    process.exit(exitStatuses.usage);
  }
  await runPage(commandOf(name), rest);
}

/** `--help` and `--version` are commands too, for those who look for them there. */
function commandOf(name: string): string {
  if (name === "--help" || name === "-h") return "help";
  return name === "--version" || name === "-v" || name === "-V" ? "version" : name;
}

async function runPage(name: string, rest: readonly string[]): Promise<void> {
  const { loadPage } = await import("./pages.ts");
  const page = (await loadPage(name)) ?? (await (await import("./help.ts")).pageOf(name));
  const { scanArguments } = await import("./arguments.ts");
  const scanned = scanArguments(rest, { command: name, definitions: page.args, wrapsCommand: page.wrapsCommand });
  if (!scanned.asksForHelp) return page.run(scanned);
  const [{ helpFor }, { print }] = await Promise.all([import("./help.ts"), import("./output.ts")]);
  await print(await helpFor(name));
}

/** Whether failures are for a program. */
function asksForJson([name, ...rest]: readonly string[]): boolean {
  const end = rest.indexOf("--");
  return !wrappers.includes(name) && (end === -1 ? rest : rest.slice(0, end)).includes("--json");
}
