/**
 * The secret that broker and clients both know: from a flag, a variable or a file that only its owner can read. An empty one
 * is a mistake, most likely an unset variable in a script; never "no secret". No message shows any of it.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { usageError } from "../failure.ts";
import type { Sources } from "./settings.ts";

/** Where each side looks, after the flags; the first that is there counts. Names that end in _FILE name a file. */
export const secretVariables = {
  broker: ["EPHEMERAL_SECRET", "EPHEMERAL_SECRET_FILE", "BROKER_SECRET"],
  client: ["CLIENT_SECRET", "EPHEMERAL_SECRET", "EPHEMERAL_SECRET_FILE"],
} as const;

const secretBytesMax = 8192;
const forOthers = 0o077;

/** The secret for `side`; undefined when none is given.
 *  @throws {HintedError} `bad_command` for one that is empty, given twice, or in a file that is not safe to use */
export function findSecret({ flags, environment }: Sources, side: keyof typeof secretVariables): string | undefined {
  const { secret, "secret-file": file } = flags;
  if (typeof secret === "string" && typeof file === "string") {
    throw usageError("Cannot use the secret: --secret and --secret-file are both given", "Give one of them");
  }
  if (typeof secret === "string") return nonEmpty(secret, "--secret");
  if (typeof file === "string") return readSecretFile(file, "--secret-file");
  for (const variable of secretVariables[side]) {
    const text = environment[variable];
    if (text === undefined) continue;
    return variable.endsWith("_FILE") ? readSecretFile(text, variable) : nonEmpty(text, variable);
  }
  return undefined;
}

function nonEmpty(secret: string, from: string): string {
  if (secret !== "") return secret;
  throw usageError(`Cannot use the secret: ${from} is empty`, `Give ${from} a value, or leave it out`);
}

/** What the file holds, without the line feed editors put at the end. */
function readSecretFile(path: string, from: string): string {
  nonEmpty(path, from);
  const refuse = (actual: string, hint: string): Error =>
    usageError(`Cannot use the secret file ${path} (${from}): ${actual}`, hint);
  const bytes = readOwnFile(path, refuse);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse("wanted text, got bytes that are no UTF-8", "Write it with: openssl rand -hex 16");
  }
  const secret = text.replace(/\r?\n$/, "");
  if (secret === "") throw refuse("it is empty", "Write it with: openssl rand -hex 16");
  return secret;
}

/** Looks at the very file it reads: what a path names may change in between. */
function readOwnFile(path: string, refuse: (actual: string, hint: string) => Error): Uint8Array {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : error;
    throw refuse(code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`, "Check the path");
  }
  try {
    const { uid, mode } = fstatSync(descriptor);
    const kind = mode & constants.S_IFMT;
    if (kind !== constants.S_IFREG && kind !== constants.S_IFIFO) throw refuse("it is no file", "Check the path");
    if (uid !== process.getuid?.()) throw refuse(`it belongs to user ${uid}, not to us`, "Use a file of your own");
    if ((mode & forOthers) !== 0) {
      throw refuse(`others may use it (mode ${(mode & 0o777).toString(8)})`, `Make it yours alone: chmod 600 ${path}`);
    }
    return readAtMost(descriptor, refuse);
  } finally {
    closeSync(descriptor);
  }
}

function readAtMost(descriptor: number, refuse: (actual: string, hint: string) => Error): Uint8Array {
  const bytes = Buffer.alloc(secretBytesMax + 1);
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read) {
    read = readSync(descriptor, bytes, length, bytes.length - length, null);
  }
  if (length > secretBytesMax) throw refuse(`it has over ${secretBytesMax} bytes`, "A secret is one short line");
  return bytes.subarray(0, length);
}
