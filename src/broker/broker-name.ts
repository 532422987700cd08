/**
 * The names a broker may have, and where the socket of a name is. Loads nothing: the thinnest command asks it, too.
 */
import { EphemeralError } from "../protocol/errors.ts";

const nameForm = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,31}$/;

/** Fails for what cannot be a broker's name: it becomes a directory's.
 *  @throws {EphemeralError} `bad_command` */
export function assertBrokerName(name: string): void {
  if (nameForm.test(name)) return;
  const shown = JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…` : name);
  throw new EphemeralError(
    "bad_command",
    `Cannot name broker: wanted 1 to 32 of A-Z a-z 0-9 . _ -, not beginning with a dot, got ${shown}`,
  );
}

/** The run directory of the broker called `name`. */
export function directoryOfName(runRoot: string, name: string): string {
  return `${runRoot}/${name}`;
}

/** Where the broker called `name` listens while it lives. */
export function pipeOfName(runRoot: string, name: string): string {
  return `${directoryOfName(runRoot, name)}/sock`;
}
