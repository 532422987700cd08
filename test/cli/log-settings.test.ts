/** The log as flags and variables ask for it: what turns it on, which wins, and what is refused in which words. */
import { describe, expect, test } from "bun:test";
import { type LogSettings, logSettings } from "../../src/cli/settings/log-settings.ts";
import type { Environment, Flags } from "../../src/cli/settings/settings.ts";
import { refusal } from "../support/refusal.ts";

const off: LogSettings = { log: undefined, heartbeatMs: undefined };
const plain = { level: "info", format: "text", file: undefined } as const;

describe("logSettings()", () => {
  test.each<[Flags, Environment, LogSettings]>([
    [{}, {}, off],
    [{ "log-level": "debug" }, {}, { ...off, log: { ...plain, level: "debug" } }],
    [{ "log-level": "WARN" }, {}, { ...off, log: { ...plain, level: "warning" } }],
    [{ "log-level": "error" }, { EPHEMERAL_LOG_LEVEL: "debug" }, { ...off, log: { ...plain, level: "error" } }],
    [{}, { EPHEMERAL_LOG_LEVEL: "debug", BROKER_LOG_LEVEL: "error" }, { ...off, log: { ...plain, level: "debug" } }],
    [{}, { BROKER_LOG_LEVEL: "warn" }, { ...off, log: { ...plain, level: "warning" } }],
    [{}, { BROKER_LOG_LEVEL: "warn", BROKER_DEBUG: "true" }, { ...off, log: { ...plain, level: "warning" } }],
    [{}, { BROKER_DEBUG: "1" }, { ...off, log: { ...plain, level: "debug" } }],
    [{}, { BROKER_DEBUG: "false", BROKER_STRUCTURED_LOGGING: "false", BROKER_HEARTBEAT_INTERVAL: "0" }, off],
    [{ "log-format": "json" }, {}, { ...off, log: { ...plain, format: "json" } }],
    [{}, { EPHEMERAL_LOG_FORMAT: "json" }, { ...off, log: { ...plain, format: "json" } }],
    [{}, { BROKER_STRUCTURED_LOGGING: "true" }, { ...off, log: { ...plain, format: "json" } }],
    [
      { "log-format": "text" },
      { BROKER_STRUCTURED_LOGGING: "true", EPHEMERAL_LOG_FORMAT: "json" },
      { ...off, log: plain },
    ],
    [{ "log-file": "a" }, { EPHEMERAL_LOG_FILE: "b" }, { ...off, log: { ...plain, file: "a" } }],
    [{}, { EPHEMERAL_LOG_FILE: "b" }, { ...off, log: { ...plain, file: "b" } }],
    [{ "heartbeat-interval": "1m" }, {}, { log: plain, heartbeatMs: 60_000 }],
    [{}, { BROKER_HEARTBEAT_INTERVAL: "500" }, { log: plain, heartbeatMs: 500 }],
    [{ "heartbeat-interval": "0" }, { EPHEMERAL_HEARTBEAT_INTERVAL: "5s" }, off],
    [{ "log-level": "off" }, { BROKER_DEBUG: "true", EPHEMERAL_LOG_FILE: "b", BROKER_HEARTBEAT_INTERVAL: "5" }, off],
  ])("of %j and %j", (flags, environment, wanted) => {
    expect(logSettings({ flags, environment })).toEqual(wanted);
  });

  test.each<[Flags, Environment, string]>([
    [{ "log-level": "loud" }, {}, 'Cannot read --log-level: wanted debug, info, warning, warn, error, off, got "loud"'],
    [
      {},
      { BROKER_LOG_LEVEL: "" },
      'Cannot read BROKER_LOG_LEVEL: wanted debug, info, warning, warn, error, off, got ""',
    ],
    [{ "log-format": "xml" }, {}, 'Cannot read --log-format: wanted text, json, got "xml"'],
    [{}, { BROKER_DEBUG: "yep" }, 'Cannot read BROKER_DEBUG: wanted true or false, got "yep"'],
    [{}, { BROKER_STRUCTURED_LOGGING: "" }, 'Cannot read BROKER_STRUCTURED_LOGGING: wanted true or false, got ""'],
    [{ "log-file": "" }, {}, "Cannot log: --log-file is empty"],
    [
      {},
      { BROKER_HEARTBEAT_INTERVAL: "often" },
      'Cannot read BROKER_HEARTBEAT_INTERVAL: wanted a duration such as 500ms, 10s, 5m, 2h or 1d, got "often"',
    ],
  ])("of %j and %j refuses", (flags, environment, message) => {
    const error = refusal(() => logSettings({ flags, environment }));
    expect([error.code, error.message]).toEqual(["bad_command", message]);
  });
});
