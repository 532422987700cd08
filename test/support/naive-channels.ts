/**
 * Channels as one would explain them: every message in one list, looked through from the start for every question. Slow and
 * plain; the model the real ones are compared with. Knows no deadlines but "look".
 */
import type { Clock } from "../../src/engine/clock.ts";
import type { Limits } from "../../src/protocol/limits.ts";

interface NaiveMessage {
  readonly channel: string;
  readonly incarnation: number;
  readonly offset: number;
  readonly bytes: number;
  readonly atMs: number;
}

interface NaiveChannel {
  readonly name: string;
  readonly incarnation: number;
  offset: number;
  isAttached: boolean;
  usedAtMs: number;
  /** When it was looked at last; what is looked at is remembered longest. */
  order: number;
}

/** Epochs are numbers here: the first channel made is of epoch 1. */
export interface NaivePosition {
  readonly epoch: number;
  readonly offset: number;
}

const overheadBytes = 100;

export class NaiveChannels {
  readonly #clock: Clock;
  readonly #limits: Limits;
  #channels: NaiveChannel[] = [];
  #messages: NaiveMessage[] = [];
  #said: { readonly session: string; readonly serial: number; readonly answer: NaivePosition }[] = [];
  readonly #forgotten = new Map<string, number>();
  #incarnations = 0;
  #order = 0;

  constructor({ clock, limits }: { readonly clock: Clock; readonly limits: Limits }) {
    this.#clock = clock;
    this.#limits = limits;
  }

  publish(name: string, { session, serial, bytes }: { session: string; serial: number | undefined; bytes: number }) {
    this.#look();
    const before = this.#said.find((said) => said.session === session && said.serial === serial);
    if (before !== undefined) return before.answer;
    if (serial !== undefined && serial <= (this.#forgotten.get(session) ?? 0)) return "bad_command";
    const channel = this.#use(name);
    channel.usedAtMs = this.#clock.nowMs();
    const message = { channel: name, incarnation: channel.incarnation, offset: ++channel.offset };
    this.#messages.push({ ...message, bytes: bytes + overheadBytes, atMs: channel.usedAtMs });
    this.#trim(channel);
    const answer = { epoch: channel.incarnation, offset: channel.offset };
    if (serial !== undefined) this.#note({ session, serial, answer });
    return answer;
  }

  read(
    name: string,
    since: number | undefined,
    limit: number,
  ): NaivePosition & { readonly offsets: readonly number[] } {
    this.#look();
    const { incarnation: epoch, offset } = this.#use(name);
    const all = this.#of(name).map((message) => message.offset);
    const from = since ?? offset - limit;
    return { epoch, offset, offsets: all.filter((one) => one > from).slice(0, limit) };
  }

  attach(name: string): void {
    this.#look();
    this.#use(name, true);
  }

  detach(name: string): void {
    this.#look();
    const channel = this.#channels.find((one) => one.name === name && one.isAttached);
    if (channel === undefined) return;
    Object.assign(channel, { isAttached: false, usedAtMs: this.#clock.nowMs(), order: ++this.#order });
    this.#forgetIdle();
  }

  endSession(session: string): void {
    this.#said = this.#said.filter((said) => said.session !== session);
    this.#forgotten.delete(session);
  }

  counts(): { readonly channels: number; readonly messages: number; readonly bytes: number } {
    this.#look();
    return {
      channels: this.#channels.length,
      messages: this.#messages.length,
      bytes: this.#messages.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  #of(name: string): NaiveMessage[] {
    return this.#messages.filter(({ channel }) => channel === name);
  }

  /** Who attaches never leaves it among those that may be forgotten. */
  #use(name: string, attaches = false): NaiveChannel {
    let channel = this.#channels.find((one) => one.name === name);
    if (channel === undefined) {
      const incarnation = ++this.#incarnations;
      channel = { name, incarnation, offset: 0, isAttached: false, usedAtMs: this.#clock.nowMs(), order: 0 };
      this.#channels.push(channel);
    }
    channel.order = ++this.#order;
    channel.isAttached ||= attaches;
    this.#forgetIdle();
    return channel;
  }

  #trim({ name }: NaiveChannel): void {
    const { historyCountMax, historyBytesMax, historyBytesTotalMax } = this.#limits;
    const bytesOf = (messages: readonly NaiveMessage[]): number => messages.reduce((sum, { bytes }) => sum + bytes, 0);
    const drop = (message: NaiveMessage | undefined): void => {
      this.#messages = this.#messages.filter((one) => one !== message);
    };
    while (bytesOf(this.#messages) > historyBytesTotalMax) drop(this.#messages[0]);
    while (this.#of(name).length > historyCountMax || bytesOf(this.#of(name)) > historyBytesMax)
      drop(this.#of(name)[0]);
  }

  #note(said: { session: string; serial: number; answer: NaivePosition }): void {
    this.#said.push(said);
    const own = this.#said.filter(({ session }) => session === said.session);
    const [oldest] = own;
    if (own.length <= this.#limits.serialsRemembered || oldest === undefined) return;
    this.#said.splice(this.#said.indexOf(oldest), 1);
    this.#forgotten.set(said.session, Math.max(this.#forgotten.get(said.session) ?? 0, oldest.serial));
  }

  /** Nothing that is over is there. */
  #look(): void {
    const nowMs = this.#clock.nowMs();
    const { historyTtlMs } = this.#limits;
    this.#messages = this.#messages.filter(({ atMs }) => atMs + historyTtlMs > nowMs);
    this.#forget(({ isAttached, usedAtMs }) => !isAttached && usedAtMs + 10 * historyTtlMs <= nowMs);
  }

  #forgetIdle(): void {
    const idle = this.#channels.filter(({ isAttached }) => !isAttached).sort((a, b) => b.order - a.order);
    const over = new Set(idle.slice(this.#limits.channelsRemembered));
    this.#forget((channel) => over.has(channel));
  }

  #forget(isOver: (channel: NaiveChannel) => boolean): void {
    for (const gone of this.#channels.filter(isOver)) {
      this.#channels = this.#channels.filter((one) => one !== gone);
      this.#messages = this.#messages.filter(({ channel }) => channel !== gone.name);
    }
  }
}
