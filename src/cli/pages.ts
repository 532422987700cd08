/**
 * Every command of ours by name, each loaded when it is asked for. A new command is one line here.
 */
import type { Page } from "./page.ts";

/** In the order of the global help. */
const loaders: ReadonlyMap<string, () => Promise<Page>> = new Map([
  ["start", async () => (await import("./commands/start.ts")).startPage],
  ["stop", async () => (await import("./commands/brokers.ts")).stopPage],
  ["on-end", async () => (await import("./commands/on-end.ts")).onEndPage],
  ["get", async () => (await import("./commands/values.ts")).getPage],
  ["set", async () => (await import("./commands/values.ts")).setPage],
  ["touch", async () => (await import("./commands/counters.ts")).touchPage],
  ["incr", async () => (await import("./commands/counters.ts")).incrPage],
  ["del", async () => (await import("./commands/values.ts")).delPage],
  ["list", async () => (await import("./commands/values.ts")).listPage],
  ["watch", async () => (await import("./commands/watch.ts")).watchPage],
  ["lock", async () => (await import("./commands/turns.ts")).lockPage],
  ["sem", async () => (await import("./commands/turns.ts")).semPage],
  ["take", async () => (await import("./commands/turns.ts")).takePage],
  ["once", async () => (await import("./commands/once.ts")).oncePage],
  ["pool", async () => (await import("./commands/pools.ts")).poolPage],
  ["lease", async () => (await import("./commands/leases.ts")).leasePage],
  ["release", async () => (await import("./commands/leases.ts")).releasePage],
  ["queue", async () => (await import("./commands/queues.ts")).queuePage],
  ["limit", async () => (await import("./commands/sharing.ts")).limitPage],
  ["barrier", async () => (await import("./commands/sharing.ts")).barrierPage],
  ["pub", async () => (await import("./commands/channels.ts")).pubPage],
  ["sub", async () => (await import("./commands/channels.ts")).subPage],
  ["presence", async () => (await import("./commands/channels.ts")).presencePage],
  ["channels", async () => (await import("./commands/channels.ts")).channelsPage],
  ["request", async () => (await import("./commands/requests.ts")).requestPage],
  ["serve", async () => (await import("./commands/requests.ts")).servePage],
  ["send", async () => (await import("./commands/requests.ts")).sendPage],
  ["why", async () => (await import("./commands/holders.ts")).whyPage],
  ["holders", async () => (await import("./commands/holders.ts")).holdersPage],
  ["ls", async () => (await import("./commands/brokers.ts")).lsPage],
  ["ps", async () => (await import("./commands/inspect.ts")).psPage],
  ["kick", async () => (await import("./commands/requests.ts")).kickPage],
  ["ping", async () => (await import("./commands/inspect.ts")).pingPage],
  ["stats", async () => (await import("./commands/inspect.ts")).statsPage],
  ["health", async () => (await import("./commands/inspect.ts")).healthPage],
  ["metrics", async () => (await import("./commands/inspect.ts")).metricsPage],
  ["limits", async () => (await import("./commands/limits.ts")).limitsPage],
  ["doctor", async () => (await import("./commands/doctor.ts")).doctorPage],
  ["completions", async () => (await import("./commands/completions.ts")).completionsPage],
  ["help", async () => (await import("./commands/about.ts")).helpPage],
  ["version", async () => (await import("./commands/about.ts")).versionPage],
]);

export const commandNames: readonly string[] = [...loaders.keys()];

/** The page of a command; undefined for a name that is none. */
export async function loadPage(name: string): Promise<Page | undefined> {
  return loaders.get(name)?.();
}
