/**
 * The client's only reader of the environment. Nothing is remembered: each new client reads what stands there then.
 * Where there is no environment, as in a browser, every variable is absent.
 */
import { EphemeralError } from "../protocol/errors.ts";

/** What a client finds when it is not told. */
export interface ClientEnvironment {
  readonly pipe: string | undefined;
  readonly url: string | undefined;
  readonly token: string | undefined;
  readonly secret: string | undefined;
  readonly label: string | undefined;
  readonly timeoutMs: number | undefined;
  /** False unless told. */
  readonly compression: boolean;
  readonly compressionThreshold: number | undefined;
}

/** What the launcher finds. */
export interface LauncherEnvironment {
  /** The executable to run, from `EPHEMERAL_BIN`. */
  readonly executable: string | undefined;
  readonly searchPath: string | undefined;
  /** All of it, for the process to be launched. */
  readonly variables: Variables;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Reads our names, and the seed's `CLIENT_*`.
 *  @throws {EphemeralError} `bad_command` naming the variable that holds no such thing */
export function readEnvironment(variables: Variables = processVariables()): ClientEnvironment {
  const count = (name: string): number | undefined => {
    const text = read(name, { form: /^[1-9]\d{0,9}$/, wanted: "a positive integer" });
    return text === undefined ? undefined : Number(text);
  };
  const read = (name: string, { form, wanted }: { form: RegExp; wanted: string }): string | undefined => {
    const text = variables[name];
    if (text === undefined || form.test(text)) return text;
    throw new EphemeralError("bad_command", `Cannot read ${name}: wanted ${wanted}, got ${JSON.stringify(text)}`);
  };
  const compression = read("CLIENT_COMPRESSION", { form: /^(true|false|1|0)$/, wanted: "true or false" });
  return {
    pipe: variables.EPHEMERAL_PIPE || undefined,
    url: variables.EPHEMERAL_URL || undefined,
    // As with the secret, an empty one is refused.
    token: variables.EPHEMERAL_TOKEN,
    // An empty secret stays empty, to be refused: it never means "no authentication".
    secret: variables.CLIENT_SECRET ?? variables.EPHEMERAL_SECRET,
    label: variables.EPHEMERAL_LABEL || undefined,
    timeoutMs: count("CLIENT_TIMEOUT"),
    compression: compression === "true" || compression === "1",
    compressionThreshold: count("CLIENT_COMPRESSION_THRESHOLD"),
  };
}

export function readLauncherEnvironment(variables: Variables = processVariables()): LauncherEnvironment {
  return { executable: variables.EPHEMERAL_BIN, searchPath: variables.PATH, variables };
}

/** Pipes of the brokers this process has started and not stopped, and what stood in the environment before them. */
const exportedPipes: string[] = [];
let pipeBefore: string | undefined;

/** Sets `EPHEMERAL_PIPE`, for clients made from now on and for processes started from now on. */
export function exportPipe(pipe: string): void {
  if (exportedPipes.length === 0) pipeBefore = process.env.EPHEMERAL_PIPE;
  exportedPipes.push(pipe);
  process.env.EPHEMERAL_PIPE = pipe;
}

/** Gives `EPHEMERAL_PIPE` back: to the broker started last of those left, or to what stood there before. What others have
 *  written there meanwhile stays. */
export function withdrawPipe(pipe: string): void {
  const place = exportedPipes.lastIndexOf(pipe);
  if (place !== -1) exportedPipes.splice(place, 1);
  if (process.env.EPHEMERAL_PIPE !== pipe) return;
  const previous = exportedPipes.at(-1) ?? pipeBefore;
  if (previous === undefined) delete process.env.EPHEMERAL_PIPE;
  else process.env.EPHEMERAL_PIPE = previous;
}

/** All that stands there now. */
export function processVariables(): Variables {
  return typeof process === "object" ? process.env : {};
}
