/**
 * What a subscriber is answered of the messages before its own: all that it has missed or none of them, in pages that fit a
 * frame. Pure; where messages come from is its caller's business.
 */
import type { HistoryReading, KeptMessage } from "../../engine/channels.ts";
import type { Position } from "../../protocol/channels.ts";
import type { Codec } from "../../protocol/codec.ts";
import { Encoded, type EncodedValue } from "../../protocol/commands.ts";
import { isOfCodec, writingFailure } from "../connections/writing.ts";

/** What stands around the messages of a reply, and around the data of each. */
const replyBytes = 512;
const messageBytes = 160;
/** JSON writes a character as at most six bytes. */
const characterBytesMax = 6;
/** So much a value can grow from one codec to another: a byte of text to six, a number's digits to a double. */
const transcodedMax = 6;

/** `reading` and what was published since, in one. What is behind a hole is all that is left of it. */
export function merged(reading: HistoryReading, live: readonly KeptMessage[]): HistoryReading {
  let { offset, messages } = reading;
  for (const message of live) {
    if (message.offset <= offset) continue;
    messages = message.offset === offset + 1 ? [...messages, message] : [message];
    offset = message.offset;
  }
  return { epoch: reading.epoch, offset, messages };
}

/** Whether `reading` has every message after `position`. */
export function isRecovered({ epoch, offset, messages }: HistoryReading, position: Position): boolean {
  if (epoch !== position.epoch || position.offset > offset) return false;
  return position.offset === offset || messages[0]?.offset === position.offset + 1;
}

export interface PageOptions {
  readonly codec: Codec;
  readonly frameBytesMax: number;
}

export interface Page {
  readonly messages: Encoded;
  readonly more: true | undefined;
}

/** The first messages that fit one frame, at least one. What `codec` cannot write is left out: a reader sees by the offsets that
 *  it is missing. */
export function pageOf(messages: readonly KeptMessage[], { codec, frameBytesMax }: PageOptions): Page {
  const page: object[] = [];
  let bytes = replyBytes;
  for (const message of messages) {
    if (!isWritable(message, codec)) continue;
    bytes += bytesAtMost(message, codec);
    if (bytes > frameBytesMax && page.length > 0) return { messages: new Encoded(page), more: true };
    page.push(record(message));
  }
  return { messages: new Encoded(page), more: undefined };
}

function isWritable({ data }: KeptMessage, codec: Codec): boolean {
  return isOfCodec(data, codec) || writingFailure({ data: new Encoded(data) }, codec) === undefined;
}

function bytesAtMost({ data, key = "", trace = "", from = "" }: KeptMessage, codec: Codec): number {
  return messageBytes + dataBytesAtMost(data, codec) + characterBytesMax * (key.length + trace.length + from.length);
}

function dataBytesAtMost(data: EncodedValue, codec: Codec): number {
  const bytes = Buffer.byteLength(data);
  return isOfCodec(data, codec) ? bytes : transcodedMax * bytes;
}

/** The vocabulary's members alone. */
function record({ offset, data, from, key, trace, atMs }: KeptMessage): object {
  return { offset, data: new Encoded(data), from, key, trace, atMs };
}
