/**
 * The pages of touch and incr: how long a key lives, and what a number comes to, from a shell.
 */
import { defaultTtlMs } from "../../broker/config.ts";
import { call, clientFlags } from "../call.ts";
import { usageError } from "../failure.ts";
import { definePage } from "../page.ts";
import { durationFlag, findGiven, quoted, readNumber } from "../settings/settings.ts";
import { durationUnit, numberUnit } from "../units.ts";

const keyHelp = "1 to 512 bytes";

export const touchPage = definePage({
  name: "touch",
  group: "Values",
  summary: "Give a key a new time to live, from now on",
  notes: ["Prints nothing; with --json: expiresAtMs (Unix ms). The value and its version stay as they are."],
  examples: [{ line: "ephemeral touch server-url 10m", does: "ten minutes from now it ends" }],
  refusedWhen: "there is no such key, or its time to live is over",
  args: {
    key: { type: "positional", required: true, description: keyHelp },
    ttl: { type: "positional", required: true, description: "Time to live, such as 30s or 10m" },
    ...clientFlags,
  },
  async perform(args) {
    const ttl = durationUnit.read(args.ttl);
    if (ttl === undefined) {
      throw usageError(
        `Cannot read TTL: wanted ${durationUnit.form}, got ${quoted(args.ttl)}`,
        "Write: ephemeral touch KEY 10m",
      );
    }
    await call(args, async (ask) => {
      const { expiresAtMs } = await ask({ action: "touch", key: args.key, ttl });
      return { document: { expiresAtMs } };
    });
  },
});

export const incrPage = definePage({
  name: "incr",
  group: "Values",
  summary: "Add to the number under a key, and print the sum",
  notes: [
    "A key that is not there counts as 0, and lives 30m unless told. One that is there keeps its end unless --ttl gives it a new one. Nobody's addition is lost.",
    "Prints the sum. With --json: value and version.",
  ],
  examples: [
    { line: 'test "$(ephemeral incr started)" = 1 && ./first-only.sh', does: "the first of many does it" },
    { line: "ephemeral incr running --by -1", does: "count down" },
  ],
  refusedWhen: "something else than a number is stored there, or the sum is beyond 2^53-1",
  args: {
    key: { type: "positional", required: true, description: keyHelp },
    by: { type: "string", valueHint: "NUMBER", description: "What to add (default: 1)" },
    ttl: { type: "string", valueHint: "DURATION", description: "A new time to live" },
    ...clientFlags,
  },
  async perform(args) {
    const given = findGiven("by", [], { flags: args, environment: {} });
    const by = given === undefined ? undefined : readNumber(given, numberUnit);
    const ttl = durationFlag(args, "ttl");
    await call(args, async (ask) => {
      const { value, version } = await ask({ action: "incr", key: args.key, by, ttl, ttlIfNew: defaultTtlMs });
      return { document: { value, version }, text: `${value}\n` };
    });
  },
});
