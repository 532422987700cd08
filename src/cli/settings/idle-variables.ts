/**
 * Variables of the seed that change nothing here, and why. They are taken without complaint, so that an environment made
 * for the seed still works, and each that is set is told once in the log.
 */
import type { Environment } from "./settings.ts";

export interface IdleVariable {
  readonly name: string;
  readonly reason: string;
}

export const idleVariables: readonly IdleVariable[] = [
  {
    name: "BROKER_COMPRESSION",
    reason: "the broker keeps values as they come; a client compresses, with CLIENT_COMPRESSION=true",
  },
  {
    name: "BROKER_COMPRESSION_THRESHOLD",
    reason: "the broker keeps values as they come; the client's is CLIENT_COMPRESSION_THRESHOLD",
  },
  { name: "BROKER_SWEEPER_INTERVAL", reason: "what has passed its deadline is gone at once; nothing sweeps" },
  {
    name: "CLIENT_ALLOW_NO_TTL",
    reason: "set without a ttl is always allowed; the client then sends its default, 30 minutes",
  },
  {
    name: "CLIENT_DEBUG",
    reason: "the client prints nothing; the broker's log tells of every command at --log-level debug",
  },
];

/** Those that are set. */
export function idleVariablesIn(environment: Environment): readonly IdleVariable[] {
  return idleVariables.filter(({ name }) => environment[name] !== undefined);
}
