/**
 * The pages of get, set, del and list: values under keys, from a shell.
 */
import { defaultTtlMs } from "../../broker/config.ts";
import type { ListedItem, Reply } from "../../protocol/commands.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import { fromJsonValue, jsonValue } from "../../protocol/json-values.ts";
import { type Answer, type Ask, call, clientFlags } from "../call.ts";
import { usageError } from "../failure.ts";
import { type Paint, shownValue, table } from "../output.ts";
import { definePage } from "../page.ts";
import { choiceFlag, countFlag, durationFlag, waitFlag } from "../settings/settings.ts";
import { formatDuration } from "../units.ts";

const waitHelp = "How long to wait for it; forever waits until it is there";
const keyHelp = "1 to 512 bytes";
/** Keys asked for at once by list. */
const keysPerPage = 1000;

export const getPage = definePage({
  name: "get",
  group: "Values",
  summary: "Print the value of a key",
  notes: [
    "A string is printed as it is and anything else as JSON, each on a line of its own; bytes are printed as bytes.",
    "With --json: value, version and ttlMs.",
  ],
  examples: [
    { line: "ephemeral get server-url --wait 30s", does: "wait until a server has said where it listens" },
    { line: "ephemeral get settings --json | jq .value.region", does: "take one member of a JSON value" },
  ],
  refusedWhen: "there is no such key, or its time to live is over",
  args: {
    key: { type: "positional", required: true, description: keyHelp },
    wait: { type: "string", valueHint: "DURATION", description: waitHelp },
    refresh: { type: "boolean", description: "Give the key its whole time to live once more" },
    ...clientFlags,
  },
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const refresh = args.refresh === true ? true : undefined;
      const reply = await ask({ action: "get", key: args.key, refresh }, waitFlag(args));
      const { value: stored, version, ttlMs, compressed } = reply;
      const value = compressed === true ? await decompressed(args.key, stored) : fromJsonValue(stored);
      return { document: { value, version, ttlMs }, text: shownValue(value) };
    }),
});

/** The seed's clients compress large values; what inflates them is loaded for those alone. */
async function decompressed(key: string, stored: unknown): Promise<unknown> {
  const { decompressValue } = await import("../../client/compressed.ts");
  return decompressValue(key, stored);
}

export const setPage = definePage({
  name: "set",
  group: "Values",
  summary: "Store a value under a key",
  notes: [
    "VALUE is a string unless --json-value says it is JSON. A dash reads it from standard input, without its last line feed; --bytes keeps what it reads as bytes, untouched.",
    "Prints nothing; with --json: version.",
  ],
  examples: [
    { line: "ephemeral set server-url http://127.0.0.1:4000", does: "tell it to whoever waits" },
    { line: 'ephemeral set settings \'{"region":"eu"}\' --json-value', does: "store JSON" },
    { line: "ephemeral set migrated yes --if absent", does: "be the first: status 1 for all others" },
    { line: "ephemeral set archive - --bytes < build.tar", does: "store a file" },
  ],
  refusedWhen: "--if or --version does not hold, or the value or the number of keys is over a bound",
  args: {
    key: { type: "positional", required: true, description: keyHelp },
    value: { type: "positional", required: true, description: "The value; - reads standard input" },
    ttl: { type: "string", valueHint: "DURATION", description: "Time to live (default: 30m)" },
    if: { type: "string", valueHint: "absent|present", description: "Only if the key is, or is not, there" },
    version: { type: "string", valueHint: "N", description: "Only if the key still stands at this version" },
    scope: { type: "string", valueHint: "SCOPE", description: "Refused: the key would end with this very command" },
    "json-value": { type: "boolean", description: "VALUE is JSON" },
    bytes: { type: "boolean", description: "VALUE is bytes, read from standard input" },
    ...clientFlags,
  },
  async perform(args) {
    refuseScope(args.scope);
    const conditions = {
      if: choiceFlag(args, { name: "if", choices: ["absent", "present"] }),
      version: countFlag(args, { name: "version", atLeast: 1 }),
    };
    const ttl = durationFlag(args, "ttl") ?? defaultTtlMs;
    const value = await givenValue(args.value, { isJson: args["json-value"] === true, isBytes: args.bytes === true });
    const stored = { key: args.key, value: jsonValue(value), ttl, compressed: undefined };
    await call(args, async (ask) => {
      const { version } = await ask({ action: "set", ...stored, ...conditions });
      return { document: { version } };
    });
  },
});

/** A session's key ends with its session, and ours is over before anybody could read it. */
function refuseScope(scope: string | undefined): void {
  if (scope === undefined) return;
  throw usageError(
    "Cannot use --scope: a key of a session ends with it, and this command's session ends with this command",
    'Give it a --ttl; or set it from a process that stays: client.set(key, value, { scope: "session" })',
  );
}

async function givenValue(text: string, { isJson, isBytes }: { isJson: boolean; isBytes: boolean }): Promise<unknown> {
  if (isBytes && (isJson || text !== "-")) {
    throw usageError("Cannot read VALUE: bytes come from standard input", "Write: ephemeral set KEY - --bytes < FILE");
  }
  if (isBytes) return Bun.stdin.bytes();
  const given = text === "-" ? await textFromStdin() : text;
  return isJson ? parsedJson(given) : given;
}

async function textFromStdin(): Promise<string> {
  const bytes = await Bun.stdin.bytes();
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    throw usageError(`Cannot read VALUE: ${bytes.length} bytes are no UTF-8`, "Store them as they are with --bytes");
  }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw usageError(
      `Cannot read VALUE: ${text.length} characters are no JSON`,
      "Quote it for the shell, as in '{\"a\":1}', or leave out --json-value to store a string",
    );
  }
}

export const delPage = definePage({
  name: "del",
  group: "Values",
  summary: "Delete a key",
  notes: ["Prints nothing; with --json: deleted."],
  examples: [{ line: "ephemeral del server-url", does: "the next get finds nothing" }],
  refusedWhen: "there was no such key, or --version does not hold",
  args: {
    key: { type: "positional", required: true, description: keyHelp },
    version: { type: "string", valueHint: "N", description: "Only if the key still stands at this version" },
    ...clientFlags,
  },
  async perform(args) {
    const version = countFlag(args, { name: "version", atLeast: 1 });
    await call(args, async (ask) => {
      const { deleted } = await ask({ action: "del", key: args.key, version });
      if (!deleted) throw new EphemeralError("not_found", `Cannot delete "${args.key}": there is no such key`);
      return { document: { deleted } };
    });
  },
});

export const listPage = definePage({
  name: "list",
  group: "Values",
  summary: "List keys, their versions and when they end",
  notes: ["Never prints values. With --json: items, an object of key to version, hasValue and expires (Unix ms)."],
  examples: [
    { line: "ephemeral list", does: "everything there is" },
    { line: "ephemeral list auth: --json | jq -r '.items | keys[]'", does: "the keys that begin so" },
  ],
  args: {
    prefix: { type: "positional", required: false, description: "Only keys that begin so" },
    ...clientFlags,
  },
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const items = await allItems(ask, args.prefix);
      return { document: { items }, text: (paint) => listed(items, paint) };
    }),
});

/** Page after page, in the order the keys were first set. */
async function allItems(ask: Ask, prefix: string | undefined): Promise<Items> {
  const entries: [string, ListedItem][] = [];
  let cursor: string | undefined;
  do {
    const page: Reply<"list"> = await ask({ action: "list", prefix, cursor, limit: keysPerPage });
    entries.push(...Object.entries(page.items));
    cursor = page.cursor;
  } while (cursor !== undefined);
  // fromEntries defines own members, so that a key named __proto__ stays one.
  return Object.fromEntries(entries);
}

type Items = Reply<"list">["items"];

function listed(items: Items, paint: Paint): string {
  const nowMs = Date.now();
  const rows = Object.entries(items).map(([key, { version, expires }]) => [
    key,
    `${version}`,
    expires === undefined ? "never" : `in ${formatDuration(expires - nowMs)}`,
  ]);
  return table(rows, { header: ["KEY", "VERSION", "ENDS"], paint });
}
