/**
 * What a launched broker can be told, under our names and under the seed's, turned into the command line's flags. Refuses
 * what it does not know and what contradicts itself; what a value may be, the command line knows.
 */
import { EphemeralError, kindOf } from "../../protocol/errors.ts";
import { defaultLimits, type Limits } from "../../protocol/limits.ts";
import { suggestionFor } from "../../protocol/suggestion.ts";

/** Left out, undefined and null are the same: the environment's value (`EPHEMERAL_*`, `BROKER_*`), else the default. */
export interface BrokerOptions {
  /** By which others find this broker; one living broker of this user has it. The seed: `pipeId`. */
  readonly name?: string | null | undefined;
  /** What clients must know. Handed over in the environment, never as an argument. */
  readonly secret?: string | null | undefined;
  /** The time to live of what is stored without one: 30 minutes. The seed: `defaultTTL`. */
  readonly defaultTtlMs?: number | null | undefined;
  /** Whether to refuse to store without a time to live: true. The seed: `requireTTL`. */
  readonly requireTtl?: boolean | null | undefined;
  /** Whether `get` prolongs what it reads: false. The seed: `refreshTTLOnGet`. */
  readonly refreshTtlOnGet?: boolean | null | undefined;
  /** Ends the broker when nobody was connected for so long; 0 for never. The seed: `idleTimeout`. */
  readonly idleTimeoutMs?: number | null | undefined;
  /** How often to log how the broker is; 0 for never. The seed: `heartbeatInterval`. */
  readonly heartbeatIntervalMs?: number | null | undefined;
  /** From which level on to log, to stderr: off. `warn` is the seed's word for `warning`, and `debug: true` for `debug`. */
  readonly logLevel?: "debug" | "info" | "warning" | "warn" | "error" | "off" | null | undefined;
  /** A line an event either way: text. The seed: `structuredLogging: true` for `json`. */
  readonly logFormat?: "text" | "json" | null | undefined;
  /** Opens a door for WebSockets and HTTP at this port; 0 takes a free one. */
  readonly port?: number | null | undefined;
  /** Where that door listens: 127.0.0.1. */
  readonly host?: string | null | undefined;
  /** Origins whose pages may connect, besides the door's own. */
  readonly allowedOrigins?: readonly string[] | null | undefined;
  /** Names under which the door may be asked, besides its own. */
  readonly allowedHosts?: readonly string[] | null | undefined;
  /** Lets in whoever can reach the port: false. */
  readonly insecureNoAuth?: boolean | null | undefined;
  /** Appends the log to a file instead. */
  readonly logFile?: string | null | undefined;
  /** The broker's bounds. The seed: `maxRequestSize`, `maxValueSize`, `maxItems`. */
  readonly limits?: Partial<Limits> | null | undefined;

  readonly pipeId?: string | null | undefined;
  readonly defaultTTL?: number | null | undefined;
  readonly requireTTL?: boolean | null | undefined;
  readonly refreshTTLOnGet?: boolean | null | undefined;
  readonly idleTimeout?: number | null | undefined;
  readonly heartbeatInterval?: number | null | undefined;
  readonly structuredLogging?: boolean | null | undefined;
  readonly debug?: boolean | null | undefined;
  readonly maxRequestSize?: number | null | undefined;
  readonly maxValueSize?: number | null | undefined;
  readonly maxItems?: number | null | undefined;
  /** No effect: a broker keeps values as they come; a client compresses. */
  readonly compression?: boolean | null | undefined;
  /** No effect, as `compression`. */
  readonly compressionThreshold?: number | null | undefined;
  /** No effect: what has passed its deadline is gone at once, and nothing sweeps. */
  readonly sweeperInterval?: number | null | undefined;
  /** No effect: numbers are gathered when somebody asks for them. */
  readonly metrics?: boolean | null | undefined;
}

export interface LaunchSettings {
  /** For `ephemeral start`. */
  readonly flags: readonly string[];
  /** Beyond the environment the launcher has. */
  readonly variables: Readonly<Record<string, string>>;
  /** Whether these open a web door, and whether they say what lets clients in there. */
  readonly hasPort: boolean;
  readonly hasAdmission: boolean;
}

type OptionName = Exclude<keyof BrokerOptions, "limits">;
type Kind = "text" | "count" | "switch" | "texts";

interface Option {
  readonly kind: Kind;
  /** The flag's words for a value; none where a value has no effect. */
  readonly flagsFor?: (value: string) => readonly string[];
  /** Our name for a name of the seed's. */
  readonly means?: OptionName | `limits.${keyof Limits}`;
}

const valued = (flag: string) => (value: string) => [`--${flag}=${value}`];

const options: Readonly<Record<OptionName, Option>> = {
  name: { kind: "text", flagsFor: valued("name") },
  secret: { kind: "text" },
  defaultTtlMs: { kind: "count", flagsFor: valued("default-ttl") },
  requireTtl: { kind: "switch", flagsFor: (value) => [value === "true" ? "--require-ttl" : "--no-require-ttl"] },
  refreshTtlOnGet: { kind: "switch", flagsFor: (value) => (value === "true" ? ["--refresh-ttl-on-get"] : []) },
  idleTimeoutMs: { kind: "count", flagsFor: valued("idle-timeout") },
  heartbeatIntervalMs: { kind: "count", flagsFor: valued("heartbeat-interval") },
  logLevel: { kind: "text", flagsFor: valued("log-level") },
  logFormat: { kind: "text", flagsFor: valued("log-format") },
  logFile: { kind: "text", flagsFor: valued("log-file") },
  port: { kind: "count", flagsFor: valued("port") },
  host: { kind: "text", flagsFor: valued("host") },
  allowedOrigins: { kind: "texts", flagsFor: valued("allow-origin") },
  allowedHosts: { kind: "texts", flagsFor: valued("allow-host") },
  insecureNoAuth: { kind: "switch", flagsFor: (value) => (value === "true" ? ["--insecure-no-auth"] : []) },
  pipeId: { kind: "text", means: "name" },
  defaultTTL: { kind: "count", means: "defaultTtlMs" },
  requireTTL: { kind: "switch", means: "requireTtl" },
  refreshTTLOnGet: { kind: "switch", means: "refreshTtlOnGet" },
  idleTimeout: { kind: "count", means: "idleTimeoutMs" },
  heartbeatInterval: { kind: "count", means: "heartbeatIntervalMs" },
  structuredLogging: { kind: "switch" },
  debug: { kind: "switch" },
  maxRequestSize: { kind: "count", means: "limits.frameBytesMax" },
  maxValueSize: { kind: "count", means: "limits.valueBytesMax" },
  maxItems: { kind: "count", means: "limits.itemsMax" },
  compression: { kind: "switch" },
  compressionThreshold: { kind: "count" },
  sweeperInterval: { kind: "count" },
  metrics: { kind: "switch" },
};

/** A value as the flag takes it, and the option that gave it. */
interface Chosen {
  readonly from: string;
  readonly value: string;
}

/** @throws {EphemeralError} `bad_command` naming the option that is unknown, of another kind, empty, or given twice */
export function launchSettings(given: BrokerOptions): LaunchSettings {
  const chosen = new Map<string, Chosen>();
  for (const [name, value] of Object.entries(given)) {
    if (name === "limits") for (const [limit, bound] of entriesOf(value)) choose(chosen, limitOption(limit, bound));
    else choose(chosen, plainOption(name, value));
  }
  // As the seed has it, a level given beside it counts.
  if (given.debug === true && !chosen.has("logLevel"))
    choose(chosen, { name: "logLevel", from: "debug", value: "debug" });
  const secret = chosen.get("secret");
  return {
    flags: [...chosen].flatMap(([name, { value }]) => flagsOf(name, value)),
    variables: secret === undefined ? {} : { EPHEMERAL_SECRET: secret.value },
    hasPort: chosen.has("port"),
    hasAdmission: secret !== undefined || given.insecureNoAuth === true,
  };
}

function flagsOf(name: string, value: string): readonly string[] {
  const limit = /^limits\.(.*)$/.exec(name)?.[1];
  if (limit !== undefined) return [`--${limit.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`];
  return (isOptionName(name) ? options[name].flagsFor?.(value) : undefined) ?? [];
}

type Read = { readonly name: string; readonly from: string; readonly value: string } | undefined;

function choose(chosen: Map<string, Chosen>, read: Read): void {
  if (read === undefined) return;
  const { name, from, value } = read;
  const other = chosen.get(name);
  if (other !== undefined && other.value !== value) {
    throw refusal(`${other.from} and ${from} mean the same and differ; give one of them`);
  }
  chosen.set(name, { from, value });
}

function plainOption(name: string, value: unknown): Read {
  if (!isOptionName(name)) throw unknown(name, Object.keys(options).concat("limits"));
  if (value === undefined || value === null) return undefined;
  const { kind, means } = options[name];
  const text = textOf(name, { kind, value });
  // A switch of the seed's that became a word: off is the default and contradicts nothing.
  if (name !== "structuredLogging") return { name: means ?? name, from: name, value: text };
  return text === "true" ? { name: "logFormat", from: name, value: "json" } : undefined;
}

function limitOption(limit: string, bound: unknown): Read {
  if (!Object.hasOwn(defaultLimits, limit))
    throw unknown(
      `limits.${limit}`,
      Object.keys(defaultLimits).map((known) => `limits.${known}`),
    );
  if (bound === undefined || bound === null) return undefined;
  const name = `limits.${limit}`;
  return { name, from: name, value: textOf(name, { kind: "count", value: bound }) };
}

function entriesOf(limits: unknown): readonly (readonly [string, unknown])[] {
  if (limits === undefined || limits === null) return [];
  if (typeof limits === "object") return Object.entries(limits);
  throw refusal(`limits should be an object, it is ${kindOf(limits)}`);
}

function textOf(name: string, { kind, value }: { readonly kind: Kind; readonly value: unknown }): string {
  if (kind === "switch" && typeof value === "boolean") return String(value);
  if (kind === "count" && typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return String(value);
  if (kind === "text" && typeof value === "string" && value !== "") return value;
  if (kind === "texts" && isTexts(value)) return value.join();
  const wanted = wantedOf[kind];
  const actual = typeof value === "number" ? value : value === "" ? "empty" : kindOf(value);
  throw refusal(`${name} should be ${wanted}, it is ${actual}`);
}

const wantedOf: Readonly<Record<Kind, string>> = {
  switch: "true or false",
  count: "a whole number, 0 or more",
  text: "a text that is not empty",
  texts: "a list of texts without commas",
};

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string" && text !== "" && !text.includes(","));
}

function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(options, name);
}

function unknown(name: string, known: readonly string[]): EphemeralError {
  const meant = suggestionFor(name, known) ?? known.find((word) => word.toLowerCase() === name.toLowerCase());
  return refusal(`there is no option ${name}${meant === undefined ? "" : `; did you mean ${meant}?`}`);
}

function refusal(reason: string): EphemeralError {
  return new EphemeralError("bad_command", `Cannot make a broker: ${reason}`);
}
