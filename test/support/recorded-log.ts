/** A log that keeps what it is told, for tests that look at events and not at lines. Its clock stands still unless moved. */
import type { Log, LogEvent, LogFields, LogLevel } from "../../src/broker/log/log.ts";

export interface ToldEvent {
  readonly level: LogLevel;
  readonly event: LogEvent;
  readonly fields: LogFields;
}

export interface RecordedLog extends Log {
  readonly told: readonly ToldEvent[];
  /** What was told of one kind, oldest first. */
  of(event: LogEvent): readonly LogFields[];
}

/** @param least what is less urgent is not told, as in a real log */
export function recordedLog(least: "debug" | "info" = "debug"): RecordedLog {
  const told: ToldEvent[] = [];
  const keep =
    (level: LogLevel) =>
    (event: LogEvent, fields: LogFields): void => {
      if (level === "debug" && least !== "debug") return;
      told.push({ level, event, fields: JSON.parse(JSON.stringify(fields)) });
    };
  return {
    isDebugging: least === "debug",
    debug: keep("debug"),
    info: keep("info"),
    warning: keep("warning"),
    error: keep("error"),
    nowUs: () => 0,
    flush: async () => {},
    told,
    of: (event) => told.filter((one) => one.event === event).map(({ fields }) => fields),
  };
}
