/**
 * Worker processes for the examples: the program that is running, once more for each of them. They find the
 * broker as it does, by EPHEMERAL_PIPE.
 */

/** The number of this process among the workers; undefined in the one that starts them. */
export const worker = process.env.WORKER === undefined ? undefined : Number(process.env.WORKER);

/** Starts `count` workers, numbered from `first`. */
export function startWorkers(count: number, first = 1): readonly Bun.Subprocess[] {
  return Array.from({ length: count }, (_, index) =>
    Bun.spawn([process.execPath, Bun.main], {
      env: { ...process.env, WORKER: `${first + index}`, EPHEMERAL_LABEL: `worker ${first + index}` },
      stdio: ["ignore", "inherit", "inherit"],
    }),
  );
}

/** Starts workers and waits until they have ended.
 *  @throws {Error} when one of them failed */
export async function runWorkers(count: number, first = 1): Promise<void> {
  const children = startWorkers(count, first);
  const statuses = await Promise.all(children.map((child) => child.exited));
  if (statuses.some((status) => status !== 0)) throw new Error(`workers ended with ${statuses.join(", ")}`);
}
