/**
 * Who subscribes to one channel. What is published in one turn is handed to each subscriber in one piece at the turn's end, a
 * little later where many listen, or before the audience changes, so that all of it is meant for whoever is there then.
 */
import type { Publication } from "../../engine/channels.ts";
import type { MemberPush } from "../../protocol/channels.ts";
import type { Codec } from "../../protocol/codec.ts";
import type { Push } from "../../protocol/pushes.ts";
import type { Lost, PushFrame } from "../connections/push-stream.ts";
import { Pushes, type Subscriber, type Subscription, skipPush } from "./subscription.ts";

/** Bytes that are handed on at once, whoever waits for more. */
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
  /** Published and handed to nobody yet. */
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

  /** What tells a subscriber that messages are missing. */
  readonly gap = ({ from, to }: Lost): Push => ({ push: "gap", channel: this.channel, from, to });

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

  /** Pushes what was held back for `subscription` behind the offset `since`, and holds back nothing more. */
  release(subscription: Subscription, since: number): void {
    this.handOn();
    const held = (subscription.held ?? []).filter(({ message }) => message.offset > since);
    subscription.held = undefined;
    if (held.length > 0) pushExcepted(subscription, new Pushes(held, { isShared: false }));
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

  /** A group counts as one. */
  #receiversOf(publication: Publication): number {
    if (this.#groups.size === 0 && !publication.exceptSelf) return this.#all.size;
    let receivers = 0;
    for (const one of this.#all.values()) if (one.group === undefined && isFor(publication, one)) receivers++;
    for (const { members } of this.#groups.values()) if (members.some((one) => isFor(publication, one))) receivers++;
    return receivers;
  }

  /** What is held is bounded as history is: where it is not whole, the reader is told so. */
  #hold(held: Publication[], publications: readonly Publication[]): void {
    held.push(...publications);
    if (held.length > this.#heldMax) held.splice(0, held.length - this.#heldMax);
  }
}

function pushExcepted(subscription: Subscription, pushes: Pushes): void {
  const { codec, stream } = subscription;
  const { parts } = pushes.batch(codec);
  for (const [index, publication] of pushes.publications.entries()) {
    const part = isFor(publication, subscription) ? parts[index] : skipPush(publication, codec);
    if (part !== undefined) stream.push(part);
  }
}

/** Each message to the member whose turn it is, or to the next that has room. Without room anywhere the overflow of the one
 *  in turn decides. A connection that is over takes whatever it is told, and says none of it: no turn is its. */
function shareOut(group: Group, pushes: Pushes): void {
  for (const [index, publication] of pushes.publications.entries()) {
    const candidates = inTurn(group).filter((member) => mayTake(member) && isFor(publication, member));
    const pushTo = (member: Subscription): PushFrame | undefined => pushes.batch(member.codec).parts[index];
    const taker = candidates.find((member) => {
      const push = pushTo(member);
      return push !== undefined && member.stream.offer(push.frame);
    });
    const chosen = taker ?? candidates[0];
    if (chosen === undefined) continue;
    const push = pushTo(chosen);
    if (taker === undefined && push !== undefined) chosen.stream.push(push);
    group.turn = (group.members.indexOf(chosen) + 1) % group.members.length;
  }
}

function inTurn({ members, turn }: Group): readonly Subscription[] {
  return [...members.slice(turn), ...members.slice(0, turn)];
}

function mayTake({ held, subscriber }: Subscription): boolean {
  return held === undefined && !subscriber.isOver;
}

function isFor({ exceptSelf, message }: Publication, { subscriber }: Subscription): boolean {
  return !exceptSelf || subscriber.session.id !== message.from;
}
