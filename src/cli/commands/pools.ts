/**
 * The page of pool: what items a pool has, and which of them nobody is to get.
 */
import type { WhyReply } from "../../protocol/pools.ts";
import { type Answer, call, clientFlags } from "../call.ts";
import type { Arguments, Definitions } from "../definitions.ts";
import { usageError } from "../failure.ts";
import { type Paint, table } from "../output.ts";
import { definePage } from "../page.ts";
import { readItems } from "../turns/pool-items.ts";
import { nameOf, whoInWords } from "../turns/who.ts";
import { formatDuration } from "../units.ts";

const definitions = {
  action: {
    type: "positional",
    required: true,
    valueHint: "define|add|remove|show|quarantine",
    description: "define, add, remove, show or quarantine",
  },
  pool: { type: "positional", required: true, description: "What the pool is called; 1 to 512 bytes" },
  item: {
    type: "positional",
    required: false,
    isRepeatable: true,
    description: "With define and add what it is, with remove and quarantine its number as show tells it",
  },
  tag: { type: "string", valueHint: "TAG", isRepeatable: true, description: "A tag for all items that are given" },
  file: { type: "string", valueHint: "PATH", description: "Items as a JSON list or one a line in JSON; - for stdin" },
  "json-value": { type: "boolean", description: "Items given as operands are JSON" },
  reason: { type: "string", valueHint: "TEXT", description: "With quarantine: what is wrong with it; required" },
  ...clientFlags,
} as const satisfies Definitions;

type Given = Arguments<typeof definitions>;

export const poolPage = definePage({
  name: "pool",
  group: "Turns",
  summary: "Define a pool's items, show who has them, take broken ones out",
  notes: [
    "define makes the pool of these items, or changes the one there is: items that stay keep their holders, and the same definition again changes nothing. add brings back an item that was quarantined, when it has the same value. remove without items removes the pool. What is held is removed or quarantined when it is released.",
    'An item is a word; with --json-value, or in a file, any JSON value or {"value":…,"tags":[…]}.',
    "define, add, remove and quarantine print nothing. With --json: size; of show what ephemeral why tells.",
  ],
  examples: [
    { line: "ephemeral pool define accounts ada bob --tag eu", does: "two accounts, to be had with take" },
    {
      line: `ephemeral pool define accounts --json-value '{"value":"ada","tags":["admin"]}' '"bob"'`,
      does: "one of them with a tag of its own",
    },
    { line: "ephemeral pool define accounts --file accounts.json", does: "values and tags from a file" },
    { line: "ephemeral pool show accounts", does: "who has which" },
    {
      line: "ephemeral pool quarantine accounts 1 --reason 'password expired'",
      does: "nobody gets that one any more; who has it keeps it",
    },
  ],
  refusedWhen: "there is no such pool or item, or the name is a lock's or semaphore's",
  args: definitions,
  async perform(args) {
    const perform = actions[args.action];
    if (perform === undefined) {
      const wanted = Object.keys(actions).join(", ");
      throw usageError(
        `Cannot read ACTION: wanted ${wanted}, got ${JSON.stringify(args.action)}`,
        "See: ephemeral help pool",
      );
    }
    await perform(args);
  },
});

const actions: Readonly<Record<string, (args: Given) => Promise<void>>> = {
  define: (args) => put("pool.define", args),
  add: (args) => put("pool.add", args),
  remove: (args) => {
    const slots = numbersIn(args);
    return call(args, async (ask) => {
      const { size } = await ask({
        action: "pool.remove",
        pool: args.pool,
        slots: slots.length === 0 ? undefined : slots,
      });
      return { document: { size } };
    });
  },
  show: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const reply = await ask<"why">({ action: "why", pool: args.pool });
      return { document: reply, text: (paint) => shown(reply, paint) };
    }),
  quarantine,
};

async function put(action: "pool.define" | "pool.add", args: Given): Promise<void> {
  const words = itemsOf(args);
  const tags = args.tag?.split(",") ?? [];
  const items = await readItems({ words, isJson: args["json-value"] === true, file: args.file, tags });
  await call(args, async (ask) => {
    const { size } = await ask<"pool.define" | "pool.add">({ action, pool: args.pool, items });
    return { document: { size } };
  });
}

/** Operands behind ACTION and POOL. */
function itemsOf(args: Given): readonly string[] {
  return args._.slice(2);
}

function numbersIn(args: Given): readonly number[] {
  return itemsOf(args).map((text) => {
    if (/^\d{1,9}$/.test(text)) return Number(text);
    throw usageError(`Cannot read ITEM: wanted its number, got ${JSON.stringify(text)}`, "ephemeral pool show has it");
  });
}

async function quarantine(args: Given): Promise<void> {
  const { pool, reason } = args;
  const [slot, ...others] = numbersIn(args);
  if (slot === undefined || others.length > 0)
    throw usageError("Cannot quarantine: wanted one ITEM, its number", "See: ephemeral pool show POOL");
  if (!reason) throw usageError("Cannot quarantine: --reason is missing", "Say what is wrong with it: --reason TEXT");
  await call(args, async (ask) => {
    await ask({ action: "quarantine", pool, slot, reason });
    return { document: { quarantined: slot } };
  });
}

function shown(reply: WhyReply, paint: Paint): string {
  const nowMs = Date.now();
  const since = (ms: number): string => formatDuration(nowMs - ms);
  const held = reply.holders.map((holder) => [
    `${holder.item}`,
    holder.mode === "shared" ? "shared" : "held",
    nameOf(holder),
    since(holder.sinceAtMs),
    "",
  ]);
  const out = reply.quarantined.map((one) => [
    `${one.item}`,
    "quarantined",
    one.label,
    since(one.sinceAtMs),
    one.reason,
  ]);
  const rows = [...held, ...out].sort(([a], [b]) => Number(a) - Number(b));
  const header = ["ITEM", "STATE", "BY", "FOR", "REASON"];
  return `${whoInWords(reply, nowMs)}\n${table(rows, { header, paint })}`;
}
