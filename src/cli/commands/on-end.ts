/**
 * The page of on-end: a command that is run when the run is over.
 */
import { call, clientFlags } from "../call.ts";
import { usageError } from "../failure.ts";
import { definePage } from "../page.ts";
import { durationFlag, processEnvironment, quoted } from "../settings/settings.ts";

export const onEndPage = definePage({
  name: "on-end",
  group: "Run",
  summary: "Have a command run when the run ends, however it ends",
  notes: [
    "It runs once, in this folder, when the run's own command has ended, or was killed together with ephemeral start; the last one registered runs first. It has the environment of ephemeral start, but no broker. Its output and what became of it are told on the stderr of ephemeral start, whose exit status it does not change.",
    "The same command from the same folder counts once, so that every worker may register what the first of them started.",
  ],
  examples: [
    { line: "ephemeral on-end -- docker rm -f test-db", does: "whoever is killed, the container goes" },
    { line: "ephemeral on-end --within 2m --env TOKEN -- ./delete-accounts.sh", does: "with a variable as it is here" },
  ],
  refusedWhen: "too many are registered already",
  args: {
    command: {
      type: "positional",
      required: true,
      isRepeatable: true,
      description: "The program and its arguments, behind --",
    },
    within: { type: "string", valueHint: "DURATION", description: "When it is ended, done or not (default: 30s)" },
    env: {
      type: "string",
      valueHint: "NAME",
      isRepeatable: true,
      description: "A variable it is to have as it is here; may be given several times",
    },
    ...clientFlags,
  },
  async perform(args) {
    const env = Object.fromEntries((args.env?.split(",") ?? []).map((name) => [name, valueHere(name)]));
    const timeoutMs = durationFlag(args, "within");
    await call(args, async (ask) => {
      await ask({ action: "onEnd", argv: args._, cwd: process.cwd(), env, timeoutMs });
      return { document: {} };
    });
  },
});

function valueHere(name: string): string {
  const value = processEnvironment[name];
  if (value !== undefined) return value;
  throw usageError(`Cannot read --env: there is no variable ${quoted(name)}`, "Set it, or leave --env out");
}
