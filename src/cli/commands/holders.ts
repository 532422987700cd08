/**
 * The pages of why and holders: who has what, and who waits for it.
 */
import type { SessionInfo } from "../../protocol/commands.ts";
import { type Answer, type Ask, call, clientFlags, connectionTo } from "../call.ts";
import { type Paint, paintFor, print, printable, table } from "../output.ts";
import { definePage } from "../page.ts";
import { clientSettings, processEnvironment } from "../settings/settings.ts";
import { thingsOf } from "../turns/held.ts";
import { whoInWords } from "../turns/who.ts";
import { formatDuration } from "../units.ts";

export const whyPage = definePage({
  name: "why",
  group: "Who has what",
  summary: "Say in one line who has something, since when, and who waits",
  notes: [
    "Whatever goes by that name: a lock, a pool, seats, a lease, a once or a key. With --json: all of it, holders and waiters with their sessions, labels and instants.",
  ],
  examples: [
    { line: "ephemeral why database", does: "a run hangs: who has it?" },
    { line: "ephemeral why accounts --json | jq '.waiters | length'", does: "how long is the line?" },
  ],
  refusedWhen: "nobody holds or waits for anything of that name",
  args: {
    key: { type: "positional", required: true, description: "What it is called" },
    ...clientFlags,
  },
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const reply = await ask<"why">({ action: "why", key: args.key });
      return { document: reply, text: `${printable(whoInWords(reply, Date.now()))}\n` };
    }),
});

export const holdersPage = definePage({
  name: "holders",
  group: "Who has what",
  summary: "Show all that is held, by whom, since when, and how many wait",
  notes: [
    "With --watch it is shown anew whenever it changes, until Ctrl-C; it is looked at once a second. With --json: holders, a document a line with --watch.",
  ],
  examples: [
    { line: "ephemeral holders", does: "who has what" },
    { line: "ephemeral holders --watch", does: "and how it moves on" },
  ],
  args: {
    watch: { type: "boolean", description: "Show it anew whenever it changes" },
    ...clientFlags,
  },
  async perform(args) {
    const answer = (sessions: readonly SessionInfo[]): Answer => {
      const holders = holdersIn(sessions);
      return { document: { holders }, text: (paint) => listed(holders, paint) };
    };
    if (args.watch !== true) {
      await call(args, async (ask) => answer((await ask({ action: "ps" })).sessions));
      return;
    }
    const { connection, absence } = connectionTo(clientSettings(args, processEnvironment));
    const ask: Ask = (command, waitMs = 0) => connection.call({ command, waitMs, read: (reply) => reply });
    await Promise.race([watched(ask, { json: args.json === true }), absence]);
  },
});

/** How often is looked. */
const lookEveryMs = 1000;

async function watched(ask: Ask, { json }: { json: boolean }): Promise<never> {
  const paint = await paintFor(1, processEnvironment);
  for (let before: string | undefined; ; await Bun.sleep(lookEveryMs)) {
    const holders = holdersIn((await ask({ action: "ps" })).sessions);
    const now = JSON.stringify(holders);
    if (now === before) continue;
    await print(json ? `{"holders":${now}}\n` : `${before === undefined ? "" : "\n"}${listed(holders, paint)}`);
    before = now;
  }
}

interface Holder {
  readonly name: string;
  readonly which: string;
  readonly kind: string;
  readonly session: string;
  readonly label: string | undefined;
  readonly sinceAtMs: number;
  /** How many wait for what goes by the name. */
  readonly waiting: number;
}

/** By name, the oldest hold of each first. */
function holdersIn(sessions: readonly SessionInfo[]): readonly Holder[] {
  const waits = sessions.flatMap((session) => session.waits.map(({ key }) => key));
  const holders = sessions.flatMap(({ session, label, holds }) =>
    holds.flatMap((hold) =>
      thingsOf(hold).map(({ name, which }): Holder => {
        // Who waits for several things waits for all of them together.
        const waiting = waits.filter((key) => key === name || key.split(", ").includes(name)).length;
        return { name, which, kind: hold.kind, session, label, sinceAtMs: hold.sinceAtMs, waiting };
      }),
    ),
  );
  return holders.sort((a, b) => (a.name === b.name ? a.sinceAtMs - b.sinceAtMs : a.name < b.name ? -1 : 1));
}

function listed(holders: readonly Holder[], paint: Paint): string {
  const nowMs = Date.now();
  const rows = holders.map(({ name, which, kind, label, session, sinceAtMs, waiting }) => [
    name,
    which || "-",
    kind,
    label ?? session,
    formatDuration(nowMs - sinceAtMs),
    `${waiting}`,
  ]);
  return table(rows, { header: ["NAME", "WHICH", "KIND", "HELD BY", "FOR", "WAITING"], paint });
}
