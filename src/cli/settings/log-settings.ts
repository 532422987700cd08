/**
 * The log of a broker as flags and variables, the seed's among them. There is a log once anybody asks for a level, a format,
 * a file or a heartbeat; what is not asked for is then: info, text, stderr, none.
 */

import type { LogLevel } from "../../broker/log/log.ts";
import type { LogOptions } from "../../broker/log/logtape-log.ts";
import type { Definitions } from "../definitions.ts";
import { usageError } from "../failure.ts";
import { durationUnit } from "../units.ts";
import { correctionOf, findGiven, type Given, quoted, readNumber, readTruth, type Sources } from "./settings.ts";

export interface LogSettings {
  /** Undefined for no log. */
  readonly log: LogOptions | undefined;
  /** How often to tell that all is well; undefined for never. */
  readonly heartbeatMs: number | undefined;
}

export const logFlags = {
  "log-level": {
    type: "string",
    valueHint: "debug|info|warning|error|off",
    description: "Log what happens, from this level on (default: off)",
  },
  "log-format": { type: "string", valueHint: "text|json", description: "How: a line an event (default: text)" },
  "log-file": {
    type: "string",
    valueHint: "PATH",
    description: "Append the log to a file, readable by you alone if it is new (default: stderr)",
  },
  "heartbeat-interval": {
    type: "string",
    valueHint: "DURATION",
    description: "Log how the broker is, this often; 0 for never (default: 0)",
  },
} as const satisfies Definitions;

export const logVariables: readonly (readonly [name: string, meaning: string])[] = [
  ["EPHEMERAL_LOG_LEVEL", "As --log-level; else BROKER_LOG_LEVEL, else BROKER_DEBUG=true for debug"],
  ["EPHEMERAL_LOG_FORMAT", "As --log-format; else BROKER_STRUCTURED_LOGGING=true for json"],
  ["EPHEMERAL_LOG_FILE", "As --log-file"],
  ["EPHEMERAL_HEARTBEAT_INTERVAL", "As --heartbeat-interval; else BROKER_HEARTBEAT_INTERVAL"],
];

/** `warn` is the seed's word. */
const levels = new Map<string, LogLevel | "off">([
  ["debug", "debug"],
  ["info", "info"],
  ["warning", "warning"],
  ["warn", "warning"],
  ["error", "error"],
  ["off", "off"],
]);

const formats = new Map<string, LogOptions["format"]>([
  ["text", "text"],
  ["json", "json"],
]);

/** @throws {HintedError} `bad_command` naming the flag or variable that cannot be */
export function logSettings(sources: Sources): LogSettings {
  const level = readLevel(sources);
  const format = readFormat(sources);
  const file = findGiven("log-file", ["EPHEMERAL_LOG_FILE"], sources);
  if (file?.text === "") throw usageError(`Cannot log: ${file.from} is empty`, correctionOf(file));
  const heartbeatMs = readHeartbeat(sources);
  const isWanted = [level, format, file, heartbeatMs].some((setting) => setting !== undefined);
  if (!isWanted || level === "off") return { log: undefined, heartbeatMs: undefined };
  return { log: { level: level ?? "info", format: format ?? "text", file: file?.text }, heartbeatMs };
}

function readLevel(sources: Sources): LogLevel | "off" | undefined {
  const given = findGiven("log-level", ["EPHEMERAL_LOG_LEVEL", "BROKER_LOG_LEVEL"], sources);
  if (given !== undefined) return readWord(given, levels);
  return readSwitch("BROKER_DEBUG", sources) ? "debug" : undefined;
}

function readFormat(sources: Sources): LogOptions["format"] | undefined {
  const given = findGiven("log-format", ["EPHEMERAL_LOG_FORMAT"], sources);
  if (given !== undefined) return readWord(given, formats);
  return readSwitch("BROKER_STRUCTURED_LOGGING", sources) ? "json" : undefined;
}

function readHeartbeat(sources: Sources): number | undefined {
  const variables = ["EPHEMERAL_HEARTBEAT_INTERVAL", "BROKER_HEARTBEAT_INTERVAL"];
  const given = findGiven("heartbeat-interval", variables, sources);
  return given === undefined ? undefined : readNumber(given, durationUnit) || undefined;
}

function readSwitch(variable: string, { environment }: Sources): boolean {
  const text = environment[variable];
  return text !== undefined && readTruth({ from: variable, text });
}

function readWord<Word>(given: Given, words: ReadonlyMap<string, Word>): Word {
  const word = words.get(given.text.toLowerCase());
  if (word !== undefined) return word;
  const wanted = [...words.keys()].join(", ");
  throw usageError(`Cannot read ${given.from}: wanted ${wanted}, got ${quoted(given.text)}`, correctionOf(given));
}
