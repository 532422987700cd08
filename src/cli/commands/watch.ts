/**
 * The page of watch: what becomes of keys, line by line, until somebody ends it.
 */
import { type WatchEvent, Watches } from "../../client/watches.ts";
import { clientFlags, connectionTo } from "../call.ts";
import { EventLines } from "../event-lines.ts";
import { printable } from "../output.ts";
import { definePage } from "../page.ts";
import { choiceFlag, clientSettings, processEnvironment } from "../settings/settings.ts";

export const watchPage = definePage({
  name: "watch",
  group: "Values",
  summary: "Print what becomes of keys, until Ctrl-C",
  notes: [
    "A line for each event: set, del or expired, the version, the key. A line with gap says that events are missing here, and how many; ? where nobody knows, as after a lost connection. When the broker is gone it ends, with status 69.",
    "With --json: a document a line, of event, key and version, or of event and dropped.",
  ],
  examples: [
    { line: "ephemeral watch", does: "see everything that is set, deleted or over" },
    {
      line: "ephemeral watch auth: | while read -r event version key; do echo $key; done",
      does: "do something for each key that begins so",
    },
  ],
  args: {
    prefix: { type: "positional", required: false, description: "Only keys that begin so" },
    overflow: {
      type: "string",
      valueHint: "gap|latest|close",
      description:
        "What becomes of events when they are not read in time: gap (the default) drops, latest keeps each key's newest, close begins anew",
    },
    ...clientFlags,
    json: { type: "boolean", description: "Print one JSON document a line, failures too (on stderr)" },
  },
  async perform(args) {
    const overflow = choiceFlag(args, { name: "overflow", choices: ["gap", "latest", "close"] }) ?? "gap";
    const lineOf = args.json === true ? documentLine : textLine;
    const label = processEnvironment.EPHEMERAL_LABEL || "ephemeral watch";
    const { connection, absence } = connectionTo({ ...clientSettings(args, processEnvironment), label });
    const lines = new EventLines((dropped) => lineOf({ event: "gap", dropped }));
    const over = Promise.withResolvers<never>();
    const listener = (event: WatchEvent): void => {
      if (event.event === "lost") over.reject(event.error);
      else lines.add(lineOf(event));
    };
    try {
      const watching = new Watches(connection).watch(args.prefix ?? "", listener, { overflow });
      await Promise.race([watching.then(() => over.promise), absence, lines.failed]);
    } finally {
      connection.close();
      await lines.written();
    }
  },
});

type Told = Exclude<WatchEvent, { readonly event: "lost" }>;

function textLine(told: Told): string {
  if (told.event === "gap") return `gap ${told.dropped ?? "?"}\n`;
  return `${told.event} ${told.version} ${printable(told.key)}\n`;
}

function documentLine(told: Told): string {
  return `${JSON.stringify(told)}\n`;
}
