/**
 * Flags and environment become settings here: the command line's only reader of the environment.
 * A flag beats EPHEMERAL_*, which beats the seed's names. What cannot be read is refused, never replaced by a default.
 */
import { brokerNameForm, isBrokerName, pipeOfName } from "../../broker/broker-name.ts";
import { HintedError, usageError } from "../failure.ts";
import { countUnit, durationUnit, type Unit } from "../units.ts";
import { runRootOf } from "./run-root.ts";
import { findSecret } from "./secret.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Flags as typed, by name without dashes. */
export type Flags = Readonly<Record<string, unknown>>;

/** The variables this process was started with. */
export const processEnvironment: Environment = process.env;

export interface ClientSettings {
  readonly pipe: string;
  /** The flag or variable that named it, for messages. */
  readonly pipeFrom: string;
  readonly secret: string | undefined;
  /** Who asks, for people who look at `ps`. */
  readonly label: string;
  /** For commands that do not wait. */
  readonly timeoutMs: number;
}

/** Where a setting came from, for messages, and its text. */
export interface Given {
  readonly from: string;
  readonly text: string;
  /** What to do instead, where that is not to correct it or to leave it out. */
  readonly correction?: string | undefined;
}

/** The first of the flag and the variables that is there. Empty counts as there, so that it can be refused. */
export function findGiven(
  flag: string,
  variables: readonly string[],
  { flags, environment }: Sources,
): Given | undefined {
  const typed = flags[flag];
  if (typeof typed === "string") return { from: `--${flag}`, text: typed };
  for (const variable of variables) {
    const text = environment[variable];
    if (text !== undefined) return { from: variable, text };
  }
  return undefined;
}

export interface Sources {
  readonly flags: Flags;
  readonly environment: Environment;
}

export function readNumber(given: Given, unit: Unit): number {
  const amount = unit.read(given.text);
  if (amount !== undefined) return amount;
  throw usageError(`Cannot read ${given.from}: wanted ${unit.form}, got ${quoted(given.text)}`, correctionOf(given));
}

export function correctionOf({ from, correction }: Given): string {
  if (correction !== undefined) return correction;
  return from.startsWith("--") ? `Correct ${from}, or leave it out for the default` : `Correct ${from}, or unset it`;
}

/** Long texts are cut: a message is one line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

const truths = new Map([
  ["true", true],
  ["1", true],
  ["yes", true],
  ["false", false],
  ["0", false],
  ["no", false],
]);

export function readTruth(given: Given): boolean {
  const truth = truths.get(given.text.toLowerCase());
  if (truth !== undefined) return truth;
  throw usageError(`Cannot read ${given.from}: wanted true or false, got ${quoted(given.text)}`, correctionOf(given));
}

/** What a command that talks to a broker needs.
 *  @throws {HintedError} `unavailable` when nothing names a broker, `bad_command` for settings that cannot be */
export function clientSettings(flags: Flags, environment: Environment): ClientSettings {
  const sources = { flags, environment };
  const pipe = findPipe(sources);
  const secret = findSecret(sources, "client");
  const timeoutMs = timeoutMsOf(sources);
  if (pipe === undefined) throw noBroker(environment);
  if (pipe.text === "") throw usageError(`Cannot find the broker: ${pipe.from} is empty`, correctionOf(pipe));
  const label = environment.EPHEMERAL_LABEL || "ephemeral";
  return { pipe: pipe.text, pipeFrom: pipe.from, secret, label, timeoutMs };
}

/** The socket of the broker that is meant: by its name, its path, or by the run we are in. */
function findPipe(sources: Sources): Given | undefined {
  const name = nameFlag(sources.flags);
  if (name === undefined) return findGiven("pipe", ["EPHEMERAL_PIPE"], sources);
  if (typeof sources.flags.pipe === "string")
    throw usageError("Cannot find the broker: --name and --pipe are both given", "Give one of them");
  return { from: `--name ${name}`, text: pipeOfName(runRootOf(sources.environment), name) };
}

/** `--name`, which names a broker; undefined when it was not given.
 *  @throws {HintedError} `bad_command` for what cannot be a name */
export function nameFlag({ name }: Flags): string | undefined {
  if (typeof name !== "string") return undefined;
  if (isBrokerName(name)) return name;
  throw usageError(`Cannot read --name: wanted ${brokerNameForm}, got ${quoted(name)}`, "Choose another name");
}

/** A flag that holds a duration; undefined when it was not given. */
export function durationFlag(flags: Flags, name: string): number | undefined {
  const given = findGiven(name, [], { flags, environment: {} });
  return given === undefined ? undefined : readNumber(given, durationUnit);
}

interface CountOptions {
  readonly name: string;
  readonly atLeast: number;
  readonly atMost?: number;
  /** What to write instead, where the flag is required and cannot be left out. */
  readonly correction?: string | undefined;
}

/** A flag that holds a count, at least `atLeast`; undefined when it was not given. */
export function countFlag(flags: Flags, options: CountOptions): number | undefined {
  const { name, atLeast, atMost = Infinity, correction } = options;
  const found = findGiven(name, [], { flags, environment: {} });
  if (found === undefined) return undefined;
  const given = { ...found, correction };
  const count = readNumber(given, countUnit);
  if (count >= atLeast && count <= atMost) return count;
  const wanted = count < atLeast ? `at least ${atLeast}` : `at most ${atMost}`;
  throw usageError(`Cannot read --${name}: wanted ${wanted}, got ${count}`, correctionOf(given));
}

/** Commands side by side: each has a shell that watches over it, and descriptors; and one session may not have more waits. */
export const lanesMax = 256;

/** `--jobs`: 1 without it. */
export function jobsFlag(flags: Flags): number {
  return countFlag(flags, { name: "jobs", atLeast: 1, atMost: lanesMax }) ?? 1;
}

/** `--wait`: 0 without it, −1 for `forever`, else milliseconds. */
export function waitFlag(flags: Flags): number {
  return flags.wait === "forever" ? -1 : (durationFlag(flags, "wait") ?? 0);
}

/** A flag that is one of a few words; undefined when it was not given. */
export function choiceFlag<const Choice extends string>(
  flags: Flags,
  { name, choices }: { name: string; choices: readonly Choice[] },
): Choice | undefined {
  const text = flags[name];
  if (typeof text !== "string") return undefined;
  const choice = choices.find((choice) => choice === text);
  if (choice !== undefined) return choice;
  throw usageError(
    `Cannot read --${name}: wanted ${choices.join(" or ")}, got ${quoted(text)}`,
    `Correct --${name}, or leave it out`,
  );
}

/** How long a broker may take to answer.
 *  @throws {HintedError} `bad_command` */
export function timeoutMsOf(sources: Sources): number {
  const given = findGiven("timeout", ["CLIENT_TIMEOUT"], sources);
  const timeoutMs = given === undefined ? 5000 : readNumber(given, durationUnit);
  if (timeoutMs > 0) return timeoutMs;
  throw usageError("Cannot use the timeout: it must be longer than 0", "Leave --timeout out for 5s");
}

function noBroker({ EPHEMERAL_URL }: Environment): HintedError {
  const message = "No broker: EPHEMERAL_PIPE is not set and neither --pipe nor --name is given";
  const hint =
    EPHEMERAL_URL === undefined
      ? "See which run with: ephemeral ls, and name one with --name; or start one: ephemeral start -- your-command"
      : "EPHEMERAL_URL is for the library's Client; commands want the socket: see ephemeral ls, and give --name or --pipe";
  return new HintedError("unavailable", message, { hint });
}

/** What decides whether a stream gets colours. */
export interface ColourSource {
  readonly environment: Environment;
  readonly isTerminal: () => boolean;
}

/** Colours are for terminals; NO_COLOR takes them away and FORCE_COLOR gives them to anything else. */
export function wantsColours({ environment, isTerminal }: ColourSource): boolean {
  if (environment.NO_COLOR) return false;
  if (environment.FORCE_COLOR) return environment.FORCE_COLOR !== "0";
  return environment.TERM !== "dumb" && isTerminal();
}
