/**
 * One message of the broker from its JSON, which is trusted to be an object of the protocol. Loaded with what brings text: a
 * pipe or a WebSocket.
 */
import { EphemeralError } from "./client.ts";

/** @throws {EphemeralError} `invalid_json` */
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
