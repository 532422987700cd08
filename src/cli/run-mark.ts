/**
 * What the command's environment gets from us, and the entry of it by which the processes of the run are known again,
 * wherever they went: the socket's path for the run of a broker's owner, a mark of its own for the run of who joined one, and
 * for a command that has its turn. All carry the same path, so the owner's run leaves out whatever carries a joiner's mark.
 */
import { randomHex } from "../broker/random-hex.ts";

export interface RunMark {
  /** What is added to the command's environment; undefined takes a variable out of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The entry, `NAME=value`, that every process of the run carries. */
  readonly entry: string;
}

const pipeVariable = "EPHEMERAL_PIPE";
const joinerVariable = "EPHEMERAL_JOINER";
const turnVariable = "EPHEMERAL_TURN";
const markBytes = 8;

/** Where a broker's web door is, and what lets in there. */
export interface WebAddress {
  readonly url: string | undefined;
  readonly token: string | undefined;
}

/** What tells of another broker's web door, or would have each broker within the run want our port, is taken out. */
export function markOfOwner(pipe: string, { url, token }: WebAddress): RunMark {
  const web = { EPHEMERAL_URL: url, EPHEMERAL_TOKEN: token, EPHEMERAL_PORT: undefined, EPHEMERAL_PORT_FILE: undefined };
  return {
    environment: { [pipeVariable]: pipe, [joinerVariable]: undefined, ...web },
    entry: `${pipeVariable}=${pipe}`,
  };
}

export function markOfJoiner(pipe: string): RunMark {
  const id = `${pipe}#${randomHex(markBytes)}`;
  return { environment: { [pipeVariable]: pipe, [joinerVariable]: id }, entry: `${joinerVariable}=${id}` };
}

/** A turn is taken within a run, whose mark stays. */
export function markOfTurn(pipe: string): RunMark {
  const id = randomHex(markBytes);
  return { environment: { [pipeVariable]: pipe, [turnVariable]: id }, entry: `${turnVariable}=${id}` };
}

/** Whether a variable is none by which processes of a run are known, or find its broker. */
export function isNotOfRun(variable: string): boolean {
  return ![pipeVariable, joinerVariable, turnVariable].includes(variable);
}

/** Whether a process with these entries in its environment belongs to the run marked by `entry`. */
export function isMarked(entries: readonly string[], entry: string): boolean {
  if (!entries.includes(entry)) return false;
  return !entry.startsWith(`${pipeVariable}=`) || !entries.some((one) => one.startsWith(`${joinerVariable}=`));
}
