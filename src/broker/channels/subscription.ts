/**
 * One connection's subscription to one channel, and messages as pushes: encoded once in each codec, however many subscribe.
 */
import type { Publication } from "../../engine/channels.ts";
import type { Codec } from "../../protocol/codec.ts";
import { Encoded } from "../../protocol/commands.ts";
import type { Push } from "../../protocol/pushes.ts";
import type { Connection } from "../connections/connection.ts";
import type { Frame, PushBatch, PushFrame, PushStream } from "../connections/push-stream.ts";

export type Subscriber = Pick<Connection, "codec" | "isOver" | "openStream" | "session">;

export interface Subscription {
  readonly subscriber: Subscriber;
  readonly codec: Codec;
  readonly stream: PushStream;
  readonly group: string | undefined;
  /** Whether it is told who joins and leaves. */
  readonly hearsMembers: boolean;
  /** What has been published while the engine is asked for what was before; undefined once that is known and said. */
  held: Publication[] | undefined;
}

/** The publications of one turn, as pushes. */
export class Pushes {
  readonly publications: readonly Publication[];
  readonly #batches = new Map<Codec, PushBatch>();
  /** Whether several will say them: text is then made bytes once for all. */
  readonly #isShared: boolean;

  constructor(publications: readonly Publication[], { isShared }: { readonly isShared: boolean }) {
    this.publications = publications;
    this.#isShared = isShared;
  }

  /** All of them, for a subscriber that nothing is kept from. */
  batch(codec: Codec): PushBatch {
    const known = this.#batches.get(codec);
    if (known !== undefined) return known;
    const parts = this.publications.map((publication) => messagePush(publication, codec));
    const whole = joined(parts);
    const batch = { whole: this.#isShared && typeof whole === "string" ? Buffer.from(whole) : whole, parts };
    this.#batches.set(codec, batch);
    return batch;
  }
}

/** What a session is told in the place of a message it published itself. */
export function skipPush({ channel, message }: Publication, codec: Codec): PushFrame {
  return pushFrame({ push: "skip", channel, offset: message.offset }, { codec, publication: message });
}

function messagePush({ channel, message }: Publication, codec: Codec): PushFrame {
  const { offset, data, from, key, trace, atMs } = message;
  const push: Push = { push: "message", channel, offset, data: new Encoded(data), from, key, trace, atMs };
  try {
    return pushFrame(push, { codec, publication: message });
  } catch {
    // JSON can hold what no MessagePack reader takes, a map with a key twice: the hole is told instead.
    return pushFrame({ push: "gap", channel, from: offset, to: offset }, { codec, publication: message });
  }
}

function pushFrame(
  push: Push,
  { codec, publication: { key = "", offset } }: { codec: Codec; publication: Publication["message"] },
): PushFrame {
  return { frame: codec.encode(push), key, from: offset, to: offset };
}

/** Frames of one codec are all text or all bytes. */
function joined(parts: readonly PushFrame[]): Frame {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first.frame;
  const frames = parts.map(({ frame }) => frame);
  if (frames.every((frame) => typeof frame === "string")) return frames.join("");
  return Buffer.concat(frames.map((frame) => (typeof frame === "string" ? Buffer.from(frame) : frame)));
}
