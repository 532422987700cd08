/**
 * The page of start: a broker for as long as a command runs.
 */

import type { Log } from "../../broker/log/log.ts";
import type { LogOptions } from "../../broker/log/logtape-log.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { ValueDefinition } from "../definitions.ts";
import { HintedError } from "../failure.ts";
import { definePage } from "../page.ts";
import { bounds } from "../settings/bounds.ts";
import { idleVariables, idleVariablesIn } from "../settings/idle-variables.ts";
import { logFlags, logVariables } from "../settings/log-settings.ts";
import { processEnvironment } from "../settings/settings.ts";
import { hookSeparator, startSettings } from "../settings/start-settings.ts";
import { webFlags, webVariables } from "../settings/web-settings.ts";

const boundFlags: Record<string, ValueDefinition> = Object.fromEntries(
  bounds.map(({ flag, unit, description, standard }) => [
    flag,
    { type: "string", valueHint: unit.hint, description: `${description} (default: ${standard})` },
  ]),
);

export const startPage = definePage({
  name: "start",
  group: "Run",
  summary: "Run a command with a broker of its own",
  wrapsCommand: true,
  notes: [
    "The command finds the broker by EPHEMERAL_PIPE, keeps its terminal and its streams, and gives its exit status to us; when it ends, the broker and all it held are gone. Flags of ours come before the command: what follows its name, or --, is the command's own.",
    "Without a command the broker runs until it is told to end (Ctrl-C, SIGTERM), and prints the path of its socket as the only line on stdout, or with --port its URL as the second.",
    "With --port the broker can be reached by WebSocket and HTTP, from this machine alone unless --host says otherwise. The command finds it by EPHEMERAL_URL and is let in by EPHEMERAL_TOKEN, made anew each time; where there is a secret, that is asked for instead.",
    "With --name the broker is found by that name, as well as by its socket: there is one of that name at a time. --join runs the command in the run of another broker: of --name, which is started if it does not live, or else of EPHEMERAL_PIPE. That broker outlives its own command until those who joined have ended, at most for its --grace; if it is killed, the commands of those who joined go on.",
    "What --on-end and ephemeral on-end have registered runs when the command has ended, even if this process was killed: once each, with 30 s for each, its output on stderr, whatever its outcome. It has the environment of this process, but no broker.",
    "Durations: 500ms 10s 5m 2h 1d, a bare number is milliseconds. Sizes: 10kB 64KiB 1MiB, a bare number is bytes. A flag beats its EPHEMERAL_ variable, which beats the BROKER_ one.",
  ],
  examples: [
    { line: "ephemeral start -- bun test --parallel", does: "a test run whose workers can agree" },
    { line: "ephemeral start --grace 5s npx jest --ci", does: "our flags first, the command's after its name" },
    {
      line: "EPHEMERAL_SECRET=$(openssl rand -hex 16) ephemeral start ./run.sh",
      does: "only who knows the secret may talk",
    },
    { line: "ephemeral start --on-end 'docker rm -f db' -- ./suite.sh", does: "tidy up, however it ends" },
    { line: "ephemeral start > pipe.txt &", does: "a broker by itself" },
    { line: "ephemeral start --name ci --join ./shard.sh", does: "shards of one run: the first one has the broker" },
  ],
  environment: [
    ["EPHEMERAL_PIPE", "Set for the command: the broker's socket. With --join: the broker whose run to join"],
    [
      "EPHEMERAL_RUN",
      "Set for the command, anew for each run: by it the run's processes are found when they are to end",
    ],
    ["EPHEMERAL_JOINER", "Set for a command that joined: by it its processes are told from those of the broker's own"],
    ["EPHEMERAL_SECRET", "The broker's secret; else BROKER_SECRET. Set for the command when there is one"],
    ["EPHEMERAL_SECRET_FILE", "As --secret-file"],
    ["EPHEMERAL_GRACE", "As --grace"],
    ["EPHEMERAL_IDLE_TIMEOUT", "As --idle-timeout, no effect with a command; else BROKER_IDLE_TIMEOUT"],
    ["EPHEMERAL_LABEL", "Who joins, as ephemeral ps shows it"],
    ["EPHEMERAL_DEFAULT_TTL", "As --default-ttl; else BROKER_DEFAULT_TTL"],
    ["EPHEMERAL_REQUIRE_TTL", "true or false; else BROKER_REQUIRE_TTL"],
    ["EPHEMERAL_REFRESH_TTL_ON_GET", "true or false; else BROKER_REFRESH_TTL_ON_GET"],
    ...bounds.map(({ flag, environment: [ours = "", seeds] }): readonly [string, string] => [
      ours,
      seeds === undefined ? `As --${flag}` : `As --${flag}; else ${seeds}`,
    ]),
    ...webVariables,
    ...logVariables,
    ...idleVariables.map(({ name, reason }): readonly [string, string] => [name, `No effect: ${reason}`]),
    ["XDG_RUNTIME_DIR", "Where run directories are made; else the temporary directory (TMPDIR)"],
  ],
  args: {
    grace: {
      type: "string",
      valueHint: "DURATION",
      description: "How long the command may take to end after SIGTERM or SIGHUP, and who joined (default: 10s)",
    },
    name: { type: "string", valueHint: "NAME", description: "By which others find the broker" },
    join: { type: "boolean", description: "Run the command in the run of another broker" },
    "on-end": {
      type: "string",
      valueHint: "COMMAND",
      isRepeatable: true,
      separator: hookSeparator,
      description: "What a shell runs once the run has ended, however it ended; the last one given first",
    },
    "no-on-end": { type: "boolean", description: "Let no client have anything run at the end" },
    ...webFlags,
    "idle-timeout": {
      type: "string",
      valueHint: "DURATION",
      description: "Without a command: end when nobody was connected for so long; 0 for never (the default)",
    },
    owner: {
      type: "string",
      valueHint: "stdin|PID:STARTTIME",
      description: "Without a command: end when standard input or that process ends",
    },
    secret: {
      type: "string",
      valueHint: "SECRET",
      description: "What clients must know; others can read it in ps, so better set EPHEMERAL_SECRET",
    },
    "secret-file": {
      type: "string",
      valueHint: "PATH",
      description: "A file of yours alone that holds the secret",
    },
    "default-ttl": {
      type: "string",
      valueHint: "DURATION",
      description: "Time to live of what is stored without one (default: 30m)",
    },
    "require-ttl": {
      type: "boolean",
      description: "Refuse to store without a time to live (the default)",
      negativeDescription: "Give --default-ttl to what is stored without one",
    },
    "refresh-ttl-on-get": {
      type: "boolean",
      description: "Let each get give its key its time to live anew",
    },
    ...logFlags,
    ...boundFlags,
  },
  async perform(args) {
    const settings = startSettings(args, processEnvironment);
    const log = settings.log && (await openedLog(settings.log));
    const { start } = await import("../wrapper/start.ts");
    try {
      await start({ ...settings, config: { ...settings.config, log }, command: args._ });
    } catch (error) {
      throw explained(error, settings.config.runRoot);
    }
  },
});

/** Opens the log and begins it with what was set in vain. */
async function openedLog(options: LogOptions): Promise<Log> {
  const { openLog } = await import("../../broker/log/logtape-log.ts");
  const log = openLog(options);
  for (const { name, reason } of idleVariablesIn(processEnvironment)) {
    log.info("setting has no effect", { setting: name, reason });
  }
  return log;
}

/** A broker that cannot start lacks a place of its own, more often than not. */
function explained(error: unknown, runRoot: string): unknown {
  if (!(error instanceof EphemeralError) || error instanceof HintedError) return error;
  if (error.details?.isEnding !== undefined) {
    const hint = `Join it with --join, end it with: ephemeral stop --name ${error.details.name}, or choose another name`;
    return new HintedError(error.code, error.message, { hint });
  }
  if (!error.message.startsWith("Cannot start broker")) return error;
  const hint =
    typeof error.details?.port === "number"
      ? "Give another --port or --host; port 0 is a free one, which EPHEMERAL_URL and --port-file tell"
      : `Its place would be in ${runRoot}; XDG_RUNTIME_DIR or TMPDIR name another`;
  return new HintedError(error.code, error.message, { hint });
}
