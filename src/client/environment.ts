/**
 * The client's only reader of the environment. Nothing is remembered: each new client reads what stands there then.
 * Where there is no environment, as in a browser, every variable is absent.
 */
import { EphemeralError } from "../protocol/errors.ts";

/** What a client finds when it is not told. */
export interface ClientEnvironment {
  readonly pipe: string | undefined;
  readonly secret: string | undefined;
  readonly label: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly compression: boolean | undefined;
  readonly compressionThreshold: number | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Reads our names, and the seed's `CLIENT_*`.
 *  @throws {EphemeralError} `bad_command` naming the variable that holds no such thing */
export function readEnvironment(variables: Variables = processVariables()): ClientEnvironment {
  return {
    pipe: variables.EPHEMERAL_PIPE || undefined,
    // An empty secret stays empty, to be refused: it never means "no authentication".
    secret: variables.CLIENT_SECRET ?? variables.EPHEMERAL_SECRET,
    label: variables.EPHEMERAL_LABEL || undefined,
    timeoutMs: readCount(variables, "CLIENT_TIMEOUT"),
    compression: readSwitch(variables, "CLIENT_COMPRESSION"),
    compressionThreshold: readCount(variables, "CLIENT_COMPRESSION_THRESHOLD"),
  };
}

function processVariables(): Variables {
  return typeof process === "object" ? process.env : {};
}

function readCount(variables: Variables, name: string): number | undefined {
  const text = variables[name];
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new EphemeralError(
    "bad_command",
    `Cannot read ${name}: wanted a positive integer, got ${JSON.stringify(text)}`,
  );
}

function readSwitch(variables: Variables, name: string): boolean | undefined {
  const text = variables[name];
  if (text === undefined) return undefined;
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new EphemeralError("bad_command", `Cannot read ${name}: wanted true or false, got ${JSON.stringify(text)}`);
}
