/**
 * The pages of ls and stop: which brokers of this user live, and the end of one of them.
 */
import { lstatSync, readFileSync } from "node:fs";
import { isRunning, parseIdentity } from "../../broker/pipe/process-identity.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { call, clientFlags, connectionTo } from "../call.ts";
import { usageError } from "../failure.ts";
import { type Paint, paintFor, print, printJson, table } from "../output.ts";
import { definePage } from "../page.ts";
import { runRootOf } from "../settings/run-root.ts";
import { clientSettings, type Flags, processEnvironment, waitFlag } from "../settings/settings.ts";
import { formatDuration } from "../units.ts";

interface ListedBroker {
  readonly name: string;
  readonly pipe: string;
  /** Undefined when its process was killed and its run is still being ended, or when it is only just starting. */
  readonly pid: number | undefined;
  readonly sinceAtMs: number;
  /** Undefined when it does not tell us, for want of the secret perhaps. */
  readonly connections: number | undefined;
  /** What it runs; undefined when it runs nothing, or the system does not tell. */
  readonly command: string | undefined;
}

export const lsPage = definePage({
  name: "ls",
  group: "Who has what",
  summary: "Show which brokers of yours are running",
  notes: [
    "A broker that was started without --name has one by chance. Directories of brokers that were killed are removed on the way. With --json: brokers, each with name, pipe, pid, sinceAtMs, connections and command.",
    "It looks where brokers started with the same XDG_RUNTIME_DIR or TMPDIR are. A broker that does not answer within --timeout shows no connections.",
  ],
  examples: [
    { line: "ephemeral ls", does: "what is still running here?" },
    { line: "ephemeral ls --json | jq -r '.brokers[].name'", does: "their names alone" },
  ],
  environment: [["XDG_RUNTIME_DIR", "Where run directories are; else the temporary directory (TMPDIR)"]],
  args: {
    secret: clientFlags.secret,
    "secret-file": clientFlags["secret-file"],
    timeout: { ...clientFlags.timeout, description: "How long each broker may take to answer (default: 1s)" },
    json: clientFlags.json,
  },
  async perform(args) {
    const brokers = await livingBrokers(args);
    if (args.json === true) return await printJson({ brokers });
    await print(listed(brokers, await paintFor(1, processEnvironment)));
  },
});

async function livingBrokers(flags: Flags): Promise<readonly ListedBroker[]> {
  const { claimedDirectories, sweepRunDirectories } = await import("../../broker/pipe/run-directory.ts");
  const runRoot = runRootOf(processEnvironment);
  sweepRunDirectories(runRoot);
  return Promise.all(
    claimedDirectories(runRoot).map(async ({ name, pipe, holder, sinceMs }) => {
      const pid = holder !== undefined && isRunning(holder) ? holder.pid : undefined;
      const [connections, command] = await Promise.all([connectionsOf(pipe, flags), commandOf(pid)]);
      return { name, pipe, pid, sinceAtMs: sinceMs, connections, command };
    }),
  );
}

/** Our own, made to ask, is not among them. */
async function connectionsOf(pipe: string, flags: Flags): Promise<number | undefined> {
  const { connection, absence } = connectionTo(clientSettings({ timeout: "1s", ...flags, pipe }, processEnvironment));
  const asked = connection.call({ command: { action: "stats" }, read: ({ stats }) => stats.connections - 1 });
  try {
    return await Promise.race([asked, absence]);
  } catch {
    return undefined;
  } finally {
    asked.catch(() => {});
    connection.close();
  }
}

/** What stands behind `start` in the command line of process `pid`, our own flags left out. */
async function commandOf(pid: number | undefined): Promise<string | undefined> {
  const [{ startPage }, { scanArguments }] = await Promise.all([import("./start.ts"), import("../arguments.ts")]);
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    if (!words.includes("start")) return undefined;
    const argv = words.slice(words.indexOf("start") + 1);
    const { operands } = scanArguments(argv, { command: "start", definitions: startPage.args, wrapsCommand: true });
    return operands.length === 0 ? undefined : operands.join(" ");
  } catch {
    // It has just ended, or was not started by a command line of ours.
    return undefined;
  }
}

function listed(brokers: readonly ListedBroker[], paint: Paint): string {
  const nowMs = Date.now();
  const rows = brokers.map(({ name, pid, sinceAtMs, connections, pipe, command }) => [
    name,
    `${pid ?? "-"}`,
    formatDuration(nowMs - sinceAtMs),
    `${connections ?? "-"}`,
    pipe,
    command ?? "-",
  ]);
  return table(rows, { header: ["NAME", "PID", "AGE", "CONNECTIONS", "PIPE", "COMMAND"], paint });
}

const defaultWaitMs = 30_000;
const lookAgainMs = 10;
/** Its socket is the last but one thing of a broker to go: its process follows at once. */
const processEndMsMax = 1000;

export const stopPage = definePage({
  name: "stop",
  group: "Run",
  summary: "End a broker, and the command it runs first",
  notes: [
    "Its command is ended as SIGTERM to ephemeral start would end it: it has the --grace it was started with. Those who joined its run may end in peace for as long again; clients that are connected then are told (closing, 3001).",
    "Returns when the broker is gone. With --json: pipe, and joiners, how many there were.",
  ],
  examples: [
    { line: "ephemeral stop --name ci", does: "end the broker that was started with --name ci" },
    { line: 'ephemeral stop --pipe "$EPHEMERAL_PIPE"', does: "end the run this is said in" },
  ],
  args: {
    ...clientFlags,
    pipe: { ...clientFlags.pipe, description: "The broker's socket" },
    wait: {
      type: "string",
      valueHint: "DURATION",
      description: "How long its end may take; or forever (default: 30s)",
    },
  },
  async perform(args) {
    if (args.name === undefined && args.pipe === undefined) {
      throw usageError("Cannot stop a broker: which one is not said", "Give --name or --pipe; see: ephemeral ls");
    }
    const { pipe } = clientSettings(args, processEnvironment);
    const waitMs = args.wait === undefined ? defaultWaitMs : waitFlag(args);
    await call(args, async (ask) => {
      const before = traceOf(pipe);
      const { joiners } = await ask({ action: "drain" });
      await ended(before, waitMs);
      return { document: { pipe, joiners } };
    });
  },
});

interface Trace {
  readonly pipe: string;
  /** The socket's own number: a name may have a new broker soon. */
  readonly inode: number | undefined;
  readonly holder: ReturnType<typeof parseIdentity>;
}

function traceOf(pipe: string): Trace {
  let holder: Trace["holder"];
  try {
    holder = parseIdentity(readFileSync(pipe.replace(/[^/]*$/, "lock"), "latin1").trimEnd());
  } catch {
    // A broker whose process is not known has ended when its socket is gone.
  }
  return { pipe, inode: inodeOf(pipe), holder };
}

function inodeOf(pipe: string): number | undefined {
  return lstatSync(pipe, { throwIfNoEntry: false })?.ino;
}

/** Resolves when nothing of the broker is there any more.
 *  @throws {EphemeralError} `timeout` when it still is after `waitMs` */
async function ended({ pipe, inode, holder }: Trace, waitMs: number): Promise<void> {
  const deadlineMs = waitMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + waitMs;
  while (inodeOf(pipe) === inode) {
    if (performance.now() > deadlineMs) {
      const text = `Cannot wait for the broker's end: ${pipe} is still there after ${formatDuration(waitMs)}; its command, or who joined its run, takes its time`;
      throw new EphemeralError("timeout", text);
    }
    await Bun.sleep(lookAgainMs);
  }
  const lastMs = performance.now() + processEndMsMax;
  while (holder !== undefined && isRunning(holder) && performance.now() < lastMs) await Bun.sleep(lookAgainMs);
}
