/**
 * The sessions that are alive, and the connections they came by. Gives ids, ends a session's holds when it goes, and shows
 * who is there. Knows nothing of commands.
 */
import type { Clock } from "../engine/clock.ts";
import type { Awaitable, Engine } from "../engine/engine.ts";
import type { SessionInfo } from "../protocol/commands.ts";
import { Session } from "./session.ts";

export class Sessions {
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #alive = new Map<string, Session>();
  #given = 0;

  constructor(options: { readonly engine: Engine; readonly clock: Clock }) {
    this.#engine = options.engine;
    this.#clock = options.clock;
  }

  get size(): number {
    return this.#alive.size;
  }

  begin(peer: { readonly pid: number | undefined }): Session {
    const id = `s${++this.#given}`;
    const session = new Session({ id, startedAtMs: this.#clock.nowMs(), peerPid: peer.pid });
    this.#alive.set(id, session);
    return session;
  }

  /** Frees all that `session` holds and hands it on, in this very call. */
  end(session: Session): Awaitable<void> {
    if (!this.#alive.delete(session.id)) return;
    return this.#engine.endSession(session);
  }

  /** Everybody, oldest first, with what they hold and wait for. */
  async show(): Promise<SessionInfo[]> {
    return Promise.all(
      [...this.#alive.values()].map(async (session) => ({
        session: session.id,
        ...(session.label === undefined ? {} : { label: session.label }),
        ...(session.client === undefined ? {} : { client: session.client }),
        ...(session.peerPid === undefined ? {} : { pid: session.peerPid }),
        connectedAtMs: session.startedAtMs,
        holds: await this.#engine.holdsOf(session.id),
        waits: await this.#engine.waitsOf(session.id),
      })),
    );
  }
}
