/** Messages: `subscribe unsubscribe publish history presence channels`. What is kept is the engine's, who is told the hub's. */
import type { ChannelFigures, HistoryReading } from "../../engine/channels.ts";
import type { Awaitable, Engine } from "../../engine/engine.ts";
import type { ChannelCommands } from "../../protocol/channels.ts";
import type { Reply } from "../../protocol/commands.ts";
import { channelsListedMax } from "../../protocol/limits.ts";
import type { BrokerConfig } from "../config.ts";
import type { Rows } from "../dispatcher.ts";
import type { Hub } from "../hub.ts";
import { pageOf } from "../recovery.ts";
import { storable } from "./values.ts";

interface ChannelsParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
  readonly hub: Hub;
}

type ChannelRows = Rows<keyof ChannelCommands>;

export function channelRows({ engine: { channels }, config: { limits }, hub }: ChannelsParts): ChannelRows {
  const row = { access: "admitted", whileDraining: "served" } as const;
  return {
    subscribe: { ...row, handle: (request, { connection }) => hub.subscribe(connection, request) },
    unsubscribe: {
      ...row,
      handle: ({ channel }, { connection }) => ({ unsubscribed: hub.unsubscribe(connection, channel) }),
    },
    publish: {
      ...row,
      handle: ({ channel, data, serial, key, exceptSelf = false, trace }, { codec, session }) =>
        channels.publish({ channel, data: storable(data, codec, limits), serial, key, exceptSelf, trace }, session),
    },
    history: {
      ...row,
      handle: ({ channel, since, limit = limits.historyCountMax }, { codec }) =>
        whenRead(channels.history({ channel, since, limit }), ({ epoch, offset, messages }: HistoryReading) => {
          const page = pageOf(messages, { codec, ...limits });
          return { epoch, offset, ...page };
        }),
    },
    presence: { ...row, handle: ({ channel }) => ({ members: hub.membersOf(channel) }) },
    channels: {
      ...row,
      handle: ({ prefix = "" }) =>
        whenRead(channels.list({ prefix, limit: channelsListedMax + 1 }), (figures) => channelsReply(figures, hub)),
    },
  };
}

function channelsReply(figures: readonly ChannelFigures[], hub: Hub): Reply<"channels"> {
  const listed = figures.slice(0, channelsListedMax);
  return {
    channels: listed.map((figure) => ({ ...figure, ...hub.attendance(figure.channel) })),
    more: figures.length > listed.length ? true : undefined,
  };
}

function whenRead<Read, Answer>(read: Awaitable<Read>, answer: (read: Read) => Answer): Awaitable<Answer> {
  return read instanceof Promise ? read.then(answer) : answer(read);
}
