/**
 * One thin command, run to its end in an environment of its own: what it said where, and how it ended.
 */
import { fileURLToPath } from "node:url";
import type { Program } from "./programs.ts";

export interface InvocationOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  readonly directory?: string;
}

export interface Invocation {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a command runs unless told: a folder without settings of anybody's. */
const emptyEnough = fileURLToPath(new URL(".", import.meta.url));

/** The variables of an invocation: PATH, and what is given. Nothing of the test's own environment reaches it. */
export function bare(environment: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env.PATH ?? "", ...environment };
}

export async function invokeBytes(
  program: Program,
  { args, ...options }: InvocationOptions & { readonly args: readonly string[] },
): Promise<Omit<Invocation, "stdout"> & { readonly stdout: Uint8Array }> {
  const child = Bun.spawn([...program.argv, ...args], {
    cwd: options.directory ?? emptyEnough,
    env: bare(options.environment),
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.bytes(), child.stderr.text(), child.exited]);
  return { status, stdout, stderr };
}

/** Runs the program with `args`, its output as text. */
export async function invoke(
  program: Program,
  options: InvocationOptions & { readonly args: readonly string[] },
): Promise<Invocation> {
  const { stdout, ...rest } = await invokeBytes(program, options);
  return { ...rest, stdout: new TextDecoder().decode(stdout) };
}
