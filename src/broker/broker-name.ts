/**
 * The names a broker may have, and where the socket of a name is. Loads nothing: the thinnest command asks it, too.
 */

const form = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,31}$/;
/** For messages. */
export const brokerNameForm = "1 to 32 of A-Z a-z 0-9 . _ -, not beginning with a dot";

/** Whether `name` can be a broker's name: it becomes a directory's. */
export function isBrokerName(name: string): boolean {
  return form.test(name);
}

/** The run directory of the broker called `name`. */
export function directoryOfName(runRoot: string, name: string): string {
  return `${runRoot}/${name}`;
}

/** Where the broker called `name` listens while it lives. */
export function pipeOfName(runRoot: string, name: string): string {
  return `${directoryOfName(runRoot, name)}/sock`;
}
