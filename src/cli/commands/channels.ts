/**
 * The pages of pub, sub, presence and channels: messages between processes, from a shell.
 */
import type { ChannelEvent, ChannelMessage, SubscribeOptions } from "../../client/channels/channel-options.ts";
import { Channels } from "../../client/channels/channels.ts";
import { systemClientClock } from "../../client/client-clock.ts";
import { jsonText, jsonValue } from "../../protocol/json-values.ts";
import { type Answer, type Ask, call, clientFlags, connectionTo } from "../call.ts";
import { EventLines } from "../event-lines.ts";
import { dataOfText } from "../message-data.ts";
import { type Paint, printable, table } from "../output.ts";
import { definePage } from "../page.ts";
import { choiceFlag, clientSettings, countFlag, processEnvironment } from "../settings/settings.ts";
import { formatDuration } from "../units.ts";
import { say } from "../wrapper/say.ts";

const channel = { type: "positional", required: true, description: "1 to 512 bytes" } as const;

export const pubPage = definePage({
  name: "pub",
  group: "Messages",
  summary: "Publish a message in a channel, or each line of standard input",
  notes: [
    "DATA is JSON where it can be read as JSON, else text. Without it, or with a dash, each line of standard input is a message, published as it comes.",
    "Prints nothing. With --json: epoch, offset and receivers of the last one, and how many there were.",
  ],
  examples: [
    { line: "ephemeral pub builds done", does: "tell everybody who listens now, and keep it for a minute" },
    { line: "tail -f app.log | ephemeral pub log", does: "publish each line as it comes" },
    {
      line: "ephemeral pub prices '{\"usd\":7}' --key usd",
      does: "a slow reader may get the newest of this key alone",
    },
  ],
  args: {
    channel,
    data: { type: "positional", required: false, description: "The message; - reads lines of standard input" },
    key: { type: "string", valueHint: "KEY", description: "What the overflow latest keeps the newest of" },
    trace: { type: "string", valueHint: "ID", description: "Passed on as it is" },
    ...clientFlags,
  },
  perform: (args) =>
    call(args, async (ask): Promise<Answer> => {
      const { channel, key, trace } = args;
      const publish = async (text: string) => {
        const data = jsonValue(dataOfText(text));
        const { epoch, offset, receivers } = await ask({ action: "publish", channel, data, key, trace });
        return { epoch, offset, receivers };
      };
      if (args.data !== undefined && args.data !== "-")
        return { document: { ...(await publish(args.data)), count: 1 } };
      let count = 0;
      let last = {};
      for await (const lines of linesOfStdin()) {
        last = (await Promise.all(lines.map(publish))).at(-1) ?? last;
        count += lines.length;
      }
      return { document: { ...last, count } };
    }),
});

/** As many at once as have come. */
async function* linesOfStdin(): AsyncGenerator<readonly string[]> {
  let rest = "";
  for await (const text of Bun.stdin.stream().pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${text}`.split(/\r?\n/);
    rest = lines.pop() ?? "";
    yield lines.filter((line) => line !== "");
  }
  if (rest !== "") yield [rest];
}

export const subPage = definePage({
  name: "sub",
  group: "Messages",
  summary: "Print what is published in channels, until Ctrl-C",
  notes: [
    "A line for each message: text as it is, anything else as JSON, its control characters written out; behind the channel's name where there are several. What is missing is told on stderr: lost for what is gone after a lost connection, gap for what was dropped as it was not read in time. When the broker is gone it ends, with status 69.",
    "With --json: a document a line, messages with channel, data, offset, from, key, trace and atMs, everything else with channel and event.",
  ],
  examples: [
    { line: "ephemeral sub builds", does: "see what is published from now on" },
    { line: "ephemeral sub log --history 100 -n 100", does: "the last hundred messages, or the next" },
    { line: "ephemeral sub room hall --presence --json", does: "two channels, and who comes and goes" },
  ],
  args: {
    channel: { ...channel, isRepeatable: true },
    history: { type: "string", valueHint: "N", description: "So many of the last messages first" },
    count: { type: "string", valueHint: "N", short: "n", description: "End after so many messages" },
    presence: { type: "boolean", description: "Join the members, and tell who else does (on stderr)" },
    group: { type: "string", valueHint: "GROUP", description: "Share the messages with all others of the group" },
    overflow: {
      type: "string",
      valueHint: "gap|latest|close",
      description:
        "What becomes of messages that are not read in time: gap (the default) drops, latest keeps each key's newest, close begins anew and recovers them",
    },
    ...clientFlags,
    json: { type: "boolean", description: "Print one JSON document a line, failures too (on stderr)" },
  },
  async perform(args) {
    const options = {
      history: countFlag(args, { name: "history", atLeast: 0 }),
      presence: args.presence,
      group: args.group,
      overflow: choiceFlag(args, { name: "overflow", choices: ["gap", "latest", "close"] }) ?? "gap",
    };
    const countMax = countFlag(args, { name: "count", atLeast: 1 }) ?? Number.POSITIVE_INFINITY;
    const label = processEnvironment.EPHEMERAL_LABEL || "ephemeral sub";
    const { connection, absence } = connectionTo({ ...clientSettings(args, processEnvironment), label });
    const printer = new Printer({ channels: args._, isJson: args.json === true, countMax });
    const subscribed = printer.follow(new Channels(connection, systemClientClock), options);
    try {
      await Promise.race([subscribed.then(() => printer.over), absence, printer.failed]);
    } finally {
      connection.close();
      await printer.written();
    }
  },
});

/** Messages and events of several channels as lines, so many and no more. */
class Printer {
  /** Resolves after the last message that is wanted, rejects when there will be no other. */
  readonly over: Promise<void>;
  readonly #end: PromiseWithResolvers<void>;
  readonly #channels: readonly string[];
  readonly #isJson: boolean;
  readonly #lines: EventLines;
  #left: number;

  constructor(options: { readonly channels: readonly string[]; readonly isJson: boolean; readonly countMax: number }) {
    this.#channels = [...new Set(options.channels)];
    this.#isJson = options.isJson;
    this.#left = options.countMax;
    this.#end = Promise.withResolvers();
    this.over = this.#end.promise;
    this.over.catch(() => {});
    this.#lines = new EventLines((dropped) => this.#gapLine(dropped));
  }

  /** Rejects when lines cannot be written. */
  get failed(): Promise<never> {
    return this.#lines.failed;
  }

  written(): Promise<void> {
    return this.#lines.written();
  }

  async follow(channels: Channels, options: SubscribeOptions): Promise<void> {
    const subscribing = this.#channels.map((channel) => {
      const onEvent = (event: ChannelEvent): void => this.#event(channel, event);
      return channels.subscribe(channel, (message) => this.#message(message), { ...options, onEvent });
    });
    await Promise.all(subscribing);
  }

  #message(message: ChannelMessage): void {
    if (this.#left <= 0) return;
    this.#lines.add(this.#isJson ? `${jsonText(message)}\n` : this.#textLine(message));
    if (--this.#left === 0) this.#end.resolve();
  }

  #textLine({ channel, data }: ChannelMessage): string {
    const text = printable(typeof data === "string" ? data : jsonText(data));
    return this.#channels.length > 1 ? `${printable(channel)} ${text}\n` : `${text}\n`;
  }

  #event(channel: string, told: ChannelEvent): void {
    if (told.event === "unsubscribed") this.#end.reject(told.error);
    else if (this.#isJson) this.#lines.add(`${jsonText({ channel, ...told })}\n`);
    else say(`${printable(channel)}: ${textOfEvent(told)}`);
  }

  #gapLine(dropped: number): string {
    if (this.#isJson) return `${JSON.stringify({ event: "gap", dropped })}\n`;
    say(`gap, ${dropped} messages were not read in time`);
    return "";
  }
}

function textOfEvent(told: Exclude<ChannelEvent, { readonly event: "unsubscribed" }>): string {
  if (told.event === "recovered") return `the connection was lost and is back, with ${told.count} messages in between`;
  if (told.event === "join" || told.event === "leave")
    return `${told.event} ${printable(told.member.label ?? told.member.session)}`;
  return told.from === undefined ? `${told.event}, nobody knows how many` : `${told.event} ${told.from} to ${told.to}`;
}

export const presencePage = definePage({
  name: "presence",
  group: "Messages",
  summary: "Show who is a member of a channel",
  notes: ["Members are those who subscribed to be present. With --json: members."],
  examples: [{ line: "ephemeral presence room", does: "who is there, and since when" }],
  args: { channel, ...clientFlags },
  perform: (args) =>
    call(args, async (ask) => {
      const { members } = await ask({ action: "presence", channel: args.channel });
      const nowMs = Date.now();
      const rows = members.map(({ session, user = "", label = "", joinedAtMs }) => [
        ...[session, user, label, formatDuration(nowMs - joinedAtMs)],
      ]);
      const header = ["SESSION", "USER", "LABEL", "FOR"];
      return { document: { members }, text: (paint) => table(rows, { header, paint }) };
    }),
});

export const channelsPage = definePage({
  name: "channels",
  group: "Messages",
  summary: "Show the channels there are, who listens and what they keep",
  notes: ["Those with subscribers or history, and those that were used a short while ago. With --json: channels."],
  examples: [{ line: "ephemeral channels room:", does: "those whose names begin so" }],
  args: {
    prefix: { type: "positional", required: false, description: "Only channels that begin so" },
    ...clientFlags,
  },
  perform: (args) => call(args, (ask) => listed(ask, args.prefix)),
});

async function listed(ask: Ask, prefix: string | undefined): Promise<Answer> {
  const { channels, more } = await ask({ action: "channels", prefix });
  const header = ["CHANNEL", "OFFSET", "SUBSCRIBERS", "MEMBERS", "KEPT", "BYTES"];
  const rows = channels.map(({ channel, offset, subscribers, members, messages, bytes }) => [
    ...[channel, `${offset}`, `${subscribers}`, `${members}`, `${messages}`, `${bytes}`],
  ]);
  const text = (paint: Paint): string => table(rows, { header, paint });
  if (more) say("there are more channels: name the beginning of their names");
  return { document: { channels, more: more ?? false }, text };
}
