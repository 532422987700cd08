/** Connections to one server that read and say nothing, in a process of their own: `bun crowd.ts CROWD` with `Crowd` as JSON.
 *  Says "ready" once every one of them has heard the one message that is published, and stays until its stdin ends. */
import { commonChannel, dialects, mark } from "./dialect.ts";
import { type Address, Reader } from "./reader.ts";

export interface Crowd {
  readonly dialect: string;
  readonly address: Address;
  readonly connections: number;
}

/** Dialled at the same time. */
const dialledAtOnce = 50;
const lookMs = 50;
const stuckMs = 15_000;

const { dialect: name, address, connections }: Crowd = JSON.parse(process.argv[2] ?? "");
const dialect = dialects[name];
if (dialect === undefined) throw new Error(`there is no dialect ${name}`);
const channels = [commonChannel, "other"];
const readers = Array.from(
  { length: connections },
  () => new Reader({ dialect, address, channels, received: () => {} }),
);
for (let at = 0; at < connections; at += dialledAtOnce) {
  await Promise.all(readers.slice(at, at + dialledAtOnce).map((reader) => reader.open()));
}
const writer = new Reader({ dialect, address, channels: [], received: () => {} });
await writer.open();
const openedMs = performance.now();
const deaf = (): number => readers.filter(({ count }) => count === 0).length;
while (deaf() > 0) {
  if (performance.now() - openedMs > stuckMs) throw new Error(`${deaf()} readers of ${name} hear nothing`);
  writer.publish([mark]);
  await Bun.sleep(lookMs);
}
process.stdout.write("ready\n");
for await (const _chunk of Bun.stdin.stream());
process.exit(0);
