/**
 * What `ephemeral start` is told of names and of how long a broker lives: its name, whose run it joins, whose end is its
 * own, how long it may be idle. Reads flags and environment; knows nothing of brokers.
 */
import { HintedError, howToStart, usageError } from "../failure.ts";
import { durationUnit } from "../units.ts";
import { type Owner, parseOwner } from "../wrapper/owner.ts";
import { type Environment, findGiven, nameFlag, readNumber, type Sources } from "./settings.ts";

export interface LifetimeSettings {
  readonly name: string | undefined;
  /** The run to join: of the broker at this path, or of the one of our own name, if there is one. */
  readonly join: { readonly pipe: string } | "name" | undefined;
  readonly owner: Owner | undefined;
  /** 0 for never. */
  readonly idleTimeoutMs: number;
}

/** @throws {HintedError} `bad_command` for what cannot be meant, `unavailable` when there is no run to join */
export function lifetimeSettings(sources: Sources, { hasCommand }: { readonly hasCommand: boolean }): LifetimeSettings {
  const name = nameFlag(sources.flags);
  const owner = findGiven("owner", [], sources);
  if (owner !== undefined && hasCommand) throw ownEnd("--owner");
  return {
    name,
    join: sources.flags.join === true ? runToJoin(name, sources.environment) : undefined,
    owner: owner === undefined ? undefined : parseOwner(owner.text),
    idleTimeoutMs: readIdleTimeout(sources, hasCommand),
  };
}

function runToJoin(name: string | undefined, environment: Environment): LifetimeSettings["join"] {
  if (name !== undefined) return "name";
  const pipe = environment.EPHEMERAL_PIPE;
  if (pipe !== undefined && pipe !== "") return { pipe };
  const message = "No run to join: EPHEMERAL_PIPE is not set and --name is not given";
  throw new HintedError("unavailable", message, { hint: howToStart });
}

/** A command's broker ends with the command: a variable that is there for others does not change that. */
function readIdleTimeout(sources: Sources, hasCommand: boolean): number {
  const given = findGiven("idle-timeout", ["EPHEMERAL_IDLE_TIMEOUT", "BROKER_IDLE_TIMEOUT"], sources);
  const idleTimeoutMs = given === undefined ? 0 : readNumber(given, durationUnit);
  if (!hasCommand) return idleTimeoutMs;
  if (given?.from === "--idle-timeout") throw ownEnd("--idle-timeout");
  return 0;
}

function ownEnd(flag: string): Error {
  return usageError(
    `Cannot use ${flag}: this broker ends when its command does`,
    `Leave ${flag} out, or start a broker without a command`,
  );
}
