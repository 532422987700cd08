/**
 * What the broker's program can run on, on this machine: the executable, or Bun and the program's JavaScript. Looks in one
 * order and says, when there is nothing, where it looked. Knows neither who asks nor what is to be run.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EphemeralError } from "../../protocol/errors.ts";
import type { LauncherEnvironment } from "../environment.ts";

/** What of this machine decides. */
export interface RuntimeSources {
  /** EPHEMERAL_BIN: the executable to use, whatever else there is. */
  readonly executable: string | undefined;
  /** PATH. */
  readonly searchPath: string | undefined;
  /** Version of the Bun we run on; undefined on anything else. */
  readonly bunVersion: string | undefined;
  /** The program we run on. */
  readonly execPath: string;
  /** The command line's JavaScript; it needs Bun. */
  readonly program: string;
  /** Files and folders from which the `bun` package may be found, the likeliest first. */
  readonly projects: readonly string[];
}

/** This machine, as the environment shows it. In the package everything lies as deep as it does in the source. */
export function machineSources({ executable, searchPath }: LauncherEnvironment): RuntimeSources {
  const here = import.meta.url;
  return {
    executable,
    searchPath,
    bunVersion: process.versions.bun,
    execPath: process.execPath,
    program: fileURLToPath(new URL(here.endsWith(".ts") ? "../../cli/main.ts" : "../cli/main.js", here)),
    projects: [fileURLToPath(here), ...workingDirectory().map((path) => join(path, "package.json"))],
  };
}

/** None when it has been removed. */
function workingDirectory(): readonly string[] {
  try {
    return [process.cwd()];
  } catch {
    return [];
  }
}

/** What to put before the command line's arguments. */
export type RuntimeCommand = readonly [file: string, ...leading: string[]];

const bunVersionMin = [1, 4, 5] as const;
/** A stub that only says that install scripts are off is smaller than this, by far. */
const executableBytesMin = 1024 * 1024;
/** Our settings come from flags and environment, never from files that happen to lie where we run. */
const bunFlags = ["--no-env-file", "--config=/dev/null"];

/** The first that is there of: `executable`, the Bun we are, the project's `bun` package, `bun` on PATH, the executable
 *  `ephemeral` on PATH.
 *  @throws {EphemeralError} `unavailable` naming these ways when none is there, `bad_command` when `executable` is none */
export function findRuntime(sources: RuntimeSources): RuntimeCommand {
  if (sources.executable !== undefined) return [checkedExecutable(sources.executable)];
  const bun = existsSync(sources.program) ? findBun(sources) : undefined;
  if (bun !== undefined) return [bun, ...bunFlags, sources.program];
  const executable = onPath("ephemeral", sources).find(isNative);
  if (executable !== undefined) return [executable];
  const wanted = bunVersionMin.join(".");
  throw new EphemeralError(
    "unavailable",
    `Cannot run ephemeral: it needs Bun ${wanted} or newer, or its own executable, and found neither. Add Bun to the project (npm install --save-dev bun), or put bun or the executable ephemeral on PATH, or name the executable in EPHEMERAL_BIN`,
  );
}

/** @throws {EphemeralError} `bad_command`: a wrong setting is no reason to take something else */
function checkedExecutable(path: string): string {
  const refuse = (actual: string): Error =>
    new EphemeralError("bad_command", `Cannot run EPHEMERAL_BIN: wanted the ephemeral executable, ${path} ${actual}`);
  if (path === "") throw new EphemeralError("bad_command", "Cannot run EPHEMERAL_BIN: it is empty; set or unset it");
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) throw refuse("is no file");
  // A script there could be the one that asks us, which would find itself for ever.
  if (!isNative(path)) throw refuse("is a script");
  return path;
}

function findBun(sources: RuntimeSources): string | undefined {
  const { bunVersion, execPath } = sources;
  if (bunVersion !== undefined && isNewEnough(bunVersion)) return execPath;
  return bunOfProject(sources.projects) ?? onPath("bun", sources).find((path) => isNewEnough(versionOf(path)));
}

/** Bun as the package `bun` brings it: as that package's command, or, where install scripts are off and the command is a
 *  stub, in a package for the platform, from where the install script would have moved it. */
function bunOfProject(projects: readonly string[]): string | undefined {
  const found = projects.flatMap((project) => pathsOfPackage(project));
  return found.find((path) => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= executableBytesMin);
}

function pathsOfPackage(project: string): readonly string[] {
  const packageFile = resolved("bun/package.json", project);
  if (packageFile === undefined || !isNewEnough(resolvedVersion(packageFile))) return [];
  const program = process.platform === "win32" ? "bun.exe" : "bun";
  const platforms = platformPackages().map((name) => resolved(`${name}/package.json`, packageFile));
  const folders = platforms.flatMap((path) => (path === undefined ? [] : [join(path, "..", "bin", program)]));
  return [join(packageFile, "..", "bin", "bun.exe"), ...folders];
}

/** The C library that is here first: some installers bring both. */
function platformPackages(): readonly string[] {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const name = `@oven/bun-${system}-${process.arch === "arm64" ? "aarch64" : process.arch}`;
  if (process.platform !== "linux") return [name];
  return existsSync("/etc/alpine-release") ? [`${name}-musl`, name] : [name, `${name}-musl`];
}

function resolved(name: string, from: string): string | undefined {
  try {
    return createRequire(from).resolve(name);
  } catch {
    return undefined;
  }
}

function resolvedVersion(packageFile: string): string {
  const about: unknown = createRequire(packageFile)(packageFile);
  const isVersioned = typeof about === "object" && about !== null && "version" in about;
  return isVersioned && typeof about.version === "string" ? about.version : "";
}

function onPath(name: string, { searchPath = "" }: Pick<RuntimeSources, "searchPath">): readonly string[] {
  const file = process.platform === "win32" ? `${name}.exe` : name;
  const folders = searchPath.split(delimiter).filter((folder) => folder !== "");
  return folders
    .map((folder) => join(folder, file))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}

/** Empty when it cannot tell: a stub, or something else of that name. */
function versionOf(path: string): string {
  return spawnSync(path, ["--version"], { encoding: "utf8", timeout: 5000 }).stdout ?? "";
}

function isNewEnough(version: string): boolean {
  const numbers = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  if (numbers === undefined) return false;
  for (const [place, least] of bunVersionMin.entries()) {
    const number = numbers[place] ?? 0;
    if (number !== least) return number > least;
  }
  return true;
}

/** Whether the file is machine code and not a script: our own npm command has this name, too. */
function isNative(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return false;
  }
  const start = new Uint8Array(2);
  const bytesRead = readSync(file, start);
  closeSync(file);
  return bytesRead === start.length && String.fromCharCode(...start) !== "#!";
}
