/**
 * What `ephemeral start` is told of its web door, by flags and environment. Reads them; what can be, the broker's
 * configuration knows.
 */
import { resolve } from "node:path";
import type { WebOptions } from "../../broker/web/web-config.ts";
import type { Definitions } from "../definitions.ts";
import { usageError } from "../failure.ts";
import { countUnit } from "../units.ts";
import { correctionOf, findGiven, readNumber, readTruth, type Sources } from "./settings.ts";

export interface WebSettings {
  readonly options: WebOptions;
  /** Where the port is written once it answers; undefined for nowhere. */
  readonly portFile: string | undefined;
}

/** In the order of the help. */
export const webFlags = {
  port: { type: "string", valueHint: "PORT", description: "Open a door for WebSockets and HTTP; 0 takes a free port" },
  host: { type: "string", valueHint: "ADDRESS", description: "Where that door listens (default: 127.0.0.1)" },
  "port-file": { type: "string", valueHint: "PATH", description: "A file that holds the port as long as it answers" },
  "allow-origin": {
    type: "string",
    valueHint: "ORIGIN",
    isRepeatable: true,
    description: "Whose pages may connect, besides the door's own",
  },
  "allow-host": {
    type: "string",
    valueHint: "HOST",
    isRepeatable: true,
    description: "Under which names the door may be asked, besides its own",
  },
  "insecure-no-auth": { type: "boolean", description: "Let in whoever can reach the port" },
} as const satisfies Definitions;

export const webVariables: readonly (readonly [string, string])[] = [
  ["EPHEMERAL_PORT", "As --port"],
  ["EPHEMERAL_HOST", "As --host"],
  ["EPHEMERAL_PORT_FILE", "As --port-file"],
  ["EPHEMERAL_ALLOW_ORIGIN", "As --allow-origin, with commas between several"],
  ["EPHEMERAL_ALLOW_HOST", "As --allow-host, with commas between several"],
  ["EPHEMERAL_INSECURE_NO_AUTH", "true or false"],
  ["EPHEMERAL_URL", "Set for the command with --port: where the door is"],
  ["EPHEMERAL_TOKEN", "Set for the command with --port: what lets a client in. Without a command: what shall do so"],
];

/** How options of the broker are called by who types them. */
export const flagOfOption: Readonly<Record<string, string>> = {
  allowedOrigins: "--allow-origin",
  allowedHosts: "--allow-host",
  insecureNoAuth: "--insecure-no-auth",
  host: "--host",
};

/** @throws {HintedError} `bad_command` for what cannot be meant */
export function webSettings(
  sources: Sources,
  run: { readonly hasCommand: boolean; readonly joins: boolean; readonly hasSecret: boolean },
): WebSettings {
  const port = findGiven("port", ["EPHEMERAL_PORT"], sources);
  // The others may stand in the environment of every start.
  if (port === undefined) return withoutPort(sources);
  if (run.joins)
    throw usageError(`Cannot use ${port.from} with --join: the broker may be another's`, correctionOf(port));
  const insecure = readInsecure(sources);
  const options: WebOptions = {
    port: readNumber(port, countUnit),
    host: findGiven("host", ["EPHEMERAL_HOST"], sources)?.text,
    allowedOrigins: readList("allow-origin", sources),
    allowedHosts: readList("allow-host", sources),
    insecureNoAuth: insecure,
    token: run.hasCommand || run.hasSecret || insecure ? undefined : readToken(sources),
  };
  const portFile = findGiven("port-file", ["EPHEMERAL_PORT_FILE"], sources);
  if (portFile?.text === "")
    throw usageError(`Cannot write the port: ${portFile.from} is empty`, correctionOf(portFile));
  return { options, portFile: portFile && resolve(portFile.text) };
}

function withoutPort({ flags }: Sources): WebSettings {
  const typed = Object.keys(webFlags).find((flag) => flags[flag] !== undefined);
  if (typed === undefined) return { options: {}, portFile: undefined };
  throw usageError(`Cannot use --${typed}: it is for a web door, and no port is given`, "Give --port too");
}

function readInsecure({ flags, environment }: Sources): boolean {
  if (flags["insecure-no-auth"] === true) return true;
  const given = findGiven("insecure-no-auth", ["EPHEMERAL_INSECURE_NO_AUTH"], { flags: {}, environment });
  return given !== undefined && readTruth(given);
}

function readList(flag: string, sources: Sources): readonly string[] | undefined {
  const given = findGiven(flag, [`EPHEMERAL_${flag.replaceAll("-", "_").toUpperCase()}`], sources);
  return given?.text.split(",").map((item) => item.trim());
}

/** A command is handed the token that was made for it; without one nobody would ever learn it. */
function readToken({ environment }: Sources): string {
  const token = environment.EPHEMERAL_TOKEN;
  if (token !== undefined) return token;
  throw usageError(
    "Cannot open the web door: nobody would know what lets them in",
    "Set EPHEMERAL_TOKEN=$(openssl rand -hex 32) for the broker and its clients, or a secret, or give --insecure-no-auth",
  );
}
