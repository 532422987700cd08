/**
 * The npm package as people get it: packed once into a private directory, installed into projects of their own, and commands
 * run there with nothing on PATH but what is named.
 */
import { mkdirSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { pack } from "../../src/release/pack.ts";
import { temporaryDirectory } from "./broker.ts";

export const root = join(import.meta.dir, "../..");

export interface PackedPackage extends Disposable {
  readonly tarball: string;
  /** The files of the tarball, unpacked. */
  readonly unpacked: string;
  /** A private directory for what tests install. */
  readonly directory: string;
}

export async function packedPackage(): Promise<PackedPackage> {
  const directory = temporaryDirectory();
  const tarball = await pack(join(directory.path, "packed"));
  return {
    tarball,
    unpacked: join(directory.path, "packed/package"),
    directory: directory.path,
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

const isDemanded = process.env.EPHEMERAL_TEST_REQUIRE === "all";
const registryAnswersWithinMs = 10_000;

/** Why the tests that install from the registry do not run; undefined when they do. Where all tests are demanded, as in
 *  .ci/run, nothing excuses them. */
export async function reasonNotToInstall(): Promise<string | undefined> {
  if (isDemanded) return undefined;
  if (process.env.EPHEMERAL_TEST_INSTALL === undefined) return "EPHEMERAL_TEST_INSTALL is not set";
  const asked = await run(["npm", "ping"], { directory: root, withinMs: registryAnswersWithinMs });
  return asked.status === 0 ? undefined : "the registry does not answer";
}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly directory: string;
  /** PATH; the system's programs alone unless told. */
  readonly path?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly withinMs?: number;
}

/** Where the system has its programs. Node is there or not; what is named before it is found first. */
export const systemPath = "/usr/bin:/bin";

/** Runs a command to its end. One that does not end is killed, and its status then tells so. */
export async function run(command: readonly string[], options: RunOptions): Promise<Ran> {
  const { directory, path = systemPath, environment, withinMs = 60_000 } = options;
  await using child = Bun.spawn([...command], {
    cwd: directory,
    env: { HOME: process.env.HOME ?? directory, TMPDIR: directory, PATH: path, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: withinMs,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

/** The same, failing when the command does. */
export async function mustRun(command: readonly string[], options: RunOptions): Promise<Ran> {
  const ran = await run(command, options);
  if (ran.status === 0) return ran;
  throw new Error(
    `${command.join(" ")} ended with ${ran.status}: ${ran.stdout.slice(-2000)}${ran.stderr.slice(-2000)}`,
  );
}

/** A folder of links to `programs`, for a PATH on which there is nothing else. */
export function pathOf(folder: string, programs: readonly string[]): string {
  mkdirSync(folder, { recursive: true });
  for (const program of programs) {
    const found = program.includes("/") ? program : Bun.which(program, { PATH: `${systemPath}:${process.env.PATH}` });
    if (found === null) throw new Error(`there is no ${program} here`);
    symlinkSync(found, join(folder, basename(program)));
  }
  return folder;
}
