/**
 * The log of a process, by LogTape: lines as text (logfmt) or JSON, to stderr or to a file. Only who wants a log loads this
 * file. Knows the formats; what is told, and what never is, is its callers' to decide.
 */
import { openSync } from "node:fs";
import { configureSync, getJsonLinesFormatter, getLogfmtFormatter, getLogger, type Sink } from "@logtape/logtape";
import { EphemeralError } from "../../protocol/errors.ts";
import { MiB } from "../../protocol/sizes.ts";
import type { Log, LogFields, LogLevel } from "./log.ts";
import { LogWriter } from "./log-writer.ts";

export interface LogOptions {
  /** What is less urgent is not told. */
  readonly level: LogLevel;
  readonly format: "text" | "json";
  /** Appended to, and made for its owner alone when it is missing; stderr when undefined. */
  readonly file: string | undefined;
}

const category = "ephemeral";
const ownerOnly = 0o600;
const standardError = 2;
const pendingBytesMax = 1 * MiB;

/** Opens the one log of this process: it takes the place of one that was opened before.
 *  @throws {EphemeralError} `bad_command` when the file cannot be written */
export function openLog({ level, format, file }: LogOptions): Log {
  const writer = new LogWriter({
    descriptor: file === undefined ? standardError : openFile(file),
    pendingBytesMax,
    lost: (lines) => log.warning("log lines lost", { lines }),
  });
  const formatted = format === "json" ? getJsonLinesFormatter({ properties: "flatten" }) : getLogfmtFormatter();
  const lines: Sink = (record) => writer.write(formatted(record));
  configureSync({
    reset: true,
    sinks: { lines },
    loggers: [
      { category, lowestLevel: level, sinks: ["lines"] },
      // Where LogTape tells of its own troubles: ours are enough.
      { category: ["logtape", "meta"], lowestLevel: null, sinks: [] },
    ],
  });
  const logger = getLogger(category);
  const log: Log = {
    isDebugging: level === "debug",
    debug: (event, fields) => logger.debug(event, present(fields)),
    info: (event, fields) => logger.info(event, present(fields)),
    warning: (event, fields) => logger.warning(event, present(fields)),
    error: (event, fields) => logger.error(event, present(fields)),
    nowUs: () => Math.floor(Bun.nanoseconds() / 1000),
    flush: () => writer.flush(),
  };
  return log;
}

/** Text would say "undefined". */
function present(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined));
}

function openFile(file: string): number {
  try {
    return openSync(file, "a", ownerOnly);
  } catch (error) {
    const actual = error instanceof Error && "code" in error ? error.code : error;
    throw new EphemeralError("bad_command", `Cannot log to ${file}: wanted a file to append to, got ${actual}`);
  }
}
