/**
 * The parsers of channels. Checks shape and range; what needs state is the engine's.
 */
import type { ChannelCommands, Position } from "./channels.ts";
import type { Request } from "./commands.ts";
import { badField } from "./errors.ts";
import {
  type Fields,
  isAbsent,
  readInteger,
  readKey,
  readObject,
  readOptionalBoolean,
  readOptionalInteger,
  readOptionalKey,
  readOverflow,
  readPrefix,
  readString,
  readValue,
} from "./fields.ts";
import type { Limits } from "./limits.ts";

type Parsers = { readonly [Name in keyof ChannelCommands]: (fields: Fields, limits: Limits) => Request<Name> };

export const channelParsers: Parsers = {
  subscribe: parseSubscribe,
  unsubscribe: readChannel,
  publish: (fields, limits) => ({
    ...readChannel(fields, limits),
    data: readValue(fields, "data"),
    serial: readOptionalInteger(fields, "serial", 1),
    key: readOptionalKey(fields, "key", limits),
    exceptSelf: readOptionalBoolean(fields, "exceptSelf"),
    trace: readOptionalKey(fields, "trace", limits),
  }),
  history: (fields, limits) => ({
    ...readChannel(fields, limits),
    since: readOptionalInteger(fields, "since", 0),
    limit: readOptionalInteger(fields, "limit", 1),
  }),
  presence: readChannel,
  channels: (fields, limits) => ({ prefix: readPrefix(fields, limits) }),
};

function readChannel(fields: Fields, limits: Limits): { readonly channel: string } {
  return { channel: readKey(fields, "channel", limits) };
}

function parseSubscribe(fields: Fields, limits: Limits): Request<"subscribe"> {
  const recover = readPosition(fields.recover);
  const group = readOptionalKey(fields, "group", limits);
  // Of what a group was handed each member has seen a part: nobody can say what it has missed.
  if (group !== undefined && recover !== undefined) throw badField("recover", "nothing, with a group", recover);
  return {
    ...readChannel(fields, limits),
    recover,
    history: readOptionalInteger(fields, "history", 0),
    presence: readOptionalBoolean(fields, "presence"),
    group,
    overflow: readOverflow(fields),
  };
}

function readPosition(recover: unknown): Position | undefined {
  if (isAbsent(recover)) return undefined;
  const fields = readObject(recover, "recover");
  return { epoch: readString(fields, "epoch"), offset: readInteger(fields, "offset", 0) };
}
