/**
 * What `ephemeral start` is told by flags and environment, turned into the broker's configuration and the command's own
 * environment. Knows neither how a broker starts nor how a command is run.
 */
import { type BrokerConfig, type BrokerOptions, brokerConfig } from "../../broker/config.ts";
import type { LogOptions } from "../../broker/log/logtape-log.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import { usageError } from "../failure.ts";
import { durationUnit } from "../units.ts";
import { bounds } from "./bounds.ts";
import { type LifetimeSettings, lifetimeSettings } from "./lifetime-settings.ts";
import { logSettings } from "./log-settings.ts";
import { runRootOf } from "./run-root.ts";
import { findSecret } from "./secret.ts";
import {
  correctionOf,
  type Environment,
  type Flags,
  findGiven,
  readNumber,
  readTruth,
  type Sources,
} from "./settings.ts";
import { flagOfOption, webSettings } from "./web-settings.ts";

const howToCorrect = "What can be given is in: ephemeral help start";

export interface StartSettings {
  /** Complete but for the log, which is not open yet. */
  readonly config: BrokerConfig;
  /** Undefined for none. */
  readonly log: LogOptions | undefined;
  readonly join: LifetimeSettings["join"];
  readonly owner: LifetimeSettings["owner"];
  readonly portFile: string | undefined;
  readonly hooks: readonly string[];
  readonly takesHooks: boolean;
  /** How long the command may take to end once it was told to, and those who joined its run after its end. */
  readonly graceMs: number;
  /** The command's environment, without the pipe, which is not known yet. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Between commands for the end of the run: no word of a command line has it. */
export const hookSeparator = "\0";

/** What `ephemeral start` needs, all of it checked.
 *  @throws {HintedError} `bad_command` naming the flag or variable that cannot be */
export function startSettings(flags: Flags, environment: Environment): StartSettings {
  const sources = { flags, environment };
  const hasCommand = Array.isArray(flags._) && flags._.length > 0;
  const { name, join, owner, idleTimeoutMs } = lifetimeSettings(sources, { hasCommand });
  const secret = findSecret(sources, "broker");
  const web = webSettings(sources, { hasCommand, joins: join !== undefined, hasSecret: secret !== undefined });
  const { log, heartbeatMs } = logSettings(sources);
  const grace = findGiven("grace", ["EPHEMERAL_GRACE"], sources);
  const defaultTtl = findGiven("default-ttl", ["EPHEMERAL_DEFAULT_TTL", "BROKER_DEFAULT_TTL"], sources);
  const requireTtl = readSwitch(sources, { flag: "require-ttl", variable: "REQUIRE_TTL" });
  const refreshTtlOnGet = readSwitch(sources, { flag: "refresh-ttl-on-get", variable: "REFRESH_TTL_ON_GET" });
  const options: BrokerOptions & { readonly runRoot: string } = {
    runRoot: runRootOf(environment),
    ...(name === undefined ? {} : { name }),
    idleTimeoutMs,
    ...(secret === undefined ? {} : { secret }),
    ...(defaultTtl === undefined ? {} : { defaultTtlMs: readNumber(defaultTtl, durationUnit) }),
    ...(requireTtl === undefined ? {} : { requireTtl }),
    ...(refreshTtlOnGet === undefined ? {} : { refreshTtlOnGet }),
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    ...web.options,
    limits: readLimits(sources),
  };
  return {
    config: checkedConfig(options),
    log,
    join,
    owner,
    portFile: web.portFile,
    hooks: readHooks(flags),
    takesHooks: flags["no-on-end"] !== true,
    graceMs: grace === undefined ? 10_000 : readNumber(grace, durationUnit),
    environment: commandEnvironment(environment, secret),
  };
}

function readHooks(flags: Flags): readonly string[] {
  const given = flags["on-end"];
  if (typeof given !== "string") return [];
  if (flags["no-on-end"] === true) {
    throw usageError(
      "Cannot use --on-end: --no-on-end says that nothing is run at the end",
      "Leave one of the two out",
    );
  }
  const hooks = given.split(hookSeparator);
  if (hooks.includes(""))
    throw usageError("Cannot read --on-end: the command is empty", "Correct --on-end, or leave it out");
  return hooks;
}

/** The bounds that flags and environment set. */
export function readLimits(sources: Sources): Partial<Limits> {
  const limits: Partial<Record<keyof Limits, number>> = {};
  for (const { limit, flag, environment, unit } of bounds) {
    const given = findGiven(flag, environment, sources);
    if (given === undefined) continue;
    const amount = readNumber(given, unit);
    if (amount === 0) {
      throw usageError(`Cannot read ${given.from}: the bound must be more than 0`, correctionOf(given));
    }
    limits[limit] = amount;
  }
  return limits;
}

/** A flag that is there or not; a variable of ours or the seed's says true or false. */
function readSwitch(
  { flags, environment }: Sources,
  { flag, variable }: { readonly flag: string; readonly variable: string },
): boolean | undefined {
  const typed = flags[flag];
  if (typeof typed === "boolean") return typed;
  const given = findGiven(flag, [`EPHEMERAL_${variable}`, `BROKER_${variable}`], { flags: {}, environment });
  return given === undefined ? undefined : readTruth(given);
}

/** Bounds that contradict each other are told by the flags that set them.
 *  @throws {HintedError} `bad_command` */
function checkedConfig(options: BrokerOptions & { readonly runRoot: string }): BrokerConfig {
  try {
    return brokerConfig(options);
  } catch (error) {
    if (!(error instanceof EphemeralError) || error.code !== "bad_command") throw error;
    const flagOf = new Map<string, string>(bounds.map(({ limit, flag }) => [limit, `--${flag}`]));
    for (const [option, flag] of Object.entries(flagOfOption)) flagOf.set(option, flag);
    const message = error.message.replace(/\w+/g, (word) => flagOf.get(word) ?? word);
    const isOfBounds = error.details?.limits !== undefined;
    throw usageError(message, isOfBounds ? "The bounds and their defaults are in: ephemeral limits" : howToCorrect);
  }
}

/** Clients of the command look for EPHEMERAL_SECRET, wherever the broker had its secret from. */
function commandEnvironment(environment: Environment, secret: string | undefined): Record<string, string> {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) own[name] = value;
  return secret === undefined ? own : { ...own, EPHEMERAL_SECRET: secret };
}
