/**
 * A broker inside a Bun process of yours, on its event loop: `ephemerald/broker`. It ends when you stop it or your process
 * ends. Where a process of its own will do, take `Broker` of `ephemerald`: tests that block do not block that one.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningBroker, startBroker as startConfigured } from "./broker.ts";
import { type BrokerOptions, brokerConfig } from "./config.ts";

export { EphemeralError } from "../protocol/errors.ts";
export type { RunningBroker } from "./broker.ts";
export type { EndReason } from "./broker-state.ts";
export type { BrokerOptions } from "./config.ts";
export type { Log } from "./log/log.ts";

/** Starts a broker on a private unix socket. Its directory is made in `runRoot`, else in the temporary directory. Neither
 *  reads nor sets an environment variable: hand `pipe` to the clients.
 *  @throws {EphemeralError} `bad_command` for an option that cannot be, `forbidden` when the directory is not ours alone,
 *  `unavailable` when it cannot be had or the name is taken */
export async function startBroker(options: BrokerOptions = {}): Promise<RunningBroker> {
  const runRoot = options.runRoot ?? join(tmpdir(), `ephemeral-${process.getuid?.() ?? 0}`);
  // When to collect in your process is not ours to say.
  return startConfigured(brokerConfig({ ...options, runRoot }), { collect: () => {} });
}
