/**
 * The client's end of JSON lines, its default codec. A command is written by the runtime's own `JSON.stringify`, whole: put
 * together member by member it takes twice as long. How messages come one after another, the transports know.
 */
import type { ClientCodec } from "../protocol/codec.ts";
import { EphemeralError } from "../protocol/errors.ts";
import { fromJsonValue, jsonValue, notFinite } from "../protocol/json-values.ts";

export const json: ClientCodec = {
  prepare(command) {
    refuseNotFinite(command);
    return JSON.stringify(command).slice(1);
  },
  frame: (prepared, { id, waitMs }) => `{"id":${id},${waitMs === undefined ? "" : `"waitMs":${waitMs},`}${prepared}\n`,
  join: (frames) => frames.join(""),
  toMember: jsonValue,
  fromMember: fromJsonValue,
};

/** One message of the broker, which is trusted to send objects of the protocol.
 *  @throws {EphemeralError} `invalid_json` */
export function messageIn(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable(`${text.length} characters are no JSON`);
  }
}

export function unreadable(actual: string): EphemeralError {
  return new EphemeralError("invalid_json", `Cannot read frame: ${actual}`);
}

/** JSON would say null where there is no number, which means "not told".
 *  @throws {EphemeralError} `bad_command` for NaN and infinities */
function refuseNotFinite(command: object): void {
  // The vocabulary's objects are literals with own members only, so `in` needs no second check.
  for (const name in command) {
    const member: unknown = command[name as keyof typeof command];
    if (typeof member === "number" && !Number.isFinite(member)) throw notFinite(member, name);
  }
}
