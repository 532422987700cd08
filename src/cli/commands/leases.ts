/**
 * The pages of lease and release: a number of one's own, from a shell.
 */
import { defaultTtlMs } from "../../broker/config.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { call, clientFlags } from "../call.ts";
import { definePage } from "../page.ts";
import { choiceFlag, countFlag, durationFlag, waitFlag } from "../settings/settings.ts";

export const leasePage = definePage({
  name: "lease",
  group: "Turns",
  summary: "Take the lowest free number of a key, or renew the one held",
  notes: [
    "Prints the number, from 0. With --json: value, fence and expiresAtMs.",
    "The lease ends with its time to live or with release. With --scope session it would also end with this very command, as its connection does.",
  ],
  examples: [
    { line: 'port=$((4000 + $(ephemeral lease ports "worker-$$")))', does: "a port nobody else has" },
    { line: "ephemeral lease accounts worker-1 --size 3 --wait 30s", does: "one of three, or wait for one" },
  ],
  refusedWhen: "all --size numbers are held, or the lease is another session's",
  args: {
    key: { type: "positional", required: true, description: "What the numbers are of" },
    worker: { type: "positional", required: true, description: "Who holds it; the same worker gets the same number" },
    ttl: { type: "string", valueHint: "DURATION", description: "Time to live (default: 30m)" },
    size: { type: "string", valueHint: "N", description: "How many numbers there are (default: no end)" },
    wait: { type: "string", valueHint: "DURATION", description: "How long to wait for one of --size; or forever" },
    scope: { type: "string", valueHint: "ttl|session", description: "What ends it (default: ttl)" },
    ...clientFlags,
  },
  async perform(args) {
    const options = {
      ttl: durationFlag(args, "ttl") ?? defaultTtlMs,
      size: countFlag(args, { name: "size", atLeast: 1 }),
      scope: choiceFlag(args, { name: "scope", choices: ["ttl", "session"] }) ?? "ttl",
    };
    const waitMs = waitFlag(args);
    await call(args, async (ask) => {
      const command = { action: "lease", key: args.key, workerId: args.worker, ...options } as const;
      const { value, fence, expiresAtMs } = await ask(command, waitMs);
      return { document: { value, fence, expiresAtMs }, text: `${value}\n` };
    });
  },
});

export const releasePage = definePage({
  name: "release",
  group: "Turns",
  summary: "Give a worker's lease back",
  notes: ["Prints nothing; with --json: released."],
  examples: [
    { line: "ephemeral release worker-1", does: "give back the only lease it holds" },
    { line: "ephemeral release worker-1 --key '*'", does: "give back all it holds" },
  ],
  refusedWhen: "the worker holds nothing, or the lease is another session's",
  args: {
    worker: { type: "positional", required: true, description: "Who holds it" },
    key: { type: "string", valueHint: "KEY", description: "Which of its leases; * for all" },
    ...clientFlags,
  },
  perform: (args) =>
    call(args, async (ask) => {
      const { released } = await ask({ action: "release", workerId: args.worker, key: args.key });
      const of = args.key === undefined || args.key === "*" ? "" : ` of "${args.key}"`;
      if (!released) throw new EphemeralError("not_found", `Cannot release: "${args.worker}" has no lease${of}`);
      return { document: { released } };
    }),
});
