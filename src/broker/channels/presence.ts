/**
 * Which sessions are present in which channels. A place is the session's: it outlives the connection by which it was taken, for
 * as long as the session waits to be resumed. Knows nothing of who is told.
 */
import type { Member } from "../../protocol/channels.ts";
import { EphemeralError } from "../../protocol/errors.ts";
import type { Session } from "../sessions/session.ts";

export class Presence {
  readonly #channelsMax: number;
  readonly #members = new Map<string, Map<string, Member>>();
  readonly #channels = new Map<string, Set<string>>();

  /** Of each session at most `channelsMax`. */
  constructor({ channelsMax }: { readonly channelsMax: number }) {
    this.#channelsMax = channelsMax;
  }

  /** Those present in `channel`, in the order they came. */
  of(channel: string): readonly Member[] {
    return [...(this.#members.get(channel)?.values() ?? [])];
  }

  count(channel: string): number {
    return this.#members.get(channel)?.size ?? 0;
  }

  /** @throws {EphemeralError} `too_many_names` where the session is present in too many channels to join another */
  requireRoom(channel: string, { id }: Session): void {
    const channels = this.#channels.get(id);
    if (channels === undefined || channels.size < this.#channelsMax || channels.has(channel)) return;
    const actual = `this session is present in ${channels.size} channels, the limit`;
    throw new EphemeralError("too_many_names", `Cannot join channel ${JSON.stringify(channel)}: ${actual}`);
  }

  /** The new member; undefined where the session was present already. */
  join(channel: string, { session, nowMs }: { readonly session: Session; readonly nowMs: number }): Member | undefined {
    const { id, label } = session;
    const channels = this.#channels.get(id) ?? new Set();
    if (channels.has(channel)) return undefined;
    this.#channels.set(id, channels.add(channel));
    const members = this.#members.get(channel) ?? new Map<string, Member>();
    this.#members.set(channel, members);
    const member = { session: id, label, joinedAtMs: nowMs };
    members.set(id, member);
    return member;
  }

  /** The member that was; undefined where the session was not present. */
  leave(channel: string, sessionId: string): Member | undefined {
    const members = this.#members.get(channel);
    const member = members?.get(sessionId);
    if (members === undefined || member === undefined) return undefined;
    members.delete(sessionId);
    if (members.size === 0) this.#members.delete(channel);
    const channels = this.#channels.get(sessionId);
    if (channels?.delete(channel) && channels.size === 0) this.#channels.delete(sessionId);
    return member;
  }

  /** The channels in which the session is present. */
  channelsOf(sessionId: string): readonly string[] {
    return [...(this.#channels.get(sessionId) ?? [])];
  }
}
