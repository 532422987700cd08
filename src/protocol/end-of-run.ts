/**
 * What is to be run when the run ends: its shape as it is asked for, checked. Who runs it, and what becomes of it, the broker's
 * starter knows.
 */
import { badField } from "./errors.ts";
import { type Fields, isAbsent, readList, readObject, readOptionalInteger } from "./fields.ts";
import { endCommandBytesMax, endCommandWordsMax, type Limits } from "./limits.ts";

/** A command without a shell around it. */
export interface EndCommand {
  /** The program, which is looked for on PATH, and its arguments. */
  readonly argv: readonly string[];
  /** An absolute path. */
  readonly cwd: string;
  /** What is added to the environment of whoever started the broker. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** It is ended when it takes longer; 30 s unless told. */
  readonly timeoutMs?: number | undefined;
}

/** The commands of the run's end, a part of `CommandMap`. */
export interface EndCommands {
  /** Runs a command once when the run has ended, however it ended; the last registered one first. The same argv, cwd and env
   *  again count once. */
  onEnd: { request: EndCommand; reply: Record<never, never> };
}

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Whether an environment can have it, whoever sets it: shells know no other names.
 *  @internal */
export function isVariableName(name: string): boolean {
  return variableName.test(name);
}

/** @internal */
export function parseOnEnd(fields: Fields, limits: Limits): EndCommand {
  const argv = readList(fields, "argv", endCommandWordsMax).map((word) => readArgument(word, "argv"));
  if (!argv[0]) throw badField("argv", "a list that begins with a program's name", fields.argv);
  const cwd = readArgument(fields.cwd, "cwd");
  if (!cwd.startsWith("/")) throw badField("cwd", "an absolute path", cwd);
  const env = readEnvironment(fields.env);
  const bytes = [...argv, cwd, ...Object.entries(env ?? {}).flat()].reduce(
    (sum, one) => sum + utf8.encode(one).length,
    0,
  );
  if (bytes > endCommandBytesMax) {
    throw badField("argv", `at most ${endCommandBytesMax} bytes, cwd and env included`, `${bytes}`);
  }
  return { argv, cwd, env, timeoutMs: readOptionalInteger(fields, "timeoutMs", 1, limits.ttlMsMax) };
}

const utf8 = new TextEncoder();

/** What the kernel can hand to a program. */
function readArgument(value: unknown, field: string): string {
  if (typeof value !== "string" || value.includes("\0") || !value.isWellFormed()) {
    throw badField(field, "text without a NUL or a lone surrogate", value);
  }
  return value;
}

function readEnvironment(env: unknown): Readonly<Record<string, string>> | undefined {
  if (isAbsent(env)) return undefined;
  const entries = Object.entries(readObject(env, "env")).map(([name, value]) => {
    if (!isVariableName(name)) throw badField("env", "names of letters, digits and _", name);
    return [name, readArgument(value, "env")] as const;
  });
  return Object.fromEntries(entries);
}
