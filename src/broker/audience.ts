/**
 * Who subscribes to one channel. What is published in one turn is handed to each subscriber in one piece at the turn's end, or
 * before the audience changes, so that all of it is meant for whoever is there then.
 */
import type { Publication } from "../engine/channels.ts";
import type { MemberPush } from "../protocol/channels.ts";
import type { Codec } from "../protocol/codec.ts";
import type { PushFrame } from "./push-stream.ts";
import { Pushes, type Subscriber, type Subscription, skipPush } from "./subscription.ts";

/** Bytes of one turn that are handed on before its end. */
const pendingBytesMax = 64 * 1024;

/** Those who share the messages between them. */
interface Group {
  readonly members: Subscription[];
  /** Whose turn it is. */
  turn: number;
}

export class Audience {
  readonly channel: string;
  readonly #heldMax: number;
  readonly #all = new Map<Subscriber, Subscription>();
  readonly #groups = new Map<string, Group>();
  /** Published in this turn and handed to nobody yet. */
  #pending: Publication[] = [];
  #pendingBytes = 0;
  /** Whether one of them is not for its own session. */
  #hasExceptions = false;
  /** The last offset that was published, as far as is known here. */
  #offset = 0;

  constructor({ channel, heldMax }: { readonly channel: string; readonly heldMax: number }) {
    this.channel = channel;
    this.#heldMax = heldMax;
  }

  get size(): number {
    return this.#all.size;
  }

  find(subscriber: Subscriber): Subscription | undefined {
    return this.#all.get(subscriber);
  }

  add(subscription: Subscription): void {
    this.handOn();
    this.#all.set(subscription.subscriber, subscription);
    const { group } = subscription;
    if (group === undefined) return;
    const present = this.#groups.get(group);
    if (present === undefined) this.#groups.set(group, { members: [subscription], turn: 0 });
    else present.members.push(subscription);
  }

  remove(subscription: Subscription): void {
    this.handOn();
    this.#all.delete(subscription.subscriber);
    subscription.stream.end();
    const { group: name = "" } = subscription;
    const group = this.#groups.get(name);
    if (group === undefined || subscription.group === undefined) return;
    const index = group.members.indexOf(subscription);
    group.members.splice(index, 1);
    if (index < group.turn) group.turn--;
    if (group.members.length === 0) this.#groups.delete(name);
  }

  /** Takes a message to be handed on. Returns how many it is for. */
  take(publication: Publication): number {
    this.#pending.push(publication);
    this.#pendingBytes += publication.message.data.length;
    this.#hasExceptions ||= publication.exceptSelf;
    this.#offset = publication.message.offset;
    const receivers = this.#receiversOf(publication);
    if (this.#pendingBytes > pendingBytesMax) this.handOn();
    return receivers;
  }

  /** Hands on what was published. */
  handOn(): void {
    if (this.#pending.length === 0) return;
    const pushes = new Pushes(this.#pending, { isShared: this.#all.size > 1 });
    const hasExceptions = this.#hasExceptions;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#hasExceptions = false;
    for (const subscription of this.#all.values()) {
      if (subscription.group !== undefined) continue;
      if (subscription.held !== undefined) this.#hold(subscription.held, pushes.publications);
      else if (hasExceptions) pushExcepted(subscription, pushes);
      else subscription.stream.pushAll(pushes.batch(subscription.codec));
    }
    for (const group of this.#groups.values()) shareOut(group, pushes);
  }

  /** Tells those who want to know that a session has joined or left, but for the session itself. */
  tellMember(push: MemberPush): void {
    this.handOn();
    const frames = new Map<Codec, PushFrame>();
    for (const { subscriber, codec, stream, hearsMembers } of this.#all.values()) {
      if (!hearsMembers || subscriber.session.id === push.member.session) continue;
      const frame = frames.get(codec) ?? this.#memberFrame(push, codec);
      frames.set(codec, frame);
      stream.push(frame);
    }
  }

  /** Dropped, it leaves a gap without an offset in it. */
  #memberFrame(push: MemberPush, codec: Codec): PushFrame {
    const key = `member ${push.member.session}`;
    return { frame: codec.encode(push), key, from: this.#offset + 1, to: this.#offset };
  }

  #receiversOf({ exceptSelf, message: { from } }: Publication): number {
    const all = this.#all.size;
    if (this.#groups.size === 0 && !exceptSelf) return all;
    const isFor = ({ subscriber }: Subscription): boolean => !exceptSelf || subscriber.session.id !== from;
    let receivers = 0;
    for (const subscription of this.#all.values()) {
      if (subscription.group === undefined && isFor(subscription)) receivers++;
    }
    for (const { members } of this.#groups.values()) if (members.some(isFor)) receivers++;
    return receivers;
  }

  /** What is held is bounded as history is: where it is not whole, the reader is told so. */
  #hold(held: Publication[], publications: readonly Publication[]): void {
    held.push(...publications);
    if (held.length > this.#heldMax) held.splice(0, held.length - this.#heldMax);
  }
}

function pushExcepted({ subscriber, codec, stream }: Subscription, pushes: Pushes): void {
  const { parts } = pushes.batch(codec);
  for (const [index, publication] of pushes.publications.entries()) {
    const isOwn = publication.exceptSelf && publication.message.from === subscriber.session.id;
    const part = isOwn ? skipPush(publication, codec) : parts[index];
    if (part !== undefined) stream.push(part);
  }
}

/** Each message to the member whose turn it is, or to the next that has room. Without room anywhere it is the first one's
 *  overflow that decides. */
function shareOut(group: Group, pushes: Pushes): void {
  for (const [index, { exceptSelf, message }] of pushes.publications.entries()) {
    const { members, turn } = group;
    const inTurn = [...members.slice(turn), ...members.slice(0, turn)].filter(
      ({ subscriber, held }) => held === undefined && !(exceptSelf && subscriber.session.id === message.from),
    );
    const partFor = ({ codec }: Subscription): PushFrame | undefined => pushes.batch(codec).parts[index];
    const taker = inTurn.find((member) => member.stream.offer(partFor(member)?.frame ?? ""));
    const [first] = inTurn;
    const part = first === undefined ? undefined : partFor(first);
    if (taker === undefined && part !== undefined) first?.stream.push(part);
    const last = taker ?? first;
    if (last !== undefined) group.turn = (members.indexOf(last) + 1) % members.length;
  }
}
