/**
 * The flags of every command that runs another in its turn, and what they come to.
 */
import { clientFlags } from "../call.ts";
import type { Definitions } from "../definitions.ts";
import { exitStatuses, usageError } from "../failure.ts";
import {
  type ClientSettings,
  clientSettings,
  correctionOf,
  countFlag,
  type Flags,
  findGiven,
  processEnvironment,
  readNumber,
  waitFlag,
} from "../settings/settings.ts";
import { durationUnit } from "../units.ts";

// What would be printed as JSON is the command's to print.
const { json: _, ...placeFlags } = clientFlags;

export const turnFlags = {
  wait: {
    type: "string",
    valueHint: "DURATION",
    short: "w",
    description: "How long to wait for it; 0 for not at all (default: as long as it takes)",
  },
  "conflict-status": {
    type: "string",
    valueHint: "N",
    short: "E",
    description: "The exit status when it is not to be had: too long a wait, or a deadlock (default: 75)",
  },
  grace: {
    type: "string",
    valueHint: "DURATION",
    description: "How long the command may take to end after SIGTERM or SIGHUP (default: 10s)",
  },
  ...placeFlags,
} as const satisfies Definitions;

export const turnVariables = [["EPHEMERAL_GRACE", "As --grace"]] as const;

export interface TurnSettings {
  readonly settings: ClientSettings;
  readonly waitMs: number;
  readonly conflictStatus: number;
  readonly graceMs: number;
}

const defaultGraceMs = 10_000;
const exitStatusMax = 255;

/** @throws {HintedError} `unavailable` when nothing names a broker, `bad_command` for what cannot be */
export function turnSettings(flags: Flags): TurnSettings {
  const grace = findGiven("grace", ["EPHEMERAL_GRACE"], { flags, environment: processEnvironment });
  const conflictStatus = countFlag(flags, { name: "conflict-status", atLeast: 0 }) ?? exitStatuses.timedOut;
  if (conflictStatus > exitStatusMax) {
    const hint = correctionOf({ from: "--conflict-status", text: "" });
    throw usageError(`Cannot read --conflict-status: wanted at most ${exitStatusMax}, got ${conflictStatus}`, hint);
  }
  return {
    settings: clientSettings(flags, processEnvironment),
    waitMs: flags.wait === undefined ? -1 : waitFlag(flags),
    conflictStatus,
    graceMs: grace === undefined ? defaultGraceMs : readNumber(grace, durationUnit),
  };
}
