/**
 * The deadlines of the web door's clients: to say `hello`, to be pinged, to answer the ping, to be gone once we have closed.
 * Timed here and not by the runtime, whose idle timeout spares a mute client as long as we keep sending.
 */
import type { Clock } from "../../engine/clock.ts";
import { closeCodes } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/limits.ts";
import { DeadlineLine } from "./deadline-line.ts";

/** A client as far as time goes. */
export interface Watched {
  ping(): void;
  /** Whether its answer cannot have come: we read nothing of what it says, for a while that is bounded, or the ping has not left
   *  yet, as it is behind what a slow network takes, which has taken something since the last look. */
  cannotAnswer(): boolean;
  /** Closes it, without waiting for what it does not read. */
  cut(code: number, reason: string): void;
  /** Its socket goes, now. */
  terminate(): void;
}

export class Watchman {
  readonly #strangers: DeadlineLine<Watched>;
  readonly #resting: DeadlineLine<Watched>;
  readonly #asked: DeadlineLine<Watched>;
  readonly #leaving: DeadlineLine<Watched>;

  constructor({ clock, limits }: { readonly clock: Clock; readonly limits: Limits }) {
    const line = (afterMs: number, due: (watched: Watched) => void): DeadlineLine<Watched> =>
      new DeadlineLine({ clock, afterMs, due });
    this.#strangers = line(limits.helloTimeoutMs, (watched) =>
      watched.cut(closeCodes.stale, "hello did not come in time"),
    );
    this.#resting = line(limits.pingIntervalMs, (watched) => {
      this.#asked.set(watched);
      watched.ping();
    });
    this.#asked = line(limits.pongTimeoutMs, (watched) => {
      if (watched.cannotAnswer()) this.#asked.set(watched);
      else watched.cut(closeCodes.noPong, "a ping was not answered in time");
    });
    this.#leaving = line(limits.stallMs, (watched) => watched.terminate());
  }

  opened(watched: Watched): void {
    this.#strangers.set(watched);
  }

  greeted(watched: Watched): void {
    this.#strangers.delete(watched);
    this.#resting.set(watched);
  }

  /** Its ping has left only now: the time to answer begins. What it takes from here on is no sign of life, as a kernel takes it
   *  for a process that does nothing more, too. */
  pinged(watched: Watched): void {
    if (this.#asked.has(watched)) this.#asked.set(watched);
  }

  /** An answer that nobody has asked for changes nothing. */
  answered(watched: Watched): void {
    if (!this.#asked.has(watched)) return;
    this.#asked.delete(watched);
    this.#resting.set(watched);
  }

  /** We have said goodbye: it has some time to read what is on its way, and is pinged no more. */
  leaving(watched: Watched): void {
    for (const line of [this.#strangers, this.#resting, this.#asked]) line.delete(watched);
    this.#leaving.set(watched);
  }

  /** Its socket is gone. */
  left(watched: Watched): void {
    for (const line of [this.#strangers, this.#resting, this.#asked, this.#leaving]) line.delete(watched);
  }

  stop(): void {
    for (const line of [this.#strangers, this.#resting, this.#asked, this.#leaving]) line.clear();
  }
}
