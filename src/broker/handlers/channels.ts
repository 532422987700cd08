/** Messages: `subscribe unsubscribe publish history presence channels`. What is kept is the engine's, who is told the hub's. */
import type { ChannelFigures, HistoryReading } from "../../engine/channels.ts";
import type { Awaitable, Engine } from "../../engine/engine.ts";
import type { ChannelCommands } from "../../protocol/channels.ts";
import type { Codec } from "../../protocol/codec.ts";
import type { Reply } from "../../protocol/commands.ts";
import { channelsListedMax } from "../../protocol/limits.ts";
import type { Hub } from "../channels/hub.ts";
import { pageOf } from "../channels/recovery.ts";
import type { BrokerConfig } from "../config.ts";
import type { Rows } from "../dispatcher.ts";
import { storable } from "./values.ts";

interface ChannelsParts {
  readonly engine: Engine;
  readonly config: BrokerConfig;
  readonly hub: Hub;
}

type ChannelRows = Rows<keyof ChannelCommands>;

export function channelRows({ engine: { channels }, config: { limits }, hub }: ChannelsParts): ChannelRows {
  const row = { access: "admitted", whileDraining: "served" } as const;
  const historyReply = ({ epoch, offset, messages }: HistoryReading, codec: Codec): Reply<"history"> => {
    return { epoch, offset, ...pageOf(messages, { codec, ...limits }) };
  };
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
      handle: ({ channel, since, limit = limits.historyCountMax }, { codec }) => {
        // Whoever reads the pages of a recovery knows what of them was pushed already: nothing of them is pushed later.
        hub.handOn(channel);
        return whenRead(channels.history({ channel, since, limit }), (reading) => historyReply(reading, codec));
      },
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
