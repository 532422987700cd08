/**
 * What a client is called when nobody says: the test file or script that its process runs, the runner's number for that
 * process, and its pid. Whoever never gives a lock back is then found by one look at `ephemeral why`.
 */

/** What a process knows of itself. */
export interface OwnProcess {
  readonly script: string;
  readonly folder: string;
  readonly pid: number;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** `tests/checkout.test.ts (worker 2, pid 4711)`. Undefined where there is no script. */
export function ownLabel(variables: Variables, own: OwnProcess | null = thisProcess()): string | undefined {
  if (own === null) return undefined;
  const name = own.script.replace(`${own.folder}/`, "").replace(/.*node_modules\//, "");
  const { JEST_WORKER_ID, VITEST_POOL_ID, TEST_WORKER_INDEX, WDIO_WORKER_ID } = variables;
  const worker = JEST_WORKER_ID ?? VITEST_POOL_ID ?? TEST_WORKER_INDEX ?? WDIO_WORKER_ID;
  return `${name} (${worker ? `worker ${worker}, ` : ""}pid ${own.pid})`;
}

function thisProcess(): OwnProcess | null {
  if (typeof process !== "object" || !process.argv?.[1]) return null;
  // What runtimes and runners put there, as far as they do.
  const { Bun, expect, __vitest_worker__ } = globalThis as {
    readonly Bun?: { readonly main?: string };
    readonly expect?: { readonly getState?: () => { readonly testPath?: string } | undefined };
    readonly __vitest_worker__?: { readonly filepath?: string };
  };
  const script = __vitest_worker__?.filepath ?? expect?.getState?.()?.testPath ?? Bun?.main ?? process.argv[1];
  return { script, folder: process.cwd(), pid: process.pid };
}
