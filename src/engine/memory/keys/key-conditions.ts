/**
 * What a command may ask of the key it finds: that it is absent, present, or stands at a version. Only compares.
 */
import { EphemeralError } from "../../../protocol/errors.ts";
import type { SetRequest } from "../../engine.ts";

interface StandingKey {
  readonly key: string;
  readonly version: number;
}

/** @throws {EphemeralError} `exists`, `not_found` or `version_mismatch` when `request` does not want the key as it is: `entry`,
 *  or absent */
export function refuseUnlessWanted(request: SetRequest, entry: StandingKey | undefined): void {
  const name = JSON.stringify(request.key);
  if (request.if === "absent" && entry !== undefined) {
    const actual = `wanted absent, it stands at version ${entry.version}`;
    throw new EphemeralError("exists", `Cannot set key ${name}: ${actual}`, { details: { version: entry.version } });
  }
  if (entry === undefined && (request.if === "present" || request.version !== undefined)) {
    throw new EphemeralError("not_found", `Cannot set key ${name}: wanted present, nothing is stored under it`);
  }
  if (entry !== undefined && request.version !== undefined && request.version !== entry.version) {
    throw wrongVersion("set", request.version, entry);
  }
}

export function wrongVersion(action: string, wanted: number, entry: StandingKey): EphemeralError {
  const actual = `wanted version ${wanted}, it stands at ${entry.version}`;
  return new EphemeralError("version_mismatch", `Cannot ${action} key ${JSON.stringify(entry.key)}: ${actual}`, {
    details: { version: entry.version },
  });
}
