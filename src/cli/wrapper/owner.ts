/**
 * Whoever a broker without a command is there for: the writer of its stdin, or a process told apart from later ones of the
 * same pid by its start time. Tells when that one has gone; ends nothing itself.
 */
import { identityOf, isRunning, type ProcessIdentity, parseIdentity } from "../../broker/pipe/process-identity.ts";
import { usageError } from "../failure.ts";
import { quoted } from "../settings/settings.ts";

export type Owner = { readonly kind: "stdin" } | { readonly kind: "process"; readonly process: ProcessIdentity };

/** How soon the end of a process is seen. */
const lookEveryMs = 1000;

/** Reads `stdin` or `PID:STARTTIME`.
 *  @throws {HintedError} `bad_command` for anything else, a pid alone above all: it may be another's by then */
export function parseOwner(text: string): Owner {
  if (text === "stdin") return { kind: "stdin" };
  const process = parseIdentity(text);
  if (process === undefined) {
    throw usageError(`Cannot read --owner: wanted stdin or PID:STARTTIME, got ${quoted(text)}`, startTimeHint);
  }
  if (process.birth === undefined) {
    const text = `Cannot watch process ${process.pid}: a pid alone may be another process's by the time this one ends`;
    throw usageError(text, hintFor(process.pid));
  }
  return { kind: "process", process };
}

const startTimeHint = "STARTTIME is field 22 of /proc/PID/stat; --owner stdin needs none";

function hintFor(pid: number): string {
  const birth = identityOf(pid)?.birth;
  return birth === undefined ? startTimeHint : `Give its start time, too: --owner ${pid}:${birth}`;
}

/** Resolves when the owner has gone: at the end of stdin, or within a second of the process's end. */
export function ownerGone(owner: Owner): Promise<void> {
  return owner.kind === "stdin" ? endOfStdin() : endOfProcess(owner.process);
}

async function endOfStdin(): Promise<void> {
  try {
    for await (const _ of Bun.stdin.stream());
  } catch {
    // A stdin that cannot be read has nobody at its other end.
  }
}

function endOfProcess(process: ProcessIdentity): Promise<void> {
  if (!isRunning(process)) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    if (isRunning(process)) return;
    clearInterval(timer);
    resolve();
  }, lookEveryMs);
  return promise;
}
