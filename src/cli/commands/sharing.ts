/**
 * The pages of limit and barrier: a command that runs once a rate allows it, or once all have come.
 */
import { partiesMax, rateMax } from "../../protocol/limits.ts";
import { call } from "../call.ts";
import { usageError } from "../failure.ts";
import { definePage } from "../page.ts";
import { countFlag, durationFlag, type Flags, findGiven, quoted } from "../settings/settings.ts";
import type { PassOptions } from "../turns/turn.ts";
import { turnFlags, turnSettings, turnVariables } from "../turns/turn-flags.ts";
import { waitersInLine } from "../turns/who.ts";
import { countUnit, durationUnit, formatDuration } from "../units.ts";

const alone = "Without a command it only waits: status 0 says that it is time.";

export const limitPage = definePage({
  name: "limit",
  group: "Work",
  summary: "Run a command when a rate that all share allows it",
  wrapsCommand: true,
  notes: [
    "There are never more than so many in any such time, over all who use the key with the same rate; who waits is let through in the order they came. What was let through counts, whatever becomes of the command.",
    "With --penalize nobody is let through for so long: one was told 429, all hold back.",
    alone,
  ],
  examples: [
    { line: "ephemeral limit api --rate 10/1s -- ./call.sh", does: "ten a second, whoever calls" },
    { line: "ephemeral limit api --rate 600/1m --cost 5 --wait 30s && ./call.sh", does: "status 75 after 30 seconds" },
    { line: "ephemeral limit api --penalize 30s", does: "Retry-After: 30" },
  ],
  environment: turnVariables,
  args: {
    key: { type: "positional", required: true, description: "What the limit is called; 1 to 512 bytes" },
    rate: { type: "string", valueHint: "N/DURATION", description: "How many in which time, such as 10/1s or 600/m" },
    cost: { type: "string", valueHint: "N", description: "What this takes of it (default: 1)" },
    penalize: { type: "string", valueHint: "DURATION", description: "Let nobody through for so long" },
    ...turnFlags,
  },
  async perform(args) {
    const { key } = args;
    if (args.penalize !== undefined) return penalize(key, args);
    const { limit, windowMs } = rateFlag(args);
    const cost = countFlag(args, { name: "cost", atLeast: 1 });
    const command = { action: "limit", key, limit, windowMs, cost } as const;
    const { waitMs, ...settings } = turnSettings(args);
    await passOrRun(args, {
      ...settings,
      name: key,
      wait: (connection) => connection.call({ command, waitMs }),
      inWords: (why, nowMs) =>
        `${quoted(key)}, ${limit} in ${formatDuration(windowMs)}; in line: ${waitersInLine(why, nowMs)}`,
    });
  },
});

export const barrierPage = definePage({
  name: "barrier",
  group: "Work",
  summary: "Run a command once so many have come",
  wrapsCommand: true,
  notes: [
    "Who comes waits until all have come, and then all go on. When one of them goes away meanwhile, nobody can: the others are told who it was, at once, with status 1. The next ones to come begin anew.",
    alone,
  ],
  examples: [
    { line: "ephemeral barrier ready -n 4 -- ./load.sh", does: "four begin at the same moment" },
    { line: "ephemeral barrier migrated --parties 2 --wait 1m", does: "status 75 if the other does not come" },
  ],
  environment: turnVariables,
  args: {
    barrier: { type: "positional", required: true, description: "What the barrier is called; 1 to 512 bytes" },
    parties: { type: "string", valueHint: "N", short: "n", description: "How many are to come; required" },
    ...turnFlags,
  },
  async perform(args) {
    const key = args.barrier;
    const correction = "Write: ephemeral barrier NAME -n 4";
    const parties = countFlag(args, { name: "parties", atLeast: 1, atMost: partiesMax, correction });
    if (parties === undefined) throw usageError("Cannot wait at a barrier: --parties is missing", correction);
    const { waitMs, ...settings } = turnSettings(args);
    await passOrRun(args, {
      ...settings,
      name: key,
      wait: (connection) => connection.call({ command: { action: "barrier", key, parties }, waitMs }),
      inWords: (why, nowMs) =>
        `${quoted(key)}: ${why.waitersCount} of ${parties} have come: ${waitersInLine(why, nowMs)}`,
    });
  },
});

async function passOrRun(args: { readonly _: readonly string[] }, options: PassOptions<void>): Promise<void> {
  const command = args._.slice(1);
  const { passAlone, takeTurn } = await import("../turns/turn.ts");
  if (command.length === 0) await passAlone(options);
  else await takeTurn({ ...options, command, perform: (_, run) => run({}) });
}

async function penalize(key: string, args: Flags & { readonly _: readonly string[] }): Promise<void> {
  if (args.rate !== undefined || args.cost !== undefined || args._.length > 1) {
    const hint = `Write: ephemeral limit ${key} --penalize 30s`;
    throw usageError("Cannot penalize: --rate, --cost and a command are for who wants to pass", hint);
  }
  const forMs = durationFlag(args, "penalize") ?? 0;
  await call(args, async (ask) => {
    await ask({ action: "limit.penalize", key, forMs });
    return { document: {} };
  });
}

/** `10/1s`, or `10/s`: so many in so long.
 *  @throws {HintedError} `bad_command` when it is missing or cannot be read */
function rateFlag(flags: Flags): { readonly limit: number; readonly windowMs: number } {
  const given = findGiven("rate", [], { flags, environment: {} });
  if (given === undefined)
    throw usageError("Cannot pass a limit: --rate is missing", "Write --rate 10/1s: ten a second");
  const [, count = "", time = ""] = /^([^/]*)\/(.*)$/.exec(given.text) ?? [];
  const limit = countUnit.read(count) ?? 0;
  const windowMs = durationUnit.read(/^[a-z]+$/.test(time) ? `1${time}` : time) ?? 0;
  if (limit >= 1 && limit <= rateMax && windowMs >= 1) return { limit, windowMs };
  const wanted = `1 to ${rateMax}, a slash and a duration, such as 10/1s`;
  throw usageError(
    `Cannot read --rate: wanted ${wanted}, got ${quoted(given.text)}`,
    "Write --rate 10/1s: ten a second",
  );
}
