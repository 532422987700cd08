/**
 * The parsers of direct messages and requests. Checks shape and range; who is there to be told or asked is the broker's to
 * know.
 */
import type { Request } from "./commands.ts";
import { badField } from "./errors.ts";
import {
  type Fields,
  isAbsent,
  readInteger,
  readKey,
  readObject,
  readOptionalBoolean,
  readString,
  readValue,
  readWaitMs,
} from "./fields.ts";
import { type Limits, reasonCharactersMax } from "./limits.ts";
import type { Addressee, RequestCommands } from "./requests.ts";

type Parsers = {
  readonly [Name in keyof RequestCommands]: (fields: Fields, limits: Limits) => Request<Name>;
};

export const requestParsers: Parsers = {
  send: (fields, limits) => ({
    to: readAddressee(fields, limits),
    event: readKey(fields, "event", limits),
    data: readValue(fields, "data"),
  }),
  serve: (fields, limits) => ({
    method: readKey(fields, "method", limits),
    stop: readOptionalBoolean(fields, "stop"),
  }),
  request: (fields, limits) => ({
    method: readKey(fields, "method", limits),
    data: readValue(fields, "data"),
    to: isAbsent(fields.to) ? undefined : { session: readKey(readObject(fields.to, "to"), "session", limits) },
    waitMs: readWaitMs(fields, limits),
  }),
  respond: (fields) => {
    const request = readInteger(fields, "request", 0);
    if (isAbsent(fields.failure)) return { request, data: readValue(fields, "data") };
    if (fields.data !== undefined) throw badField("failure", "nothing beside data", fields.failure);
    return { request, failure: readString(fields, "failure").slice(0, reasonCharactersMax) };
  },
};

function readAddressee({ to }: Fields, limits: Limits): Addressee {
  const fields = readObject(to, "to");
  if (isAbsent(fields.user)) return { session: readKey(fields, "session", limits) };
  if (!isAbsent(fields.session)) throw badField("to", "either user or session", to);
  return { user: readKey(fields, "user", limits) };
}
