/**
 * Pushes to sessions themselves, on whatever connection carries each of them now. They are kept for nobody; a reader too slow
 * for them loses its connection. Knows nothing of what they say.
 */
import type { Push } from "../../protocol/pushes.ts";
import type { PushStream } from "../connections/push-stream.ts";
import type { Session } from "../sessions/session.ts";
import type { Carrier, Sessions } from "../sessions/sessions.ts";

export class DirectPushes {
  /** Direct messages handed to connections so far. */
  eventsCount = 0;
  readonly #sessions: Sessions;
  readonly #streams = new WeakMap<Carrier, PushStream>();

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  /** Whether anything can be said to `session` now. */
  reaches(session: Session): boolean {
    return this.#sessions.carrierOf(session) !== undefined;
  }

  /** Says `push` to `session`. False when it has no connection. */
  say(session: Session, push: Push): boolean {
    const carrier = this.#sessions.carrierOf(session);
    if (carrier === undefined) return false;
    this.#streamTo(carrier).push({ frame: carrier.codec.encode(push), key: "", from: 1, to: 0 });
    if (push.push === "event") this.eventsCount++;
    return true;
  }

  #streamTo(carrier: Carrier): PushStream {
    const stream = this.#streams.get(carrier) ?? carrier.openStream({ overflow: "close", gap: dropsNothing });
    this.#streams.set(carrier, stream);
    return stream;
  }
}

function dropsNothing(): never {
  throw new Error("Invariant broken: the overflow close drops nothing that would have to be told");
}
