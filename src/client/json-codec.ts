/**
 * The client's end of JSON lines, its default codec. Reads what the broker says without the broker's suspicion: nesting is
 * not scanned, as `JSON.parse` needs no protection and the broker's bound holds for what it keeps.
 */
import type { ClientCodec } from "../protocol/codec.ts";
import { Encoded } from "../protocol/commands.ts";
import { membersText, parseJson } from "../protocol/json-text.ts";
import { fromJsonValue, jsonText } from "../protocol/json-values.ts";
import { LineDecoder } from "../protocol/line-decoder.ts";

export const json: ClientCodec = {
  decoder: (frameBytesMax) => new LineDecoder(frameBytesMax),
  // Whoever owns our socket is our broker, and it sends objects.
  decode: (frame) => parseJson(frame) as Record<string, unknown>,
  prepare: (command) => membersText(command, ""),
  frame: (prepared, envelope) => `{${membersText(envelope, "")},${prepared}}\n`,
  join: (frames) => frames.join(""),
  toMember: (value) => new Encoded(jsonText(value)),
  fromMember: fromJsonValue,
};
