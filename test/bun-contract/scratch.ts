/**
 * A private folder with files in it, programs run there with the bun that runs these tests, and waiting for what nobody
 * tells us of. Imports nothing of ours: what is shown here is the runtime's doing alone.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** How a program ended and what it said. `signal` is null when it ended by itself. */
export interface Ended {
  readonly status: number;
  readonly signal: NodeJS.Signals | number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment programs get unless a test says otherwise: nothing of ours and nothing of the test runner's. */
export const plainEnvironment: Readonly<Record<string, string>> = {
  PATH: process.env.PATH ?? "",
  HOME: process.env.HOME ?? "",
  TMPDIR: tmpdir(),
};

export class Scratch implements Disposable {
  readonly path: string;

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.path = mkdtempSync(join(tmpdir(), "bun-contract-"));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(this.at(name)), { recursive: true });
      writeFileSync(this.at(name), text);
    }
  }

  at(name: string): string {
    return join(this.path, name);
  }

  start(command: readonly string[], environment: Readonly<Record<string, string | undefined>> = {}) {
    return Bun.spawn([...command], {
      cwd: this.path,
      env: { ...plainEnvironment, ...environment },
      stdin: null,
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** Runs `command` here to its end. */
  async run(
    command: readonly string[],
    environment: Readonly<Record<string, string | undefined>> = {},
  ): Promise<Ended> {
    const child = this.start(command, environment);
    const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { status, signal: child.signalCode, stdout, stderr };
  }

  /** Runs bun here to its end. */
  bun(args: readonly string[], environment: Readonly<Record<string, string | undefined>> = {}): Promise<Ended> {
    return this.run([process.execPath, ...args], environment);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const pollMs = 2;

/** Resolves once `condition` holds, and fails when it does not within `withinMs`. */
export async function until(condition: () => boolean, withinMs = 5000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`not so within ${withinMs} ms: ${condition}`);
    await Bun.sleep(pollMs);
  }
}

/** Whether process `pid` is there and no zombie. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}
