/**
 * The sessions that are alive: gives ids, lets them linger and be resumed, frees what they hold the moment they end, and
 * shows who is there. Knows nothing of commands or bytes.
 */
import type { CancelAlarm, Clock } from "../../engine/clock.ts";
import type { Awaitable, Engine } from "../../engine/engine.ts";
import type { SessionInfo } from "../../protocol/commands.ts";
import { closeCodes } from "../../protocol/errors.ts";
import type { Addressee } from "../../protocol/requests.ts";
import type { Connection } from "../connections/connection.ts";
import type { Log } from "../log/log.ts";
import { SessionLog } from "../log/session-log.ts";
import { type Door, Session } from "./session.ts";
import { nextSessionState, type SessionEvent } from "./session-state.ts";

/** Whoever carries a session; told when another one takes it over. */
export type Carrier = Pick<Connection, "takenOver" | "close" | "codec" | "isOver" | "openStream">;

/** What a client says to go on with a session. */
export interface SessionClaim {
  readonly id: string;
  readonly secret: string;
}

interface Place {
  readonly session: Session;
  carrier: Carrier | undefined;
  cancelLinger: CancelAlarm | undefined;
}

export class Sessions {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #ended: (session: Session) => void;
  readonly #log: SessionLog | undefined;
  readonly #alive = new Map<string, Place>();
  readonly #lingeringMax: number;
  /** Those without a connection, the one that lost it longest ago first. */
  readonly #lingering = new Set<Session>();
  #given = 0;

  constructor(options: {
    readonly engine: Engine;
    readonly clock: Clock;
    readonly log: Log | undefined;
    /** Sessions that linger: past it the one that has longest ends. Who comes and goes could leave any number behind. */
    readonly lingeringMax: number;
    /** Told of each session that has ended. */
    readonly ended: (session: Session) => void;
  }) {
    this.#engine = options.engine;
    this.#clock = options.clock;
    this.#ended = options.ended;
    this.#lingeringMax = options.lingeringMax;
    this.#log = options.log && new SessionLog(options.log);
  }

  get size(): number {
    return this.#alive.size;
  }

  /** A fresh, anonymous session. */
  begin(peer: { readonly door: Door; readonly pid: number | undefined }): Session {
    const id = `s${++this.#given}`;
    const session = new Session({ id, door: peer.door, startedAtMs: this.#clock.nowMs(), peerPid: peer.pid });
    this.#alive.set(id, { session, carrier: undefined, cancelLinger: undefined });
    return session;
  }

  /** Those that are meant. */
  find(to: Addressee): readonly Session[] {
    if (!("session" in to)) return [...this.#alive.values()].map((place) => place.session).filter(isOf(to.user));
    const session = this.#alive.get(to.session)?.session;
    return session === undefined ? [] : [session];
  }

  /** Who carries what is said to the session: undefined while it lingers or its connection is being closed, and when it has
   *  ended. */
  carrierOf(session: Session): Carrier | undefined {
    const carrier = this.#alive.get(session.id)?.carrier;
    return carrier?.isOver ? undefined : carrier;
  }

  /** Says who carries `session` now. */
  carry(session: Session, carrier: Carrier): void {
    const place = this.#alive.get(session.id);
    if (place !== undefined) place.carrier = carrier;
  }

  /** The session that `claim` names and its secret opens, taken from whoever carried it, and put in the place of `fresh`,
   *  which ends. Undefined, and nothing has changed, when there is none: ended, another door, or the wrong secret. */
  resume(claim: SessionClaim, { fresh, carrier }: { fresh: Session; carrier: Carrier }): Session | undefined {
    const place = this.#alive.get(claim.id);
    if (place === undefined || place.session.door !== fresh.door || !place.session.isResumedBy(claim.secret))
      return undefined;
    place.cancelLinger?.();
    place.cancelLinger = undefined;
    const before = place.carrier;
    place.carrier = carrier;
    this.#advance(place, { kind: "resumed" });
    place.session.peerPid = fresh.peerPid;
    this.end(fresh);
    before?.takenOver();
    return place.session;
  }

  /** The client of `session` has said hello. */
  introduced(session: Session, isResumed: boolean): void {
    this.#log?.introduced(session, isResumed);
  }

  /** `carrier` has gone. Ends the session in this very call, or lets it linger; one that was taken over is left alone. */
  disconnected(session: Session, carrier: Carrier): void {
    const place = this.#alive.get(session.id);
    if (place === undefined || place.carrier !== carrier) return;
    place.carrier = undefined;
    this.#advance(place, { kind: "disconnected", lingerMs: session.lingerMs });
    if (session.state !== "lingering") return;
    this.#log?.lingering(session);
    const endsAtMs = this.#clock.nowMs() + session.lingerMs;
    place.cancelLinger = this.#clock.schedule(endsAtMs, () => this.end(session));
    const [first] = this.#lingering;
    if (first !== undefined && this.#lingering.size > this.#lingeringMax) this.end(first);
  }

  /** Frees all that `session` holds and hands it on, in this very call. */
  end(session: Session): void {
    const place = this.#alive.get(session.id);
    if (place !== undefined) this.#advance(place, { kind: "ended" });
  }

  /** Ends the session and closes its connection, whose client is to stay away. False when there is no such session. */
  kick(id: string): boolean {
    const place = this.#alive.get(id);
    if (place === undefined) return false;
    this.end(place.session);
    place.carrier?.close(closeCodes.kicked, "kicked");
    return true;
  }

  endAll(): void {
    for (const { session } of [...this.#alive.values()]) this.end(session);
  }

  /** Everybody, oldest first, with what they hold and wait for, and the methods each serves. */
  show(methodsOf: (session: Session) => readonly string[]): Awaitable<SessionInfo[]> {
    const shown = [...this.#alive.values()].map(({ session }) => this.#show(session, methodsOf(session)));
    // An engine that is not asked over a wire answers at once, for all of them.
    return shown.every((info): info is SessionInfo => !(info instanceof Promise)) ? shown : Promise.all(shown);
  }

  #show(session: Session, methods: readonly string[]): Awaitable<SessionInfo> {
    const [holds, waits] = [this.#engine.holdsOf(session.id), this.#engine.waitsOf(session.id)];
    const info = (read: Pick<SessionInfo, "holds" | "waits">): SessionInfo => ({
      session: session.id,
      state: session.state === "lingering" ? "lingering" : "attached",
      label: session.label,
      client: session.client,
      pid: session.peerPid,
      connectedAtMs: session.startedAtMs,
      ...read,
      serves: methods.length > 0 ? methods : undefined,
    });
    if (!(holds instanceof Promise || waits instanceof Promise)) return info({ holds, waits });
    return Promise.all([holds, waits]).then(([held, waited]) => info({ holds: held, waits: waited }));
  }

  #advance(place: Place, event: SessionEvent): void {
    const { session } = place;
    session.state = nextSessionState(session.state, event);
    if (session.state === "lingering") this.#lingering.add(session);
    else this.#lingering.delete(session);
    if (session.state !== "ended") return;
    place.cancelLinger?.();
    this.#alive.delete(session.id);
    this.#log?.ending(session, { engine: this.#engine, nowMs: this.#clock.nowMs() });
    void this.#engine.endSession(session);
    this.#ended(session);
  }
}

const isOf =
  (user: string) =>
  (session: Session): boolean =>
    session.user === user;
