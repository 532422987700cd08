/**
 * What the command's environment gets from us, and the entry of it by which the processes of the run are known again,
 * wherever they went. It is made anew for each run, each joining and each turn: the socket's path would not do, which is also
 * in the environment of whoever looks into the run from outside, and the same for every run of one name.
 */
import { randomHex } from "../../broker/random-hex.ts";

export interface RunMark {
  /** What is added to the command's environment; undefined takes a variable out of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The entry, `NAME=value`, that every process of the run carries. */
  readonly entry: string;
}

const pipeVariable = "EPHEMERAL_PIPE";
const runVariable = "EPHEMERAL_RUN";
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
  const id = randomHex(markBytes);
  return {
    environment: { [pipeVariable]: pipe, [runVariable]: id, [joinerVariable]: undefined, ...web },
    entry: `${runVariable}=${id}`,
  };
}

/** What joins is known by its own mark alone: that of the run it was started in, be it the one it joins, is taken out. */
export function markOfJoiner(pipe: string): RunMark {
  const id = `${pipe}#${randomHex(markBytes)}`;
  return {
    environment: { [pipeVariable]: pipe, [runVariable]: undefined, [joinerVariable]: id },
    entry: `${joinerVariable}=${id}`,
  };
}

/** A turn is taken within a run, whose mark stays. */
export function markOfTurn(pipe: string): RunMark {
  const id = randomHex(markBytes);
  return { environment: { [pipeVariable]: pipe, [turnVariable]: id }, entry: `${turnVariable}=${id}` };
}

/** Whether a variable is none by which processes of a run are known, or find its broker. */
export function isNotOfRun(variable: string): boolean {
  return ![pipeVariable, runVariable, joinerVariable, turnVariable].includes(variable);
}
