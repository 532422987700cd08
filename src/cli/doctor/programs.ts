/**
 * What we need of the machine: versions of ourselves and of the runtimes around us, the shell and the tools that clean up after
 * us, and room for connections.
 */
import { readFileSync } from "node:fs";
import { brokerVersion } from "../../broker/version.ts";
import { defaultLimits } from "../../protocol/limits.ts";
import type { Environment } from "../settings/settings.ts";
import { readLimits } from "../settings/start-settings.ts";
import { findExecutable } from "../wrapper/executable.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

export async function programFindings(environment: Environment): Promise<readonly Finding[]> {
  const runtimes = await Promise.all(pathRuntimes.map((runtime) => runtimeFinding(runtime, environment)));
  return [ownFinding(), ...runtimes, shellFinding(environment), ...filesFindings(environment)];
}

const bunNeeded = "1.4.5";

function ownFinding(): Finding {
  const text = `ephemeral ${brokerVersion} on Bun ${Bun.version}, ${process.platform} ${process.arch}`;
  if (Bun.semver.order(Bun.version, bunNeeded) >= 0) return ok("version", text);
  return fail("version", `${text}: it needs Bun ${bunNeeded}`, "Update the package bun of your project");
}

/** Programs of a run's own; ours needs neither. */
const pathRuntimes = [
  { program: "bun", needed: bunNeeded, why: "on which the package runs where it is not compiled" },
  { program: "node", needed: "20.0.0", why: "which the client needs" },
] as const;

const versionMsMax = 5000;

async function runtimeFinding(
  { program, needed, why }: (typeof pathRuntimes)[number],
  { PATH }: Environment,
): Promise<Finding> {
  const found = findExecutable(program, PATH);
  if (found.kind === "refused") return ok(program, "not on PATH; nothing of ours needs it");
  const version = await versionOf(found.path);
  const update = `Update ${program}, or take the older one off PATH`;
  if (version === undefined) return warn(program, `${found.path} does not tell its version`, update);
  const text = `${version} (${found.path})`;
  return Bun.semver.order(version, needed) >= 0
    ? ok(program, text)
    : warn(program, `${text} is older than ${needed}, ${why}`, update);
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const asked = Bun.spawn([path, "--version"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      timeout: versionMsMax,
    });
    return /^v?(\d+\.\d+\.\d+)/.exec(await asked.stdout.text())?.[1];
  } catch {
    return undefined;
  }
}

/** What the reaper, a script for /bin/sh, calls. */
const tools = ["sleep", "grep", "tr", "rm", "rmdir"];

function shellFinding({ PATH }: Environment): Finding {
  const missing = ["/bin/sh", ...tools].filter((tool) => findExecutable(tool, PATH).kind === "refused");
  if (missing.length === 0) return ok("clean-up", "/bin/sh and what it calls are there");
  const text = `not there: ${missing.join(", ")}; what a broker that is killed by SIGKILL leaves is not cleaned up`;
  return warn("clean-up", text, "Install them, or put them on PATH");
}

/** What a broker has open besides its connections. */
const filesBesides = 64;

function filesFindings(environment: Environment): Finding[] {
  const files = openFilesMax();
  if (files === undefined) return [];
  const { connectionsMax } = { ...defaultLimits, ...limitsIn(environment) };
  const text = `${files === Number.POSITIVE_INFINITY ? "no bound" : files} for connectionsMax ${connectionsMax}`;
  if (files >= connectionsMax + filesBesides) return [ok("open files", text)];
  const fitting = Math.max(1, files - filesBesides);
  const advice = `Raise the hard limit (ulimit -Hn), or bound the connections: EPHEMERAL_CONNECTIONS_MAX=${fitting}`;
  return [warn("open files", `${text}: a broker runs out of descriptors before it refuses a connection`, advice)];
}

/** Bounds that cannot be read are told among the variables. */
function limitsIn(environment: Environment): ReturnType<typeof readLimits> {
  try {
    return readLimits({ flags: {}, environment });
  } catch {
    return {};
  }
}

/** The runtime has raised our limit to the hardest allowed by now, as a broker's will. Undefined where the system does not
 *  tell. */
function openFilesMax(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    return soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return undefined;
  }
}
